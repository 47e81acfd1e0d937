//! What happens to a database in the rehearsal before it is compared: it is read and dumped on the serving server, then
//! restored into the scratch server. The next database is dumped meanwhile, so nothing here depends on another one's result.

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
use crate::postgres::schema_rehearsal::{DumpFile, SchemaSource, dump, restore};
use crate::postgres::server::kept_session::KeptSession;
use crate::postgres::server::restored_databases::{CreatedDatabases, RestoredDatabases, size};
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
type Dump = Result<FinishedDump, Attempt>;

struct FinishedDump {
    file: DumpFile,
    took: Duration,
}

/// A database of which there may be a dump.
pub struct Dumped {
    source: SourceDatabase,
    dump: Dump,
}

/// What has become of a database.
pub enum Attempt {
    /// `pg_dump` or the restore would run code of users as superuser.
    RunsCode,
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
    /// What the restore has created on the scratch server.
    pub created: CreatedDatabases,
}

/// What restores have in common.
#[derive(Default)]
pub struct Restoring {
    /// Those that earlier ones have created.
    databases: RestoredDatabases,
    /// In `postgres` on the scratch server, where the rights on it are always read.
    session: KeptSession<Client>,
}

impl Stages<'_> {
    /// Reads a serving database, and dumps its schema. Databases are numbered, since two dumps exist at a time.
    pub async fn dump(&self, number: usize, name: &str) -> Result<Dumped, StepError> {
        let serving = connect_in_turn(&self.upgrade.superuser, self.ip, name).await?;
        let major = self.upgrade.old_major;
        let rights = SourceRights::read(&serving, major, name, self.digest).await?;
        let mut source = SourceDatabase { name: name.to_owned(), serving, rights, before: None };
        if source.rights.run_code(major) {
            return Ok(Dumped { source, dump: Err(Attempt::RunsCode) });
        }
        if !has_room_for_locks(&source.serving).await? {
            return Ok(Dumped { source, dump: Err(Attempt::TooManyLocks) });
        }
        if let Some(census) = &self.census {
            let expressions = source.rights.expressions();
            source.before = Some(BeforeDump::read(census, &source.serving, expressions).await);
        }
        let file = DumpFile::at(number % AHEAD);
        let began = Instant::now();
        let dump = match dump(self.schema, name, &file).await? {
            Ok(()) => Ok(FinishedDump { file, took: began.elapsed() }),
            Err(refusal) => Err(Attempt::NotDumped(refusal)),
        };
        Ok(Dumped { source, dump })
    }

    /// Restores what was dumped.
    pub async fn restore(&self, dumped: Dumped, restoring: &mut Restoring) -> Result<Attempted, StepError> {
        let Dumped { source, dump } = dumped;
        let FinishedDump { file, took } = match dump {
            Ok(dump) => dump,
            Err(attempt) => {
                let (times, created) = (DatabaseTimes::default(), CreatedDatabases::default());
                return Ok(Attempted { source, attempt, times, created });
            }
        };
        let began = Instant::now();
        let errors = restore(self.scratch, &source.name, &file).await?;
        let times = DatabaseTimes { dump: took, restore: began.elapsed() };
        let (attempt, created) = match errors {
            None => {
                // The next restore may add others.
                let (rights, created) = self.left_by_restore(restoring).await?;
                (Attempt::Restored(rights), created)
            }
            Some(errors) => {
                (Attempt::NotRestored(errors), self.created_by_failure(&mut restoring.databases).await)
            }
        };
        if replaces(&source.name) {
            restoring.session.end();
        }
        Ok(Attempted { source, attempt, times, created })
    }

    /// The rights that a restore has left, and what it has created.
    async fn left_by_restore(
        &self,
        restoring: &mut Restoring,
    ) -> Result<(ServerPrivileges, CreatedDatabases), ServerError> {
        let Restoring { databases, session } = restoring;
        let connect = async || self.scratch.connect("postgres").await;
        let read = session.ask(&connect, async |server: &Client| {
            let rights = server_privileges(server, self.upgrade.new_major, self.digest).await?;
            Ok::<_, ServerError>((rights, databases.created(server).await?))
        });
        let (rights, oids) = read.await?;
        let measured = session.ask(&connect, async |server: &Client| size(server, &oids).await).await;
        let bytes = measured.inspect_err(|error| warn_step(Step::Preflight, error)).unwrap_or_default();
        Ok((rights, CreatedDatabases { oids, bytes }))
    }

    /// What a failed restore has created. Even the server may have failed.
    async fn created_by_failure(&self, databases: &mut RestoredDatabases) -> CreatedDatabases {
        let created = async {
            let scratch = self.scratch.connect("template1").await?;
            let oids = databases.created(&scratch).await?;
            let bytes = size(&scratch, &oids).await?;
            Ok::<_, ServerError>(CreatedDatabases { oids, bytes })
        };
        created.await.inspect_err(|error| warn_step(Step::Preflight, error)).unwrap_or_default()
    }
}

/// Whether the restore of a database drops one that existed. There must be no session in one that the next restore drops.
fn replaces(name: &str) -> bool {
    ["template1", "postgres"].contains(&name)
}
