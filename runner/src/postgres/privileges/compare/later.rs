//! A baseline as of a later look at the same server: clients may have changed definitions since the first one.

use super::Baseline;
use crate::postgres::privileges::snapshot::{
    DatabasePrivileges, Object, ObjectKind, Privileges, ServerPrivileges,
};

impl Baseline {
    /// The same with the rights that the server has now. A database that was created since the first look is not among them: its
    /// contents would be compared with nothing.
    #[must_use]
    pub fn with_server(&self, mut server: ServerPrivileges) -> Self {
        let is_database = |object: &&Object| object.kind == ObjectKind::Database;
        let known = || self.before.server.objects.iter().filter(is_database);
        server.objects.retain(|object| !is_database(&object) || known().any(|it| it.name == object.name));
        let databases = self.before.databases.clone();
        Self { before: Privileges { server, databases }, ..self.clone() }
    }

    /// Replaces what is known of a database. The system's own code stays as it was at the first look: if it is not that after the
    /// upgrade, nothing else has been read. So do the rights on users' objects if they have become too many.
    pub fn renew_database(&mut self, name: &str, now: DatabasePrivileges) {
        let Some(first) = self.before.databases.remove(name) else { return };
        let facts = self.facts.remove(name);
        self.add_database(name, DatabasePrivileges { system_code: first.system_code, ..now });
        if let Some(facts) = facts {
            self.facts.entry(name.to_owned()).or_insert(facts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::privileges::compare::{MAX_FACTS, Pristine};
    use crate::postgres::privileges::facts::{Fact, Facts};
    use crate::postgres::privileges::snapshot::Role;
    use crate::postgres::privileges::system_code::SystemCode;

    const SYSTEM_CODE: &str = r#"{"built_in": {}, "added": ["function of pg_catalog: f"]}"#;

    fn database(name: &str) -> Object {
        serde_json::from_str(&format!(r#"{{"kind": "database", "name": "{name}", "built_in": false}}"#))
            .unwrap()
    }

    fn server(roles: &[&str], databases: &[&str]) -> ServerPrivileges {
        let roles = roles.iter().map(|&name| Role { name: name.into(), ..Role::default() }).collect();
        let objects = databases.iter().map(|name| database(name)).collect();
        ServerPrivileges { roles, objects, ..ServerPrivileges::default() }
    }

    fn contents(tables: &[&str]) -> DatabasePrivileges {
        let fact = |table: &&str| Fact { text: format!("relation with owner: {table}"), privilege: None };
        let facts = Facts { gives: tables.iter().map(fact).collect(), ..Facts::default() };
        DatabasePrivileges { facts, ..DatabasePrivileges::default() }
    }

    fn first() -> Baseline {
        let mut first = Baseline::new(server(&["app"], &["shop"]), Pristine::default(), 13);
        first.add_database("shop", contents(&["a"]));
        first
    }

    fn texts(baseline: &Baseline, server: ServerPrivileges, tables: &[&str]) -> Vec<String> {
        let databases = [("shop".to_owned(), contents(tables))].into();
        baseline.compare(&Privileges { server, databases }).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn roles_and_tables_of_a_later_look_are_known() {
        let after = || server(&["app", "late"], &["shop"]);
        assert_eq!(texts(&first(), after(), &["a", "b"]).len(), 2);
        let mut later = first().with_server(after());
        later.renew_database("shop", contents(&["a", "b"]));
        assert_eq!(texts(&later, after(), &["a", "b"]), [""; 0]);
        let found = texts(&later, server(&["app", "late", "mallory"], &["shop"]), &["a", "b", "c"]);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn database_of_a_later_look_stays_unknown() {
        let after = || server(&["app"], &["shop", "late"]);
        let mut later = first().with_server(after());
        later.renew_database("late", contents(&["a"]));
        assert!(!later.before.databases.contains_key("late"));
        let found = texts(&later, after(), &["a"]);
        assert_eq!(found, ["database late: exists (before: does not exist)"]);
    }

    #[test]
    fn system_code_of_a_later_look_does_not_count() {
        let code: SystemCode = serde_json::from_str(SYSTEM_CODE).unwrap();
        let mut later = first().with_server(server(&["app"], &["shop"]));
        later.renew_database("shop", DatabasePrivileges { system_code: code, ..contents(&["a"]) });
        assert_eq!(later.before.databases["shop"].system_code, SystemCode::default());
    }

    #[test]
    fn tables_are_compared_with_the_first_look_if_they_have_become_too_many() {
        let names: Vec<_> = (0..MAX_FACTS / 25).map(|number| format!("t{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let mut later = first().with_server(server(&["app"], &["shop"]));
        later.renew_database("shop", contents(&names));
        assert_eq!(later.without_facts().count(), 0);
        assert_eq!(texts(&later, server(&["app"], &["shop"]), &["a"]), [""; 0]);
        assert_eq!(texts(&later, server(&["app"], &["shop"]), &["t0"]).len(), 1);
    }
}
