//! The life of a database pod: wait for the volume, initialise once, serve, stop cleanly.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgops_api::layout;
use rustix::fs::Mode;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::boot::{self, Boot, Refusal};
use crate::credentials::Credentials;
use crate::initdb::{self, InitdbError};
use crate::interlock::Interlock;
use crate::options::Options;
use crate::programs::{Programs, ProgramsError};
use crate::reaper::Reaper;
use crate::server::{self, ServerError};
use crate::stage::{Board, Stage};
use crate::volume::{self, FileError, Volume};
use crate::{cluster, health, retired};

/// Why the instance ends.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The operating system gives no runtime, signals or socket.
    #[error("failed to {0}")]
    System(&'static str, #[source] io::Error),
    /// A file of the pod or of the volume.
    #[error(transparent)]
    File(#[from] FileError),
    /// The image's programs.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// The first initialisation.
    #[error(transparent)]
    Initdb(#[from] InitdbError),
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Runs the database of this pod until it is told to stop.
#[tokio::main(worker_threads = 2)]
pub async fn run(options: Options) -> Result<(), RunError> {
    // First of all: PID 1 gets no signal that it does not handle.
    let mut orders = Orders::listen().map_err(|source| RunError::System("listen for signals", source))?;
    let reaper = Reaper::start().map_err(|source| RunError::System("listen for ended processes", source))?;
    // Fails only where one is installed, and then it is the same: there is one in this program.
    let _ = rustls::crypto::ring::default_provider().install_default();
    rustix::process::umask(Mode::RWXG | Mode::RWXO);

    let credentials = Credentials::read(Path::new(layout::AUTH_DIR))?;
    let (board, stage) = Board::new();
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
        board,
    };
    let interlock = tokio::select! {
        interlock = instance.claim() => interlock?,
        () = orders.stop() => {
            // An initdb at work dies with this process; what it made has not become a database.
            tracing::info!("told to stop before the server was started");
            return Ok(());
        }
    };
    instance.serve(&interlock, &mut orders, grace).await
}

/// Directory for what lives as long as the container: generated configuration, initdb's password file.
const RUN_DIR: &str = "/pgops/run";
/// Pause between two looks at a volume that someone else has: it adds to the outage of an upgrade.
const POLL: Duration = Duration::from_millis(25);
/// Pause before the API server is asked again, or a person's repair is looked for.
const RETRY: Duration = Duration::from_secs(1);

struct Instance {
    options: Options,
    credentials: Credentials,
    programs: Programs,
    volume: Volume,
    run_dir: PathBuf,
    reaper: Reaper,
    board: Board,
}

impl Instance {
    /// Waits until this instance may start its server, and initialises the volume if it is new.
    async fn claim(&self) -> Result<Interlock, RunError> {
        volume::make_directory(&self.run_dir)?;
        self.volume.prepare()?;
        loop {
            // Looked at without the lock first, so that waiting never stands in the way of the
            // upgrade it waits for; what counts is the second look, under the lock.
            if let Err(pause) = self.proceed()? {
                tokio::time::sleep(pause).await;
                continue;
            }
            let Some(interlock) = Interlock::try_take(&self.volume.interlock())? else {
                self.board.set(Stage::WaitingForInterlock);
                tokio::time::sleep(POLL).await;
                continue;
            };
            let pause = match self.proceed()? {
                Ok(Boot::Initialise) => match self.initialise(&interlock).await? {
                    Ok(()) => return Ok(interlock),
                    Err(pause) => pause,
                },
                Ok(Boot::Adopt) => {
                    tracing::info!(
                        major = self.major(),
                        "taking over the data directory of an interrupted start"
                    );
                    self.volume.activate(self.major())?;
                    return Ok(interlock);
                }
                Ok(_) => return Ok(interlock),
                Err(pause) => pause,
            };
            drop(interlock);
            tokio::time::sleep(pause).await;
        }
    }

    fn major(&self) -> u32 {
        self.options.pgdata.major
    }

    /// What may be done with the volume now, or how long to wait before the next look.
    fn proceed(&self) -> Result<Result<Boot, Duration>, RunError> {
        let own = self.major();
        Ok(match boot::decide(own, &self.volume.observe()?) {
            Boot::WaitFor { serving } => {
                self.board.set(Stage::WaitingForVersion { own, serving });
                Err(POLL)
            }
            Boot::Refuse(refusal) => Err(self.refuse(refusal)),
            boot => Ok(boot),
        })
    }

    /// Not an exit: a container that restarts again and again hides its reason, and is slower to go on.
    fn refuse(&self, refusal: Refusal) -> Duration {
        self.board.set(Stage::Refused(refusal));
        RETRY
    }

    /// Initialises an empty volume, if the API server says that the database is new.
    async fn initialise(&self, interlock: &Interlock) -> Result<Result<(), Duration>, RunError> {
        let Options { namespace, database, .. } = &self.options;
        let object = match cluster::own_database(namespace, database).await {
            Ok(object) => object,
            Err(why) => {
                self.board.set(Stage::Unanswered(why.to_string()));
                return Ok(Err(RETRY));
            }
        };
        if let Err(refusal) = boot::may_initialise(object.as_ref()) {
            return Ok(Err(self.refuse(refusal)));
        }
        self.board.set(Stage::Initialising);
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
        Ok(Ok(()))
    }

    /// Runs the server until it ends or is told to.
    async fn serve(
        &self,
        interlock: &Interlock,
        orders: &mut Orders,
        grace: Duration,
    ) -> Result<(), RunError> {
        let mode = self.options.client_auth_mode;
        // An upgrade away from this version may have come and gone.
        self.volume.unretire(self.major())?;
        let mut server =
            server::start(&self.volume, interlock, &self.programs, mode, &self.run_dir, &self.reaper)?;
        self.board.set(Stage::Running);
        retired::watch(self.volume.clone(), self.major());
        tokio::select! {
            exit = server.wait() => return Err(ServerError::Ended(exit).into()),
            () = orders.stop() => {}
        }
        self.board.set(Stage::Stopping);
        server::stop(server, grace, orders.stop()).await?;
        tracing::info!("the server has shut down cleanly");
        Ok(())
    }
}

/// The signals that mean "stop".
struct Orders {
    terminate: Signal,
    interrupt: Signal,
}

impl Orders {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next order to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
