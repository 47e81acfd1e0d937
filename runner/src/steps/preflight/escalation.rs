//! What the rehearsal finds out about rights: code of users that the restore runs as superuser, and rights that exist
//! afterwards. It only needs sessions with both servers; its caller dumps and restores.

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::privileges::compare::{Baseline, Pristine};
use crate::postgres::privileges::difference::Difference;
use crate::postgres::privileges::read::{
    Digest, database_privileges, examined_privileges, pristine_privileges, server_privileges,
};
use crate::postgres::privileges::snapshot::{DatabasePrivileges, ServerPrivileges};
use crate::postgres::restore_code::definitions::{CodeInDefinitions, code_in_definitions};
use crate::postgres::restore_code::executed::{UntrustedCall, untrusted_calls};
use crate::postgres::restore_code::stored::{StoredCode, stored_code};
use crate::postgres::statistics::CARRIES_STATISTICS;
use crate::upgrade::{Finding, shortened};

/// Compares the scratch server with the serving one, step by step.
pub struct Escalation {
    baseline: Baseline,
    digest: Digest,
    old_major: u32,
    new_major: u32,
    /// What a restore would call.
    stored: Vec<UntrustedCall>,
    /// What restores have called.
    calls: Vec<UntrustedCall>,
    definitions: Vec<CodeInDefinitions>,
    domain_checks: Vec<String>,
    unreadable: Vec<String>,
    escalations: Vec<Unexplained>,
}

/// What was found about rights.
pub struct Rights {
    pub findings: Vec<Finding>,
    /// What to compare with after `pg_upgrade`.
    pub baseline: Baseline,
    /// Whether `pg_upgrade` must not carry statistics: it would run code of users, or might fail.
    pub without_statistics: bool,
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
    stored: StoredCode,
}

impl SourceRights {
    /// Reads them from a server of `major`. To be called before the database is dumped.
    pub async fn read(
        source: &Client,
        major: u32,
        database: &str,
        digest: Digest,
    ) -> Result<Self, ServerError> {
        Ok(Self {
            privileges: database_privileges(source, major, digest).await?,
            definitions: code_in_definitions(source, database).await?,
            stored: stored_code(source, major, database).await?,
        })
    }

    /// Whether `pg_dump` would run code of users as superuser on the serving database of `major`, or a restore on the scratch
    /// server, which is a finding.
    #[must_use]
    pub fn run_code(&self, major: u32) -> bool {
        !self.stored.calls.is_empty() || self.definitions.iter().any(|code| code.runs_in_dump(major))
    }

    /// A digest of the expressions that use code of users.
    #[must_use]
    pub fn expressions(&self) -> &str {
        &self.stored.digest
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
            database: pristine_privileges(scratch, new_major, digest).await?,
        };
        let before = server_privileges(serving, old_major, digest).await?;
        Ok(Self {
            baseline: Baseline::new(before, pristine, old_major),
            digest,
            old_major,
            new_major,
            stored: Vec::new(),
            calls: Vec::new(),
            definitions: Vec::new(),
            domain_checks: Vec::new(),
            unreadable: Vec::new(),
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
        self.stored.extend(rights.stored.calls);
        self.domain_checks.extend(rights.stored.domain_checks);
        self.unreadable.extend(rights.stored.unreadable);
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
        let (major, digest) = (self.new_major, self.digest);
        let contents = examined_privileges(restored, database, major, digest, &self.baseline).await?;
        let mut found = self.unexplained(server, database, &contents);
        if !found.is_empty() {
            // Clients may have changed the serving database between its reading and its dump.
            let now = database_privileges(source, self.old_major, digest).await?;
            self.baseline.add_database(database, now);
            let still = self.unexplained(server, database, &contents);
            found.retain(|difference| still.contains(difference));
        }
        for difference in found {
            // What one restore has added to the server stays for the next.
            if self.escalations.iter().all(|known| known.difference != difference) {
                self.escalations.push(Unexplained { difference, restored: database.to_owned() });
            }
        }
        Ok(())
    }

    fn unexplained(
        &self,
        server: &ServerPrivileges,
        database: &str,
        contents: &DatabasePrivileges,
    ) -> Vec<Difference> {
        let mut found = self.baseline.compare_server(server);
        found.extend(self.baseline.compare_database(database, contents));
        found
    }

    /// All that was found.
    #[must_use]
    pub fn finish(self) -> Rights {
        let (in_dump, others): (Vec<_>, Vec<_>) =
            self.definitions.into_iter().partition(|code| code.runs_in_dump(self.old_major));
        let carried = self.new_major >= CARRIES_STATISTICS;
        let runs_code = carried && !self.domain_checks.is_empty();
        let may_fail = carried && !self.unreadable.is_empty();
        let findings = [
            escalations(&self.escalations),
            stored(&self.stored),
            calls(&self.calls),
            in_dump_finding(&in_dump),
            definitions(&others),
            runs_code.then(|| statistics(&self.domain_checks)),
            may_fail.then(|| unreadable_statistics(&self.unreadable)),
            not_compared(&self.baseline),
        ];
        let findings = findings.into_iter().flatten().collect();
        Rights { findings, baseline: self.baseline, without_statistics: runs_code || may_fail }
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

fn stored(found: &[UntrustedCall]) -> Option<Finding> {
    let texts: Vec<_> = found.iter().map(ToString::to_string).collect();
    let what = "restoring the schema would run functions whose owners are not superusers, with the superuser's rights; their \
                databases are not rehearsed";
    finding(&texts, "restore-code", &format!("{what}; {TAKE_OVER}"))
}

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

/// `pg_upgrade` of 18 reads the most common values of each column with the superuser's rights, and the server checks those of a
/// domain. The rehearsal has no statistics.
fn statistics(domain_checks: &[String]) -> Finding {
    let text = format!(
        "the planner's statistics are collected again after the upgrade, and not carried: carrying them would run the checks of \
         these domains as superuser, which use functions whose owners are not superusers: {}",
        shortened(domain_checks)
    );
    Finding::note("statistics-not-carried", text)
}

/// `pg_upgrade` would end with the error, after the database has been stopped.
fn unreadable_statistics(objects: &[String]) -> Finding {
    let text = format!(
        "the planner's statistics are collected again after the upgrade, and not carried: restoring them reads values with the \
         system's search path, and these may reject them then, since they call functions or depend on rows of tables: {}",
        shortened(objects)
    );
    Finding::note("statistics-not-carried", text)
}

fn not_compared(baseline: &Baseline) -> Option<Finding> {
    let names: Vec<_> = baseline.without_facts().map(|name| format!("\"{name}\"")).collect();
    (!names.is_empty()).then(|| {
        let what = "these databases have too many objects to compare the rights on each after pg_upgrade";
        Finding::note("rights-not-compared", format!("{what}: {}", shortened(&names)))
    })
}

/// A blocking finding about these objects, if there are any.
fn finding(objects: &[String], id: &'static str, remedy: &str) -> Option<Finding> {
    (!objects.is_empty()).then(|| Finding::new(id, format!("{remedy}: {}", shortened(objects))))
}

#[cfg(test)]
mod tests;
