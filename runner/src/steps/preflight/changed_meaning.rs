//! What the definitions of the database mean to the target version, and did not mean to the serving one: each server is
//! asked for what it knows. Changes that no server can be asked for are in [`super::meaning`].

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::meaning::abbreviations::{
    ChangedAbbreviation, changed_abbreviations, definitions_naming,
};
use crate::postgres::meaning::bodies::rejected_bodies;
use crate::postgres::meaning::defaults::{ChangedDefault, changed_defaults};
use crate::postgres::meaning::names::{ReservedWords, ServerNames, objects_named};
use crate::postgres::meaning::removed::{LostNames, SystemNames, functions_naming};
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{Finding, shortened};

/// Collects it, database by database.
pub struct ChangedMeaning {
    before: ServerNames,
    reserved: ReservedWords,
    lost: LostNames,
    hidden: Vec<String>,
    hidden_objects: Vec<String>,
    named: Vec<String>,
    rejected: Vec<String>,
    using_lost: Vec<String>,
    abbreviations: Vec<ChangedAbbreviation>,
    abbreviated: Vec<String>,
    defaults: Vec<ChangedDefault>,
}

impl ChangedMeaning {
    /// Compares what is the same for all databases of the serving and of the scratch server.
    pub async fn begin(serving: &Client, scratch: &Client) -> Result<Self, ServerError> {
        let before = ServerNames::read(serving).await?;
        let names = SystemNames::read(serving).await?;
        Ok(Self {
            reserved: before.reserved_since(scratch).await?,
            lost: names.lost(&SystemNames::read(scratch).await?, scratch).await?,
            before,
            hidden: Vec::new(),
            hidden_objects: Vec::new(),
            named: Vec::new(),
            rejected: Vec::new(),
            using_lost: Vec::new(),
            abbreviations: changed_abbreviations(serving, scratch).await?,
            abbreviated: Vec::new(),
            defaults: changed_defaults(serving, scratch).await?,
        })
    }

    /// Reads a database that has been restored into the scratch server, of version `major`.
    pub async fn read_restored(
        &mut self,
        restored: &Client,
        scratch: &Scratch,
        database: &str,
        major: u32,
    ) -> Result<(), ServerError> {
        let in_database = |objects: Vec<String>| {
            objects.into_iter().map(move |object| format!("{object} in \"{database}\""))
        };
        self.hidden.extend(in_database(self.before.hidden_functions(restored).await?));
        self.hidden_objects.extend(in_database(self.before.hidden_objects(restored).await?));
        self.named.extend(in_database(objects_named(restored, &self.reserved).await?));
        self.rejected.extend(in_database(rejected_bodies(restored, scratch, database).await?));
        let using = functions_naming(restored, &self.lost).await?.into_iter();
        let using = using.map(|(function, names)| format!("{function} ({})", shortened(&names)));
        self.using_lost.extend(in_database(using.collect()));
        let abbreviated = definitions_naming(restored, major, &self.abbreviations).await?;
        self.abbreviated.extend(in_database(abbreviated));
        Ok(())
    }

    /// All notes.
    #[must_use]
    pub fn finish(self) -> Vec<Finding> {
        let notes = [
            note(
                "hidden-function",
                "the target has new functions of its own with the same name and the same or similar arguments, and a call without \
                 a schema finds the new one, or is ambiguous: call yours with their schema, or rename them (ALTER FUNCTION … \
                 RENAME TO)",
                &self.hidden,
            ),
            note(
                "hidden-name",
                "the target has new operators, relations or types of its own with these names, and a statement or function that \
                 names them without a schema finds the new ones: name yours with their schema (OPERATOR(public.=)), or rename them",
                &self.hidden_objects,
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
            note(
                "removed-name",
                "functions name what the target no longer has, and will fail when they use it: change them (what is new in its place \
                 is in the release notes, https://www.postgresql.org/docs/release/)",
                &self.using_lost,
            ),
            abbreviations(&self.abbreviations, &self.abbreviated),
            defaults(&self.defaults),
        ];
        notes.into_iter().flatten().collect()
    }
}

fn note(id: &'static str, remedy: &str, objects: &[String]) -> Option<Finding> {
    (!objects.is_empty()).then(|| Finding::note(id, format!("{remedy}: {}", shortened(objects))))
}

fn abbreviations(changed: &[ChangedAbbreviation], definitions: &[String]) -> Option<Finding> {
    let changed: Vec<_> = changed.iter().map(ToString::to_string).collect();
    let held = if definitions.is_empty() {
        String::new()
    } else {
        format!(
            "; they are in {}, of which indexes and generated columns hold the former values (REINDEX, UPDATE); the \
             abbreviations are",
            shortened(definitions)
        )
    };
    let remedy = format!(
        "abbreviations of time zones mean another offset to the target, in values that clients write and after AT TIME \
         ZONE, since 18 prefers the session's TimeZone to timezone_abbreviations \
         (https://www.postgresql.org/docs/18/release-18.html): write offsets or full names instead{held}"
    );
    note("time-zone-abbreviation", &remedy, &changed)
}

/// All are named: there are few, whatever the database holds.
fn defaults(changed: &[ChangedDefault]) -> Option<Finding> {
    let changed: Vec<_> = changed.iter().map(ToString::to_string).collect();
    (!changed.is_empty()).then(|| {
        let text = format!(
            "the target has other defaults of settings that are not set; where the former ones are wanted, set them (user.conf, \
             ALTER SYSTEM): {}",
            changed.join(", ")
        );
        Finding::note("changed-default", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning() -> ChangedMeaning {
        ChangedMeaning {
            before: ServerNames::default(),
            reserved: ReservedWords::default(),
            lost: LostNames::default(),
            hidden: Vec::new(),
            hidden_objects: Vec::new(),
            named: Vec::new(),
            rejected: Vec::new(),
            using_lost: Vec::new(),
            abbreviations: Vec::new(),
            abbreviated: Vec::new(),
            defaults: Vec::new(),
        }
    }

    #[test]
    fn unchanged_meaning_has_no_notes() {
        assert_eq!(meaning().finish(), []);
    }

    #[test]
    fn changed_defaults_are_all_noted_and_documented() {
        assert_eq!(defaults(&[]), None);
        let changed: Vec<_> = (0..20).map(ChangedDefault::example).collect();
        let note = defaults(&changed).unwrap();
        assert!(!note.blocks() && note.text.ends_with("setting_19 (19 before, 20 then)"), "{note}");
        assert!(note.text.contains("setting_0 (0 before, 1 then), setting_1 "), "{note}");
        let page = include_str!("../../../../docs/reference/findings.md");
        assert!(page.contains(&format!("`{}`", note.id)), "docs/reference/findings.md lacks {}", note.id);
    }

    #[test]
    fn changed_abbreviation_is_noted_with_the_definitions_that_name_it() {
        assert_eq!(abbreviations(&[], &["index public.i in \"shop\"".to_owned()]), None);
        let changed = [ChangedAbbreviation::of_kolkata()];
        let note = abbreviations(&changed, &["index public.i in \"shop\"".to_owned()]).unwrap();
        assert!(!note.blocks() && note.text.contains("they are in index public.i in \"shop\""), "{note}");
        assert!(
            note.text
                .ends_with("IST with TimeZone Asia/Kolkata of database shop (+02:00 before, +05:30 then)")
        );
        let page = include_str!("../../../../docs/reference/findings.md");
        assert!(page.contains(&format!("`{}`", note.id)), "docs/reference/findings.md lacks {}", note.id);
    }

    #[test]
    fn changed_meaning_is_noted_with_its_objects_and_documented() {
        let objects = |name: &str| vec![name.to_owned()];
        let changed = ChangedMeaning {
            hidden: objects("public.uuidv7()"),
            named: objects("public.system_user"),
            rejected: objects("public.f()"),
            using_lost: objects("public.g() (pg_is_in_backup: removed)"),
            ..meaning()
        };
        let notes = changed.finish();
        let page = include_str!("../../../../docs/reference/findings.md");
        let objects =
            ["public.uuidv7()", "public.system_user", "public.f()", "public.g() (pg_is_in_backup: removed)"];
        for (note, object) in notes.iter().zip(objects) {
            assert!(!note.blocks() && note.text.ends_with(object), "{note}");
            assert!(page.contains(&format!("`{}`", note.id)), "docs/reference/findings.md lacks {}", note.id);
        }
        assert_eq!(notes.len(), 4);
    }
}
