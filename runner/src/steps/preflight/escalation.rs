//! What the rehearsal finds out about rights: code of users that the restore runs as superuser, and rights that exist
//! afterwards. It only needs sessions with both servers; its caller dumps and restores.

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::privileges::compare::{Baseline, Pristine};
use crate::postgres::privileges::difference::Difference;
use crate::postgres::privileges::read::{Digest, database_privileges, server_privileges};
use crate::postgres::privileges::snapshot::{DatabasePrivileges, ServerPrivileges};
use crate::postgres::restore_code::definitions::{CodeInDefinitions, code_in_definitions};
use crate::postgres::restore_code::executed::{UntrustedCall, untrusted_calls};
use crate::upgrade::{Finding, shortened};

/// Compares the scratch server with the serving one, step by step.
pub struct Escalation {
    baseline: Baseline,
    digest: Digest,
    old_major: u32,
    new_major: u32,
    calls: Vec<UntrustedCall>,
    definitions: Vec<CodeInDefinitions>,
    escalations: Vec<Unexplained>,
}

/// A right that the restore of a database has added.
struct Unexplained {
    difference: Difference,
    /// The database that was restored.
    restored: String,
}

/// The rights in a serving database, and what code its definitions use.
pub struct SourceRights {
    privileges: DatabasePrivileges,
    definitions: Vec<CodeInDefinitions>,
}

impl SourceRights {
    /// Reads them. To be called before the database is dumped.
    pub async fn read(source: &Client, database: &str, digest: Digest) -> Result<Self, ServerError> {
        Ok(Self {
            privileges: database_privileges(source, digest).await?,
            definitions: code_in_definitions(source, database).await?,
        })
    }

    /// Whether `pg_dump` would run code of users on the serving database as superuser, which is a finding.
    #[must_use]
    pub fn run_in_dump(&self, old_major: u32) -> bool {
        self.definitions.iter().any(|code| code.runs_in_dump(old_major))
    }
}

impl Escalation {
    /// Reads the rights on the serving server, and those of the scratch server before anything is restored. Both clients are
    /// connected to `postgres`: names of roles read differently in a database of another encoding.
    pub async fn begin(
        serving: &Client,
        scratch: &Client,
        old_major: u32,
        new_major: u32,
    ) -> Result<Self, ServerError> {
        let digest = Digest::since(old_major);
        let pristine = Pristine {
            server: server_privileges(scratch, new_major, digest).await?,
            database: database_privileges(scratch, digest).await?,
        };
        let before = server_privileges(serving, old_major, digest).await?;
        Ok(Self {
            baseline: Baseline::new(before, pristine, old_major),
            digest,
            old_major,
            new_major,
            calls: Vec::new(),
            definitions: Vec::new(),
            escalations: Vec::new(),
        })
    }

    /// How values that must not be shown are compared.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Adds what was read of a serving database.
    pub fn add_source(&mut self, database: &str, rights: SourceRights) {
        self.baseline.add_database(database, rights.privileges);
        self.definitions.extend(rights.definitions);
    }

    /// Asks what the restore of a database has run and left; `restored` is connected to it on the scratch server, `source` on
    /// the serving one, and `server` has the rights on the scratch server as this restore has left them. To be called before
    /// anything else uses the restored database.
    pub async fn check_restored(
        &mut self,
        restored: &Client,
        server: &ServerPrivileges,
        source: &Client,
        database: &str,
    ) -> Result<(), ServerError> {
        self.calls.extend(untrusted_calls(restored, self.new_major, source, database).await?);
        let contents = database_privileges(restored, self.digest).await?;
        let found = self.baseline.compare_server(server);
        for difference in found.into_iter().chain(self.baseline.compare_database(database, &contents)) {
            // What one restore has added to the server stays for the next.
            if self.escalations.iter().all(|known| known.difference != difference) {
                self.escalations.push(Unexplained { difference, restored: database.to_owned() });
            }
        }
        Ok(())
    }

    /// All findings, and what to compare with after `pg_upgrade`.
    #[must_use]
    pub fn finish(self) -> (Vec<Finding>, Baseline) {
        let (in_dump, others): (Vec<_>, Vec<_>) =
            self.definitions.into_iter().partition(|code| code.runs_in_dump(self.old_major));
        let findings = [
            escalations(&self.escalations),
            calls(&self.calls),
            in_dump_finding(&in_dump),
            definitions(&others),
        ];
        (findings.into_iter().flatten().collect(), self.baseline)
    }
}

fn escalations(found: &[Unexplained]) -> Option<Finding> {
    let texts: Vec<_> = found
        .iter()
        .map(|Unexplained { difference, restored }| {
            format!("{difference}, after the restore of \"{restored}\"")
        })
        .collect();
    finding(
        &texts,
        "privilege-escalation",
        "restoring the schema gives rights that neither the serving database nor a new cluster has, so a definition runs code \
         as superuser; find it (restore-code and code-in-definitions name candidates), and drop it",
    )
}

/// What is to be done about code that would run with more rights than its owner has.
const TAKE_OVER: &str =
    "let a superuser review each and take it over (ALTER FUNCTION … OWNER TO), or drop what uses it";

fn calls(found: &[UntrustedCall]) -> Option<Finding> {
    let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
    let what =
        "restoring the schema runs functions whose owners are not superusers, with the superuser's rights";
    finding(&texts, "restore-code", &format!("{what}; {TAKE_OVER}"))
}

fn in_dump_finding(found: &[CodeInDefinitions]) -> Option<Finding> {
    let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
    let what = "up to 12 reading the schema runs functions in partition keys with the superuser's rights, and the owners of \
                these are not superusers; their databases are not rehearsed";
    finding(&texts, "restore-code", &format!("{what}; {TAKE_OVER}"))
}

fn definitions(found: &[CodeInDefinitions]) -> Option<Finding> {
    let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| {
        let what = "definitions use functions whose owners are not superusers, which a restore runs as superuser if it must \
                    evaluate them (then restore-code names them)";
        Finding::note("code-in-definitions", format!("{what}: {}", shortened(&texts)))
    })
}

/// A blocking finding about these objects, if there are any.
fn finding(objects: &[String], id: &'static str, remedy: &str) -> Option<Finding> {
    (!objects.is_empty()).then(|| Finding::new(id, format!("{remedy}: {}", shortened(objects))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> UntrustedCall {
        UntrustedCall {
            database: "shop".into(),
            function: "s.key(integer)".into(),
            owner: Some("tenant".into()),
            objects: vec!["table s.t".into()],
        }
    }

    fn code(in_partition_key: bool) -> CodeInDefinitions {
        CodeInDefinitions {
            database: "shop".into(),
            function: "s.key(integer)".into(),
            owner: "tenant".into(),
            uses: 1,
            objects: vec!["table s.t".into()],
            in_partition_key,
        }
    }

    fn escalation(old_major: u32) -> Escalation {
        Escalation {
            baseline: Baseline::new(ServerPrivileges::default(), Pristine::default(), old_major),
            digest: Digest::since(old_major),
            old_major,
            new_major: 17,
            calls: Vec::new(),
            definitions: Vec::new(),
            escalations: Vec::new(),
        }
    }

    fn texts(escalation: Escalation) -> Vec<String> {
        escalation.finish().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn restore_without_code_and_new_rights_has_no_finding() {
        assert_eq!(texts(escalation(13)), [""; 0]);
    }

    #[test]
    fn code_that_a_restore_runs_blocks_and_is_named_with_the_remedy() {
        let found = texts(Escalation { calls: vec![call()], ..escalation(13) });
        assert!(found[0].starts_with("[restore-code] "), "{found:?}");
        for part in ["OWNER TO", "s.key(integer) of \"tenant\" in \"shop\" (used by table s.t)"] {
            assert!(found[0].contains(part), "{part} in {found:?}");
        }
    }

    #[test]
    fn rights_that_a_restore_adds_block_and_are_named_with_the_database() {
        let difference = Difference {
            object: "role \"tenant\"".into(),
            database: None,
            before: "no SUPERUSER".into(),
            after: "SUPERUSER".into(),
        };
        let escalations = vec![Unexplained { difference, restored: "shop".into() }];
        let found = texts(Escalation { escalations, ..escalation(13) });
        assert!(found[0].starts_with("[privilege-escalation] "), "{found:?}");
        let part = "role \"tenant\": SUPERUSER (before: no SUPERUSER), after the restore of \"shop\"";
        assert!(found[0].contains(part), "{found:?}");
    }

    #[test]
    fn code_in_definitions_is_a_note_unless_the_dump_runs_it() {
        let found = texts(Escalation { definitions: vec![code(true)], ..escalation(13) });
        assert!(found[0].starts_with("[code-in-definitions] note: "), "{found:?}");
        let found = texts(Escalation { definitions: vec![code(true), code(false)], ..escalation(12) });
        assert!(found[0].starts_with("[restore-code] "), "{found:?}");
        assert!(found[1].starts_with("[code-in-definitions] note: "), "{found:?}");
    }
}
