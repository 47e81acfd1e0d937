//! What happens to a database in the rehearsal before it is compared: it is read and dumped on the serving server, then
//! restored into the scratch server. The next database is dumped meanwhile, so nothing here depends on another one's result.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use pgops_api::plan::Step;
use tokio_postgres::Client;

use super::census::BeforeDump;
use super::escalation::SourceRights;
use super::pipeline::AHEAD;
use super::rehearsal_times::DatabaseTimes;
use crate::postgres::census::read::Census;
use crate::postgres::client::catalog::has_room_for_locks;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::side_by_side::connect_in_turn;
use crate::postgres::privileges::read::{Digest, server_privileges};
use crate::postgres::privileges::snapshot::ServerPrivileges;
use crate::postgres::program::reported_error::ReportedError;
use crate::postgres::program::restore_errors::RestoreErrors;
use crate::postgres::schema_rehearsal::{SchemaSource, dump, dump_file, restore};
use crate::postgres::server::restored_databases::RestoredDatabases;
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{StepError, UpgradeContext, warn_step};

/// What the stages need for every database.
pub struct Stages<'a> {
    pub upgrade: &'a UpgradeContext,
    /// Address of the serving database.
    pub ip: &'a str,
    pub schema: &'a SchemaSource<'a>,
    pub scratch: &'a Scratch,
    /// How the system catalogs are compared, if they are.
    pub census: Option<Census>,
    pub digest: Digest,
}

/// A serving database as it was before its dump began.
pub struct SourceDatabase {
    pub name: String,
    /// Connected to it.
    pub serving: Client,
    pub rights: SourceRights,
    /// What its system catalogs held, if they are compared.
    pub before: Option<Result<BeforeDump, ServerError>>,
}

/// A dump, or why there is none.
type Dump = Result<DumpFile, Attempt>;

struct DumpFile {
    path: PathBuf,
    took: Duration,
}

/// A database of which there may be a dump.
pub struct Dumped {
    source: SourceDatabase,
    dump: Dump,
}

/// What has become of a database.
pub enum Attempt {
    /// `pg_dump` would run code of users on the serving database as superuser.
    DumpRunsCode,
    /// Its dump would fill the lock table.
    TooManyLocks,
    NotDumped(ReportedError),
    NotRestored(RestoreErrors),
    /// With the rights on the scratch server as this restore has left them.
    Restored(ServerPrivileges),
}

/// A database that has been tried.
pub struct Attempted {
    pub source: SourceDatabase,
    pub attempt: Attempt,
    pub times: DatabaseTimes,
    /// OIDs of the databases that the restore has created on the scratch server.
    pub created: Vec<String>,
}

impl Stages<'_> {
    /// Reads a serving database, and dumps its schema. Databases are numbered, since two dumps exist at a time.
    pub async fn dump(&self, number: usize, name: &str) -> Result<Dumped, StepError> {
        let serving = connect_in_turn(&self.upgrade.superuser, self.ip, name).await?;
        let rights = SourceRights::read(&serving, name, self.digest).await?;
        let mut source = SourceDatabase { name: name.to_owned(), serving, rights, before: None };
        if source.rights.run_in_dump(self.upgrade.old_major) {
            return Ok(Dumped { source, dump: Err(Attempt::DumpRunsCode) });
        }
        if !has_room_for_locks(&source.serving).await? {
            return Ok(Dumped { source, dump: Err(Attempt::TooManyLocks) });
        }
        if let Some(census) = &self.census {
            source.before = Some(BeforeDump::read(census, &source.serving).await);
        }
        let path = dump_file(number % AHEAD);
        let began = Instant::now();
        let dump = match dump(self.schema, name, &path).await? {
            Ok(()) => Ok(DumpFile { path, took: began.elapsed() }),
            Err(refusal) => Err(Attempt::NotDumped(refusal)),
        };
        Ok(Dumped { source, dump })
    }

    /// Restores what was dumped. `databases` has those that earlier restores have created.
    pub async fn restore(
        &self,
        dumped: Dumped,
        databases: &mut RestoredDatabases,
    ) -> Result<Attempted, StepError> {
        let Dumped { source, dump } = dumped;
        let DumpFile { path, took } = match dump {
            Ok(dump) => dump,
            Err(attempt) => {
                let (times, created) = (DatabaseTimes::default(), Vec::new());
                return Ok(Attempted { source, attempt, times, created });
            }
        };
        let began = Instant::now();
        let errors = restore(self.scratch, &source.name, &path).await?;
        let times = DatabaseTimes { dump: took, restore: began.elapsed() };
        let (attempt, created) = match errors {
            None => {
                // The next restore may add others.
                let server = self.scratch.connect("postgres").await?;
                let rights = server_privileges(&server, self.upgrade.new_major, self.digest).await?;
                (Attempt::Restored(rights), databases.created(&server).await?)
            }
            Some(errors) => (Attempt::NotRestored(errors), self.created_by_failure(databases).await),
        };
        Ok(Attempted { source, attempt, times, created })
    }

    /// What a failed restore has created. Even the server may have failed.
    async fn created_by_failure(&self, databases: &mut RestoredDatabases) -> Vec<String> {
        let created = async { databases.created(&self.scratch.connect("template1").await?).await };
        created.await.inspect_err(|error| warn_step(Step::Preflight, error)).unwrap_or_default()
    }
}
