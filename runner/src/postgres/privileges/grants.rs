//! Which grants an upgrade explains.

use std::collections::BTreeSet;

use super::snapshot::{Grant, Object, ObjectKind};

/// A table's privileges up to 16. `GRANT ALL` on a table is dumped as such, and includes `MAINTAIN` from 17 on.
const ALL_ON_TABLES_BEFORE_17: [&str; 7] =
    ["DELETE", "INSERT", "REFERENCES", "SELECT", "TRIGGER", "TRUNCATE", "UPDATE"];
const SINCE_17: &str = "MAINTAIN";

/// The grants that an object may have after the upgrade.
pub struct Allowed {
    grants: BTreeSet<Grant>,
    old_major: u32,
}

impl Allowed {
    /// Those that it had, and those that a new cluster gives it.
    pub fn of(object: &Object, before: Option<&Object>, pristine: Option<&Object>, old_major: u32) -> Self {
        let mut grants: BTreeSet<_> =
            before.into_iter().chain(pristine).flat_map(|object| object.grants.iter().cloned()).collect();
        if object.built_in && pristine.is_none() {
            grants.extend(default_grant(object.kind));
        }
        Self { grants, old_major }
    }

    /// Whether a grant is explained. A right to grant includes the right.
    pub fn allows(&self, grant: &Grant) -> bool {
        let Grant(grantee, privilege, grantable) = grant;
        let has = |privilege: &str| {
            let grant = |grantable| Grant(grantee.clone(), privilege.to_owned(), grantable);
            self.grants.contains(&grant(true)) || !grantable && self.grants.contains(&grant(false))
        };
        has(privilege)
            || privilege == SINCE_17
                && self.old_major < 17
                && ALL_ON_TABLES_BEFORE_17.iter().all(|name| has(name))
    }
}

/// What all roles may do with an object whose grants are not stored (`acldefault()`). Such objects of the server are not
/// read one by one.
fn default_grant(kind: ObjectKind) -> Option<Grant> {
    let privilege = match kind {
        ObjectKind::Function => "EXECUTE",
        ObjectKind::Type | ObjectKind::Language => "USAGE",
        _ => return None,
    };
    Some(Grant(None, privilege.to_owned(), false))
}

/// A grant as a message names it.
pub fn describe(Grant(grantee, privilege, grantable): &Grant) -> String {
    let grantee = grantee.as_ref().map_or_else(|| "PUBLIC".to_owned(), |name| format!("\"{name}\""));
    let option = if *grantable { " WITH GRANT OPTION" } else { "" };
    format!("{privilege} for {grantee}{option}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn grant(grantee: &str, privilege: &str, grantable: bool) -> Grant {
        Grant(Some(grantee.into()), privilege.into(), grantable)
    }

    fn object(kind: ObjectKind, built_in: bool, grants: Vec<Grant>) -> Object {
        Object { kind, name: "o".into(), built_in, owner: Some("postgres".into()), grants, definition: None }
    }

    #[test]
    fn grant_of_either_side_is_allowed() {
        let before = object(ObjectKind::Relation, true, vec![grant("app", "SELECT", false)]);
        let pristine = object(ObjectKind::Relation, true, vec![grant("pg_monitor", "SELECT", false)]);
        let allowed = Allowed::of(&before, Some(&before), Some(&pristine), 13);
        assert!(allowed.allows(&grant("app", "SELECT", false)));
        assert!(allowed.allows(&grant("pg_monitor", "SELECT", false)));
        assert!(!allowed.allows(&grant("app", "UPDATE", false)));
        assert!(!allowed.allows(&grant("tenant", "SELECT", false)));
    }

    #[test]
    fn grant_option_is_more_than_the_grant() {
        let one = |grantable| object(ObjectKind::Schema, false, vec![grant("app", "USAGE", grantable)]);
        let allows =
            |had, has| Allowed::of(&one(had), Some(&one(had)), None, 13).allows(&grant("app", "USAGE", has));
        assert!(!allows(false, true));
        assert!(allows(true, false) && allows(true, true) && allows(false, false));
    }

    #[rstest]
    #[case::to_17_with_all(13, &ALL_ON_TABLES_BEFORE_17, true)]
    #[case::to_17_with_some(13, &["SELECT", "UPDATE"], false)]
    #[case::from_17(17, &ALL_ON_TABLES_BEFORE_17, false)]
    fn all_privileges_on_a_table_include_maintain_since_17(
        #[case] old: u32,
        #[case] had: &[&str],
        #[case] expected: bool,
    ) {
        let grants = had.iter().map(|privilege| grant("app", privilege, false)).collect();
        let before = object(ObjectKind::Relation, false, grants);
        let allowed = Allowed::of(&before, Some(&before), None, old);
        assert_eq!(allowed.allows(&grant("app", "MAINTAIN", false)), expected);
    }

    #[test]
    fn default_grants_of_the_servers_objects_are_known() {
        let public = |privilege: &str| Grant(None, privilege.into(), false);
        let function = object(ObjectKind::Function, true, vec![]);
        assert!(Allowed::of(&function, None, None, 13).allows(&public("EXECUTE")));
        // initdb has revoked it.
        assert!(!Allowed::of(&function, None, Some(&function), 13).allows(&public("EXECUTE")));
        let relation = object(ObjectKind::Relation, true, vec![]);
        assert!(!Allowed::of(&relation, None, None, 13).allows(&public("SELECT")));
    }

    #[test]
    fn grant_is_described_with_its_grantee() {
        assert_eq!(describe(&grant("app", "SELECT", true)), "SELECT for \"app\" WITH GRANT OPTION");
        assert_eq!(describe(&Grant(None, "EXECUTE".into(), false)), "EXECUTE for PUBLIC");
    }
}
