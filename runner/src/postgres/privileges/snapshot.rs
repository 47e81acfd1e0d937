//! The rights on a server, as data. Stored next to the journal by the preflight, compared after `pg_upgrade`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::system_code::SystemCode;

/// The rights on a server and in its databases.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Privileges {
    pub server: ServerPrivileges,
    pub databases: BTreeMap<String, DatabasePrivileges>,
}

/// What belongs to no database.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ServerPrivileges {
    pub roles: Vec<Role>,
    pub memberships: Vec<Membership>,
    pub settings: Vec<StoredSetting>,
    /// Databases, tablespaces and parameters.
    pub objects: Vec<Object>,
}

/// The rights in one database.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DatabasePrivileges {
    pub objects: Vec<Object>,
    /// What every query depends on.
    #[serde(default)]
    pub system_code: SystemCode,
    /// The rights on users' objects. Of those before an upgrade only digests are stored.
    #[serde(skip)]
    pub facts: Facts,
}

/// A role with its attributes.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "they are the attributes that PostgreSQL has")]
pub struct Role {
    pub name: String,
    pub superuser: bool,
    pub createrole: bool,
    pub createdb: bool,
    pub replication: bool,
    pub bypassrls: bool,
    pub login: bool,
    pub inherit: bool,
    /// Until when the password is valid, in seconds since 1970; `None` is for ever.
    pub valid_until: Option<String>,
    /// A digest of the stored password; `None` if there is none.
    pub password: Option<String>,
}

/// A role's membership in another.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Membership {
    pub role: String,
    pub member: String,
    pub grantor: String,
    pub admin: bool,
    pub inherit: bool,
    pub set: bool,
}

/// A setting of `ALTER ROLE` or `ALTER DATABASE`.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct StoredSetting {
    /// `None` for all databases.
    pub database: Option<String>,
    /// `None` for all roles.
    pub role: Option<String>,
    pub name: String,
    /// A digest of the value.
    pub value: String,
}

/// Something that has an owner, or that rights are granted on, or that gives rights by its definition.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Object {
    pub kind: ObjectKind,
    /// Qualified and quoted, with arguments.
    pub name: String,
    /// Whether `initdb` has made it.
    pub built_in: bool,
    #[serde(default)]
    pub owner: Option<String>,
    #[serde(default, deserialize_with = "null_is_none_granted")]
    pub grants: Vec<Grant>,
    #[serde(default)]
    pub definition: Option<String>,
}

/// What an [`Object`] is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    Database,
    Tablespace,
    Parameter,
    Schema,
    Language,
    ForeignDataWrapper,
    ForeignServer,
    Extension,
    EventTrigger,
    Cast,
    DefaultPrivileges,
    Relation,
    Column,
    Type,
    Function,
    /// All functions of the server that are compiled into it, as one. In a baseline of an earlier release.
    BuiltInFunctions,
}

/// A privilege of a role on an object: grantee (`None` is `PUBLIC`), privilege, with grant option.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Grant(pub Option<String>, pub String, pub bool);

/// The aggregate of no rows is null.
fn null_is_none_granted<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Grant>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Database => "database",
            Self::Tablespace => "tablespace",
            Self::Parameter => "parameter",
            Self::Schema => "schema",
            Self::Language => "language",
            Self::ForeignDataWrapper => "foreign-data wrapper",
            Self::ForeignServer => "foreign server",
            Self::Extension => "extension",
            Self::EventTrigger => "event trigger",
            Self::Cast => "cast",
            Self::DefaultPrivileges => "default privileges of",
            Self::Relation => "relation",
            Self::Column => "column",
            Self::Type => "type",
            Self::Function => "function",
            Self::BuiltInFunctions => "built-in functions",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `privileges_of_database.sql` returns it.
    const ROW: &str = r#"{"kind" : "foreign-data-wrapper", "name" : "w", "built_in" : false, "owner" : "postgres",
        "grants" : [["postgres", "USAGE", false], [null, "USAGE", true]], "definition" : "handler -, validator -"}"#;

    #[test]
    fn object_is_read_as_the_server_returns_it() {
        let object: Object = serde_json::from_str(ROW).unwrap();
        assert_eq!(object.kind, ObjectKind::ForeignDataWrapper);
        assert_eq!(object.grants[1], Grant(None, "USAGE".into(), true));
    }

    #[test]
    fn object_without_grants_is_read() {
        let row = r#"{"kind" : "parameter", "name" : "work_mem", "built_in" : false, "grants" : null}"#;
        let object: Object = serde_json::from_str(row).unwrap();
        assert_eq!((object.owner, object.grants), (None, vec![]));
    }

    #[test]
    fn privileges_are_stored_and_read_again() {
        let object = serde_json::from_str(ROW).unwrap();
        let shop = DatabasePrivileges { objects: vec![object], ..DatabasePrivileges::default() };
        let databases = [("shop".to_owned(), shop)].into();
        let privileges = Privileges { databases, ..Privileges::default() };
        let json = serde_json::to_string(&privileges).unwrap();
        assert_eq!(serde_json::from_str::<Privileges>(&json).unwrap(), privileges);
    }
}
