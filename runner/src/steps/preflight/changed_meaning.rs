//! What the definitions of the database mean to the target version, and did not mean to the serving one: each server is
//! asked for what it knows. Changes that no server can be asked for are in [`super::meaning`].

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::meaning::bodies::rejected_bodies;
use crate::postgres::meaning::names::{ReservedWords, ServerNames, objects_named};
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{Finding, shortened};

/// Collects it, database by database.
pub struct ChangedMeaning {
    before: ServerNames,
    reserved: ReservedWords,
    hidden: Vec<String>,
    named: Vec<String>,
    rejected: Vec<String>,
}

impl ChangedMeaning {
    /// Compares what is the same for all databases of the serving and of the scratch server.
    pub async fn begin(serving: &Client, scratch: &Client) -> Result<Self, ServerError> {
        let before = ServerNames::read(serving).await?;
        Ok(Self {
            reserved: before.reserved_since(scratch).await?,
            before,
            hidden: Vec::new(),
            named: Vec::new(),
            rejected: Vec::new(),
        })
    }

    /// Reads a database that has been restored into the scratch server.
    pub async fn read_restored(
        &mut self,
        restored: &Client,
        scratch: &Scratch,
        database: &str,
    ) -> Result<(), ServerError> {
        let in_database = |objects: Vec<String>| {
            objects.into_iter().map(move |object| format!("{object} in \"{database}\""))
        };
        self.hidden.extend(in_database(self.before.hidden_functions(restored).await?));
        self.named.extend(in_database(objects_named(restored, &self.reserved).await?));
        self.rejected.extend(in_database(rejected_bodies(restored, scratch, database).await?));
        Ok(())
    }

    /// All notes.
    #[must_use]
    pub fn finish(self) -> Vec<Finding> {
        let notes = [
            note(
                "hidden-function",
                "the target has new functions of its own with the same name and arguments, and a call without a schema finds \
                 the new one: call yours with their schema, or rename them (ALTER FUNCTION … RENAME TO)",
                &self.hidden,
            ),
            note(
                "reserved-word",
                "the target reserves these names: statements of clients and functions must write them in double quotes; rename \
                 the objects, or change the statements",
                &self.named,
            ),
            note(
                "function-body",
                "the target will reject these functions when they are called, since their bodies are not valid in it: change \
                 them",
                &self.rejected,
            ),
        ];
        notes.into_iter().flatten().collect()
    }
}

fn note(id: &'static str, remedy: &str, objects: &[String]) -> Option<Finding> {
    (!objects.is_empty()).then(|| Finding::note(id, format!("{remedy}: {}", shortened(objects))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning() -> ChangedMeaning {
        ChangedMeaning {
            before: ServerNames::default(),
            reserved: ReservedWords::default(),
            hidden: Vec::new(),
            named: Vec::new(),
            rejected: Vec::new(),
        }
    }

    #[test]
    fn unchanged_meaning_has_no_notes() {
        assert_eq!(meaning().finish(), []);
    }

    #[test]
    fn changed_meaning_is_noted_with_its_objects_and_documented() {
        let objects = |name: &str| vec![name.to_owned()];
        let changed = ChangedMeaning {
            hidden: objects("public.uuidv7()"),
            named: objects("public.system_user"),
            rejected: objects("public.f()"),
            ..meaning()
        };
        let notes = changed.finish();
        let page = include_str!("../../../../docs/reference/findings.md");
        for (note, object) in notes.iter().zip(["public.uuidv7()", "public.system_user", "public.f()"]) {
            assert!(!note.blocks() && note.text.ends_with(object), "{note}");
            assert!(page.contains(&format!("`{}`", note.id)), "docs/reference/findings.md lacks {}", note.id);
        }
        assert_eq!(notes.len(), 3);
    }
}
