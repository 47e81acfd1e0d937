//! Objects of extensions that the target rejects. None of them can be changed or dropped by itself: the finding is about the
//! extension, once, and says what helps.

use std::collections::BTreeMap;
use std::fmt;

use pgops_api::plan::Step;

use crate::postgres::client::error::ServerError;
use crate::postgres::client::session::Superuser;
use crate::postgres::client::side_by_side::{connect_in_turn, side_by_side};
use crate::postgres::extension::knowledge::Knowledge;
use crate::postgres::extension::remedy::remedy;
use crate::postgres::extension::state::{ExtensionState, states};
use crate::upgrade::{Finding, Named, warn_step};

/// The rejected objects by database and extension.
#[derive(Debug, Default)]
pub struct ExtensionObjects(BTreeMap<String, BTreeMap<String, Rejected>>);

/// What the target rejects because of one extension.
#[derive(Debug, Default)]
struct Rejected {
    /// Objects of it.
    members: Named,
    /// Other objects, which use it.
    users: Named,
}

impl ExtensionObjects {
    /// Adds an object, with what is wrong with it.
    pub fn add(&mut self, extension: &str, database: &str, object: String) {
        self.rejected(extension, database).members.add(object);
    }

    /// Adds an object that does not belong to the extension and uses it, with what is wrong with it.
    pub fn add_user(&mut self, extension: &str, database: &str, object: String) {
        self.rejected(extension, database).users.add(object);
    }

    fn rejected(&mut self, extension: &str, database: &str) -> &mut Rejected {
        let of_database = self.0.entry(database.to_owned()).or_default();
        of_database.entry(extension.to_owned()).or_default()
    }

    /// Adds those that another check has found.
    pub fn append(&mut self, other: Self) {
        for (database, extensions) in other.0 {
            for (extension, Rejected { members, users }) in extensions {
                let rejected = self.rejected(&extension, &database);
                rejected.members.append(members);
                rejected.users.append(users);
            }
        }
    }

    /// The findings, with what helps by the state of the extensions on the server at `host`.
    pub async fn findings(
        self,
        superuser: &Superuser,
        host: &str,
        knowledge: &Knowledge,
    ) -> Result<Vec<Finding>, ServerError> {
        let databases: Vec<_> = self.0.keys().cloned().collect();
        let read = side_by_side(&databases, |database| {
            let names: Vec<_> = self.0.get(database).into_iter().flat_map(BTreeMap::keys).cloned().collect();
            async move {
                let client = connect_in_turn(superuser, host, database).await?;
                // Without it the objects are still to be reported.
                let read = states(&client, &names).await;
                Ok::<_, ServerError>(read.inspect_err(|error| warn_step(Step::Preflight, error)))
            }
        });
        let states: BTreeMap<_, _> = databases.iter().cloned().zip(read.await?).collect();
        let state = |database: &str, extension: &str| {
            let known = states.get(database).and_then(|read| read.as_ref().ok());
            known.and_then(|known| known.iter().find(|state| state.name == extension)).cloned()
        };
        Ok(grouped(&self.0, knowledge, state))
    }
}

/// One finding for each extension, unless its databases differ in what was found or in what helps.
fn grouped(
    rejected: &BTreeMap<String, BTreeMap<String, Rejected>>,
    knowledge: &Knowledge,
    state: impl Fn(&str, &str) -> Option<ExtensionState>,
) -> Vec<Finding> {
    let mut databases: BTreeMap<(String, String, String), Named> = BTreeMap::new();
    for (database, extensions) in rejected {
        for (extension, rejected) in extensions {
            let state = state(database, extension);
            let named =
                state.as_ref().map_or_else(|| extension.clone(), |it| format!("{extension} {}", it.version));
            let remedy =
                state.as_ref().map_or_else(|| UNKNOWN.to_owned(), |it| remedy(it, knowledge.get(extension)));
            let of_same = databases.entry((named, rejected.to_string(), remedy)).or_default();
            of_same.add(format!("\"{database}\""));
        }
    }
    let text = |((extension, objects, remedy), databases): ((String, String, String), Named)| {
        Finding::new(
            "extension-objects",
            format!(
                "extension {extension} in database {databases}: the target version rejects objects of it: {objects}; \
                 they can be changed only with their extension: {remedy}"
            ),
        )
    };
    databases.into_iter().map(text).collect()
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { members, users } = self;
        write!(f, "{members}")?;
        if users.count() > 0 {
            write!(f, ", and with them objects that use it: {users}")?;
        }
        Ok(())
    }
}

const UNKNOWN: &str = "update it, or drop it and create it again afterwards if it holds no data";

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(databases: &[&str]) -> ExtensionObjects {
        let mut objects = ExtensionObjects::default();
        for database in databases {
            objects.add("pg_repack", database, "aggregate repack.array_accum".to_owned());
        }
        objects
    }

    fn findings(objects: &ExtensionObjects) -> Vec<Finding> {
        let state = |_: &str, extension: &str| {
            let name = extension.to_owned();
            Some(ExtensionState { name, version: "1.4.6".into(), ..ExtensionState::default() })
        };
        grouped(&objects.0, &Knowledge::new(&[]), state)
    }

    #[test]
    fn objects_of_an_extension_are_one_finding_with_what_helps() {
        let mut all = objects(&["shop"]);
        let mut others = ExtensionObjects::default();
        (0..20).for_each(|number| others.add("pg_repack", "shop", format!("function repack.f{number}")));
        all.append(others);
        let found = findings(&all);
        assert_eq!(found.len(), 1, "{found:?}");
        let text = found[0].to_string();
        for part in [
            "[extension-objects] extension pg_repack 1.4.6 in database \"shop\": ",
            "aggregate repack.array_accum, function repack.f0",
            "and 11 more",
            "DROP EXTENSION \"pg_repack\" before the upgrade",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(found[0].blocks());
    }

    #[test]
    fn objects_that_use_a_rejected_extension_are_named_apart_from_its_own() {
        let mut objects = objects(&["shop"]);
        objects.add_user("pg_repack", "shop", "no such function (at: CREATE VIEW v AS)".to_owned());
        let text = findings(&objects)[0].to_string();
        let expected = "repack.array_accum, and with them objects that use it: no such function (at: CREATE VIEW v AS); they";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn extension_of_many_databases_is_one_finding() {
        let names: Vec<_> = (0..700).map(|number| format!("tenant{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let found = findings(&objects(&names));
        assert_eq!(found.len(), 1);
        assert!(found[0].text.contains("and 690 more: the target"), "{}", found[0]);
    }

    #[test]
    fn extension_whose_state_is_unknown_is_still_named() {
        let found = grouped(&objects(&["shop"]).0, &Knowledge::new(&[]), |_, _| None);
        assert!(found[0].text.starts_with("extension pg_repack in database \"shop\": "), "{}", found[0]);
    }
}
