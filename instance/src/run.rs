//! The life of a database pod: waits for the volume, initialises it once, serves, stops cleanly.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgops_api::layout;
use pgops_kube::shutdown::StopSignals;
use pgops_volume::{FileError, Interlock, Volume, create_private_dir};
use rustix::fs::Mode;

use crate::boot::{self, Boot, BootRefusal};
use crate::credentials::Credentials;
use crate::initdb::{self, InitdbError};
use crate::options::Options;
use crate::programs::{Programs, ProgramsError};
use crate::reaper::Reaper;
use crate::server::{self, ServerError};
use crate::stage::{Stage, StageReporter};
use crate::{cluster, health, retired, volume};

/// Why the instance ends.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The operating system denied signals or a socket.
    #[error("failed to {0}")]
    System(&'static str, #[source] io::Error),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    #[error(transparent)]
    Initdb(#[from] InitdbError),
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Runs the database of this pod until it is asked to stop.
#[tokio::main(worker_threads = 2)]
pub async fn run(options: Options) -> Result<(), RunError> {
    // First of all: the kernel does not deliver signals that PID 1 does not handle.
    let mut stop_signals =
        StopSignals::listen().map_err(|source| RunError::System("listen for signals", source))?;
    let reaper = Reaper::start().map_err(|source| RunError::System("listen for ended processes", source))?;
    // Fails only if a provider is installed already, which can only be the same one: there is no other in this program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    rustix::process::umask(Mode::RWXG | Mode::RWXO);

    let credentials = Credentials::read(Path::new(layout::AUTH_DIR))?;
    let (reporter, stage) = StageReporter::new();
    let listener = health::listen().await.map_err(|source| RunError::System("listen for probes", source))?;
    let router = health::router(stage, &credentials.username);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let programs = Programs::find(options.pgdata.major, &reaper).await?;
    tracing::info!(
        namespace = options.namespace, database = options.database, version = %programs.version,
        "instance started"
    );
    let grace = Duration::from_secs(options.grace_seconds);
    let instance = Instance {
        options,
        credentials,
        programs,
        volume: Volume::at(layout::VOLUME_ROOT),
        run_dir: PathBuf::from(RUN_DIR),
        reaper,
        reporter,
    };
    let interlock = tokio::select! {
        interlock = instance.claim() => interlock?,
        () = stop_signals.recv() => {
            // A running initdb dies with this process; what it has created is not a database yet.
            tracing::info!("stopped before the server was started");
            return Ok(());
        }
    };
    instance.serve(&interlock, &mut stop_signals, grace).await
}

/// Directory of files that live as long as the container: generated configuration, initdb's password file.
const RUN_DIR: &str = "/pgops/run";
/// Pause between two checks of a volume that is in use: it adds to the outage of an upgrade.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// Pause before the API server is queried again, or the volume is checked for an operator's repair.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

struct Instance {
    options: Options,
    credentials: Credentials,
    programs: Programs,
    volume: Volume,
    run_dir: PathBuf,
    reaper: Reaper,
    reporter: StageReporter,
}

/// What an instance does next with its volume.
enum Next {
    Go(Boot),
    /// Check again after a pause.
    Wait(Duration),
}

impl Instance {
    /// Waits until this instance may start its server, and initialises the volume if it is new.
    async fn claim(&self) -> Result<Interlock, RunError> {
        create_private_dir(&self.run_dir)?;
        create_private_dir(&self.volume.state_dir())?;
        loop {
            // Checked without the lock first, so that waiting never blocks the upgrade that it waits for;
            // what counts is the second check, under the lock.
            if let Next::Wait(pause) = self.check_volume()? {
                tokio::time::sleep(pause).await;
                continue;
            }
            let Some(interlock) = Interlock::try_take(&self.volume.interlock())? else {
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
    async fn serve(
        &self,
        interlock: &Interlock,
        stop_signals: &mut StopSignals,
        grace: Duration,
    ) -> Result<(), RunError> {
        let mode = self.options.client_auth_mode;
        // An upgrade away from this version may have been started and rolled back.
        self.volume.clear_retired(self.major())?;
        let mut server =
            server::start(&self.volume, interlock, &self.programs, mode, &self.run_dir, &self.reaper)?;
        self.reporter.report(Stage::Running);
        retired::watch(self.volume.clone(), self.major());
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
