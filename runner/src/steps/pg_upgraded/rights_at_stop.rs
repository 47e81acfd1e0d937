//! Reads the rights once more while `pg_upgrade` dumps the old server: no client can connect any more, so these are the rights
//! that the upgrade carries: they explain what clients have created or granted between the last look and the stop. A server of
//! our own would make the outage longer.
//!
//! They are an explanation only if no code of users has run as superuser before they were read. The restore is what runs it, on
//! the new server, and a server writes its control file before it answers: as long as the new one's file is as `initdb` has
//! left it, nothing was restored.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};
use pgops_api::display_chain;
use pgops_api::plan::Step;
use pgops_volume::FileState;
use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::pg_upgrade;
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::privileges::read::{Digest, database_privileges, server_privileges};
use crate::postgres::server::socket::ServerSocket;
use crate::upgrade::{Facts, StepError, UpgradeContext};

/// Up to 12 the old server itself runs code when `pg_dump` opens a partitioned table.
const DUMP_RUNS_NO_CODE: u32 = 13;
/// How often it is tried to connect, until the server has started.
const INTERVAL: Duration = Duration::from_millis(10);
/// How long a session lasts at most.
const SESSION_TIME: Duration = Duration::from_mins(1);

/// What is needed to read the rights during a run of `pg_upgrade`.
pub struct RightsAtStop<'a> {
    upgrade: &'a UpgradeContext,
    facts: &'a Facts,
    first: &'a Baseline,
    new_control: ControlFile,
}

/// The control file of the new cluster.
struct ControlFile {
    path: PathBuf,
    before: FileState,
}

impl<'a> RightsAtStop<'a> {
    /// To be called before `pg_upgrade` is started on a cluster that `initdb` has left, with what the preflight has read. `None`
    /// if its old server would tell nothing.
    pub fn prepare(upgrade: &'a UpgradeContext, first: &'a Baseline) -> Result<Option<Self>, StepError> {
        if upgrade.old_major < DUMP_RUNS_NO_CODE {
            return Ok(None);
        }
        let facts = upgrade.facts()?;
        let path = upgrade.volume.data_dir(upgrade.new_major).join("global/pg_control");
        let before = upgrade.volume.tree().state(&path)?;
        Ok(Some(Self { upgrade, facts, first, new_control: ControlFile { path, before } }))
    }

    /// Reads them; `None` if they explain nothing. The caller ends it with the run of `pg_upgrade`.
    pub async fn read(&self) -> Option<Baseline> {
        let read = self.try_read().await;
        read.unwrap_or_else(|error| {
            // The old server may have been stopped meanwhile. What the preflight has read is enough, unless clients have changed
            // something since.
            let step = Step::PgUpgraded;
            tracing::debug!(%step, "the rights of the old server are not read again: {}", display_chain(&error));
            None
        })
    }

    async fn try_read(&self) -> Result<Option<Baseline>, ServerError> {
        let (agent, major) = (&self.upgrade.agents.programs, self.upgrade.old_major);
        let directory = Path::new(pg_upgrade::SOCKET_DIR);
        let socket = ServerSocket::on_port(pg_upgrade::PORT, agent, directory, major, SESSION_TIME);
        let Some(server) = self.connect(&socket).await? else { return Ok(None) };
        let digest = Digest::since(self.first.old_major);
        let mut rights = self.first.with_server(server_privileges(&server, major, digest).await?);
        // One after the other: their dumps, which take far longer, need the processors.
        for name in &self.facts.databases {
            let database = socket.connect(name, self.user()).await?;
            rights.renew_database(name, database_privileges(&database, major, digest).await?);
        }
        Ok(self.is_new_server_unstarted().then_some(rights))
    }

    /// A session with the old server, once it has started; `None` if the new one has started since. Names of roles are read in
    /// the database in which the preflight has read them.
    async fn connect(&self, socket: &ServerSocket) -> Result<Option<Client>, ServerError> {
        let has_usual = self.facts.databases.iter().any(|name| name == "postgres");
        let database = if has_usual { "postgres" } else { "template1" };
        loop {
            let connected = socket.connect(database, self.user()).await;
            // A restore waits for the end of each session in the databases that it creates again.
            if !self.is_new_server_unstarted() {
                return Ok(None);
            }
            match connected {
                Ok(server) => return Ok(Some(server)),
                Err(error) if error.is_lost() => return Err(error),
                Err(_) => tokio::time::sleep(INTERVAL).await,
            }
        }
    }

    fn user(&self) -> &str {
        &self.facts.shape.install_user
    }

    /// Whether no server has been started on the new cluster since.
    fn is_new_server_unstarted(&self) -> bool {
        let ControlFile { path, before } = &self.new_control;
        self.upgrade.volume.tree().state(path).is_ok_and(|state| state == *before)
    }
}

/// The output of `work`, and that of `reading` if it ends before `work`: there is no waiting for it.
pub async fn meanwhile<T, R>(
    work: impl Future<Output = T>,
    reading: impl Future<Output = R>,
) -> (T, Option<R>) {
    let work = pin!(work);
    let reading = pin!(reading);
    match select(work, reading).await {
        Either::Left((output, _)) => (output, None),
        Either::Right((read, work)) => (work.await, Some(read)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, ready};

    async fn after_a_moment() -> u32 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        17
    }

    #[tokio::test]
    async fn reading_that_has_not_ended_with_the_work_is_given_up() {
        assert_eq!(meanwhile(after_a_moment(), ready("rights")).await, (17, Some("rights")));
        assert_eq!(meanwhile(after_a_moment(), pending::<&str>()).await, (17, None));
    }
}
