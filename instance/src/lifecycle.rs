//! The life of a database: waits for the volume, initialises it once, serves, stops cleanly.

use std::sync::Arc;
use std::time::Duration;

use pgops_kube::shutdown::StopSignals;
use pgops_volume::{Interlock, Tree, Volume};

use crate::boot::{self, Boot, BootRefusal};
use crate::credentials::Credentials;
use crate::error::RunError;
use crate::options::Options;
use crate::programs::Programs;
use crate::reaper::Reaper;
use crate::report::StatusReport;
use crate::server::{self, ServerError};
use crate::stage::{Stage, StageReporter};
use crate::{cluster, initdb, retired, secrets, volume};

/// Pause between two checks of a volume that is in use: it adds to the outage of an upgrade.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// Pause before the API server is queried again, or the volume is checked for an operator's repair.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The instance of one database.
pub struct Instance {
    pub options: Options,
    pub credentials: Credentials,
    pub programs: Programs,
    pub volume: Volume,
    /// Directory of files that live as long as the container: generated configuration, initdb's password file.
    pub run_dir: Tree,
    pub reaper: Reaper,
    pub reporter: StageReporter,
    pub report: Arc<StatusReport>,
}

/// What an instance does next with its volume.
enum Next {
    Go(Boot),
    /// Check again after a pause.
    Wait(Duration),
}

impl Instance {
    /// Waits until this instance may start its server, and initialises the volume if it is new.
    pub async fn claim(&self) -> Result<Interlock, RunError> {
        self.volume.tree().create_dir(&self.volume.state_dir())?;
        loop {
            // Checked without the lock first, so that waiting never blocks the upgrade that it waits for;
            // what counts is the second check, under the lock.
            if let Next::Wait(pause) = self.check_volume()? {
                tokio::time::sleep(pause).await;
                continue;
            }
            let Some(interlock) = Interlock::try_take(&self.volume)? else {
                self.reporter.report(Stage::WaitingForInterlock);
                tokio::time::sleep(POLL_INTERVAL).await;
                continue;
            };
            match self.prepare_volume(&interlock).await? {
                Next::Go(_) => return Ok(interlock),
                Next::Wait(pause) => {
                    drop(interlock);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    fn major(&self) -> u32 {
        self.options.pgdata.major
    }

    /// What may be done with the volume now.
    fn check_volume(&self) -> Result<Next, RunError> {
        let own = self.major();
        Ok(match boot::decide(own, &volume::observe(&self.volume)?) {
            Boot::WaitFor { active } => {
                self.reporter.report(Stage::WaitingForVersion { own, active });
                Next::Wait(POLL_INTERVAL)
            }
            Boot::Refuse(refusal) => self.refuse(refusal),
            boot => Next::Go(boot),
        })
    }

    /// Makes the volume ready for the server; only under the interlock.
    async fn prepare_volume(&self, interlock: &Interlock) -> Result<Next, RunError> {
        let next = self.check_volume()?;
        match next {
            Next::Go(Boot::Initialise) => return self.initialise(interlock).await,
            Next::Go(Boot::Adopt) => {
                tracing::info!(major = self.major(), "adopting the data directory of an interrupted start");
                self.volume.set_active(self.major())?;
            }
            Next::Go(_) | Next::Wait(_) => {}
        }
        Ok(next)
    }

    /// Not an exit: a container that restarts again and again hides the reason, and resumes more slowly.
    fn refuse(&self, refusal: BootRefusal) -> Next {
        self.reporter.report(Stage::Refused(refusal));
        Next::Wait(RETRY_INTERVAL)
    }

    /// Initialises an empty volume, if the API server says that the database is new.
    async fn initialise(&self, interlock: &Interlock) -> Result<Next, RunError> {
        let Options { namespace, database, .. } = &self.options;
        let object = match cluster::own_database(namespace, database).await {
            Ok(object) => object,
            Err(error) => {
                self.reporter.report(Stage::Unanswered(error.to_string()));
                return Ok(Next::Wait(RETRY_INTERVAL));
            }
        };
        if let Err(refusal) = boot::may_initialise(object.as_ref()) {
            return Ok(self.refuse(refusal));
        }
        self.reporter.report(Stage::Initialising);
        initdb::initialise(
            &self.volume,
            interlock,
            &self.programs,
            &self.options.initdb_arguments,
            &self.credentials,
            &self.run_dir,
            &self.reaper,
        )
        .await?;
        Ok(Next::Go(Boot::Start))
    }

    /// Runs the server until it ends or is asked to stop.
    pub async fn serve(
        &self,
        interlock: &Interlock,
        stop_signals: &mut StopSignals,
        grace: Duration,
    ) -> Result<(), RunError> {
        let mode = self.options.client_auth_mode;
        // An upgrade away from this version may have been started and rolled back.
        self.volume.clear_retired(self.major())?;
        retired::make_room(&self.volume, self.major());
        let settings = secrets::settings();
        let mut server =
            server::start(&self.volume, interlock, &self.programs, mode, &self.run_dir, &self.reaper)?;
        self.reporter.report(Stage::Running);
        retired::watch(self.volume.clone(), self.major());
        secrets::watch(self.report.clone(), settings);
        tokio::select! {
            exit = server.wait() => return Err(ServerError::Ended(exit).into()),
            () = stop_signals.recv() => {}
        }
        self.reporter.report(Stage::Stopping);
        server::stop(server, grace, stop_signals.recv()).await?;
        tracing::info!("the server has shut down cleanly");
        Ok(())
    }
}
