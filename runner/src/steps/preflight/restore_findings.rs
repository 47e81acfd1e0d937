//! Findings about what a restore rejects: all errors of all databases, by cause.

use std::collections::BTreeMap;

use pgops_api::plan::Step;

use super::dump_findings::place;
use super::extension_objects::ExtensionObjects;
use crate::postgres::extension::members::RejectedExtensions;
use crate::postgres::program::reported_error::ReportedError;
use crate::postgres::program::restore_errors::{RestoreError, RestoreErrors};
use crate::upgrade::{Finding, Named, log_step};

/// How many causes are kept. Each is a finding, or one for each of a few databases.
const MAX_CAUSES: usize = 2000;
/// In how many databases a cause is named with its definitions; in more of them it is one finding.
const MAX_PLACES: usize = 10;

/// The causes in all databases.
#[derive(Debug, Default)]
pub struct Causes {
    found: Vec<Cause>,
    /// By message.
    positions: BTreeMap<String, usize>,
    /// Errors with further causes.
    more: usize,
    of_extensions: ExtensionObjects,
}

/// An error that definitions have in common.
#[derive(Debug)]
struct Cause {
    error: ReportedError,
    places: Vec<Place>,
    databases: Named,
    /// The last of them: the errors of one come one after the other.
    last_database: String,
}

/// The definitions of one database.
#[derive(Debug)]
struct Place {
    database: String,
    definitions: Named,
    /// With those that are not reported.
    errors: usize,
}

/// Logs what [`Causes::add`] returns.
pub fn log(lines: &[String]) {
    for line in lines {
        log_step(Step::Preflight, line);
    }
}

impl Causes {
    /// Adds the errors of a database; `extensions` has those that rejected objects belong to or use. Returns what is to be
    /// logged: each error, but of a cause that many databases have not that of each.
    pub fn add(
        &mut self,
        database: &str,
        errors: RestoreErrors,
        extensions: &RejectedExtensions,
    ) -> Vec<String> {
        let mut lines = Vec::new();
        let mut repeated = 0;
        if errors.more > 0 {
            self.more += errors.more;
            lines.push(format!(
                "database \"{database}\": {} more errors, which were only counted",
                errors.more
            ));
        }
        for error in errors.errors {
            let line = format!("database \"{database}\": {}", error.error);
            let member_of = error.source.and_then(|source| extensions.members.get(&source));
            let user_of = error.source.and_then(|source| extensions.users.get(&source));
            if let Some(extension) = member_of {
                lines.push(format!("{line}, of extension {extension}"));
                self.of_extensions.add(extension, database, described(&error));
            } else if let Some(extension) = user_of {
                lines.push(format!("{line}, which uses extension {extension}"));
                self.of_extensions.add_user(extension, database, error.error.to_string());
            } else if self.add_cause(database, error.error) {
                lines.push(line);
            } else {
                repeated += 1;
            }
        }
        if repeated > 0 {
            lines.push(format!(
                "database \"{database}\": {repeated} more errors that other databases have too"
            ));
        }
        lines
    }

    /// Adds an error; returns whether it is to be logged by itself.
    fn add_cause(&mut self, database: &str, error: ReportedError) -> bool {
        let position = match self.positions.get(&error.message) {
            Some(position) => *position,
            None if self.found.len() == MAX_CAUSES => {
                self.more += 1;
                return true;
            }
            None => {
                self.positions.insert(error.message.clone(), self.found.len());
                self.found.push(Cause::new(error.clone()));
                self.found.len() - 1
            }
        };
        self.found[position].add(database, error.statement)
    }

    /// The findings about definitions of users, and the rejected objects of extensions.
    #[must_use]
    pub fn finish(self) -> (Vec<Finding>, ExtensionObjects) {
        let mut findings: Vec<_> = self.found.iter().flat_map(Cause::findings).collect();
        if self.more > 0 {
            let text =
                format!("{} more errors of other causes; the Job's log names or counts them", self.more);
            findings.push(Finding::new("schema-restore", text));
        }
        (findings, self.of_extensions)
    }
}

impl Cause {
    fn new(error: ReportedError) -> Self {
        Self { error, places: Vec::new(), databases: Named::default(), last_database: String::new() }
    }

    /// Adds an error with this cause; returns whether the database is one of those whose definitions are named.
    fn add(&mut self, database: &str, statement: Option<String>) -> bool {
        if self.last_database != database {
            database.clone_into(&mut self.last_database);
            self.databases.add(format!("\"{database}\""));
            if self.places.len() < MAX_PLACES {
                let definitions = Named::default();
                self.places.push(Place { database: database.to_owned(), definitions, errors: 0 });
            }
        }
        let Some(place) = self.places.last_mut().filter(|place| place.database == database) else {
            return false;
        };
        place.errors += 1;
        if let Some(statement) = statement {
            place.definitions.add(statement);
        }
        true
    }

    fn findings(&self) -> Vec<Finding> {
        if self.databases.is_shortened() {
            let databases = format!("databases {}", self.databases);
            return self.places.first().map(|place| self.finding(&databases, place)).into_iter().collect();
        }
        self.places.iter().map(|it| self.finding(&place(&it.database), it)).collect()
    }

    fn finding(&self, databases: &str, place: &Place) -> Finding {
        let message = &self.error.message;
        let at = if place.definitions.count() > 0 {
            format!(" (at: {})", place.definitions)
        } else {
            String::new()
        };
        if self.error.is_missing_locale() {
            let remedy = "the target image lacks a locale: use one that has it";
            return Finding::new("locale", format!("{databases}: {message}{at}: {remedy}"));
        }
        let remedy = match place.errors {
            _ if self.error.is_missing_label_provider() => {
                "no library that provides these security labels is loaded: put it into shared_preload_libraries of user.conf, in an \
                 image that has it, or drop the labels (SECURITY LABEL … IS NULL)"
            }
            _ if self.error.is_taken_constraint_name() => {
                "the target gives this name to another constraint, as 18 does for NOT NULL: ALTER TABLE … RENAME CONSTRAINT the one \
                 that has it"
            }
            1 => "the target version rejects this definition: change or drop it",
            _ => "the target version rejects these definitions: change or drop them",
        };
        Finding::new("schema-restore", format!("{databases}: {message}{at}: {remedy}"))
    }
}

/// An object of an extension, and why it is rejected.
fn described(error: &RestoreError) -> String {
    match &error.object {
        Some(object) => format!("{object} ({})", error.error.message),
        None => error.error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::program::restore_errors::CatalogId;
    use crate::steps::preflight::dump_findings::ROLES;

    fn error(message: &str, statement: &str, oid: u32) -> RestoreError {
        let error = ReportedError { message: message.into(), statement: Some(statement.into()) };
        RestoreError { error, source: Some(CatalogId { class: 1259, oid }), object: None }
    }

    fn views(count: u32) -> RestoreErrors {
        let view = |number| error("column does not exist", &format!("CREATE VIEW v{number} AS"), number);
        RestoreErrors { errors: (1..=count).map(view).collect(), more: 0 }
    }

    fn findings(causes: Causes) -> Vec<String> {
        causes.finish().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rejected_label_has_a_remedy_of_its_own() {
        let mut causes = Causes::default();
        let label = error("security label provider \"anon\" is not loaded", "SECURITY LABEL FOR anon ON", 1);
        causes.add("shop", RestoreErrors { errors: vec![label], more: 0 }, &RejectedExtensions::default());
        let found = findings(causes);
        assert!(found[0].contains("put it into shared_preload_libraries"), "{found:?}");
        assert!(!found[0].contains("change or drop it"), "{found:?}");
    }

    #[test]
    fn rejected_name_of_a_constraint_has_a_remedy_of_its_own() {
        let mut causes = Causes::default();
        let taken = "constraint \"t_id_not_null\" for relation \"t\" already exists";
        let errors = vec![error(taken, "ALTER TABLE ONLY \"public\".\"t\"", 1)];
        causes.add("shop", RestoreErrors { errors, more: 0 }, &RejectedExtensions::default());
        let found = findings(causes);
        assert!(found[0].contains("RENAME CONSTRAINT the one that has it"), "{found:?}");
    }

    #[test]
    fn rejected_definition_is_named_with_database_and_error() {
        let mut causes = Causes::default();
        let lines = causes.add("shop", views(1), &RejectedExtensions::default());
        assert_eq!(lines, ["database \"shop\": column does not exist (at: CREATE VIEW v1 AS)"]);
        assert_eq!(
            findings(causes),
            [
                "[schema-restore] database \"shop\": column does not exist (at: CREATE VIEW v1 AS): the target version \
              rejects this definition: change or drop it"
            ]
        );
    }

    #[test]
    fn rejected_setting_of_a_role_is_not_said_to_be_in_a_database() {
        let message = "invalid configuration parameter name \"app.user-id\"".to_owned();
        let error = ReportedError { message, statement: None };
        let mut causes = Causes::default();
        causes.add(ROLES, RestoreErrors::one(error), &RejectedExtensions::default());
        let found = findings(causes);
        assert!(found[0].starts_with("[schema-restore] roles of the server, and settings "), "{found:?}");
    }

    #[test]
    fn definitions_with_one_cause_are_one_finding_and_all_are_logged() {
        let mut causes = Causes::default();
        assert_eq!(causes.add("shop", views(2408), &RejectedExtensions::default()).len(), 2408);
        let found = findings(causes);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("v10 AS and 2398 more): the target version rejects these"), "{}", found[0]);
    }

    #[test]
    fn causes_of_a_few_databases_are_findings_of_each_and_of_many_one_finding() {
        let mut causes = Causes::default();
        for number in 0..MAX_PLACES {
            causes.add(&format!("tenant{number}"), views(3), &RejectedExtensions::default());
        }
        let lines = causes.add(
            "other",
            RestoreErrors::one(error("x", "CREATE TABLE t (", 1).error),
            &RejectedExtensions::default(),
        );
        assert_eq!(lines.len(), 1);
        let mut many = causes;
        assert_eq!(many.found.iter().flat_map(Cause::findings).count(), MAX_PLACES + 1);
        for number in MAX_PLACES..700 {
            let lines = many.add(&format!("tenant{number}"), views(3), &RejectedExtensions::default());
            assert_eq!(
                lines,
                [format!("database \"tenant{number}\": 3 more errors that other databases have too")]
            );
        }
        let found = findings(many);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("[schema-restore] databases \"tenant0\", "), "{}", found[0]);
        assert!(
            found[0].contains("and 690 more: column does not exist (at: CREATE VIEW v1 AS,"),
            "{}",
            found[0]
        );
    }

    #[test]
    fn causes_are_bounded_and_the_others_counted() {
        let mut causes = Causes::default();
        let count = u32::try_from(MAX_CAUSES).unwrap() + 7;
        let errors =
            (0..count).map(|number| error(&format!("type t{number} does not exist"), "CREATE", number));
        causes.add(
            "shop",
            RestoreErrors { errors: errors.collect(), more: 3 },
            &RejectedExtensions::default(),
        );
        let found = findings(causes);
        assert_eq!(found.len(), MAX_CAUSES + 1);
        assert!(found[MAX_CAUSES].contains("10 more errors of other causes"), "{}", found[MAX_CAUSES]);
    }

    #[test]
    fn rejected_object_of_an_extension_is_reported_with_its_extension() {
        let mut causes = Causes::default();
        let members = [(CatalogId { class: 1259, oid: 2 }, "debversion".to_owned())].into();
        causes.add("shop", views(3), &RejectedExtensions { members, ..RejectedExtensions::default() });
        let (found, of_extensions) = causes.finish();
        assert_eq!(found.len(), 1);
        assert!(!found[0].text.contains("v2"), "{}", found[0]);
        assert!(format!("{of_extensions:?}").contains("CREATE VIEW v2 AS"), "{of_extensions:?}");
    }

    /// An index whose operator class the target rejects is rejected for a reason that says nothing about it.
    #[test]
    fn rejected_object_that_uses_a_rejected_extension_is_reported_with_that_extension() {
        let mut causes = Causes::default();
        let users = [(CatalogId { class: 1259, oid: 2 }, "debversion".to_owned())].into();
        let lines =
            causes.add("shop", views(2), &RejectedExtensions { users, ..RejectedExtensions::default() });
        assert!(lines[1].ends_with("which uses extension debversion"), "{lines:?}");
        let (found, of_extensions) = causes.finish();
        assert!(found.len() == 1 && found[0].text.contains("CREATE VIEW v1 AS)"), "{found:?}");
        assert!(format!("{of_extensions:?}").contains("CREATE VIEW v2 AS"), "{of_extensions:?}");
    }

    #[test]
    fn missing_locale_has_a_finding_of_its_own() {
        let mut causes = Causes::default();
        let refused = error("invalid LC_CTYPE locale name", "CREATE DATABASE", 1);
        causes.add("shop", RestoreErrors::one(refused.error), &RejectedExtensions::default());
        assert!(findings(causes)[0].starts_with("[locale] database \"shop\": invalid LC_CTYPE"));
    }
}
