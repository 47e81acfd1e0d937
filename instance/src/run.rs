//! The life of the process: signals, probes, and then the database.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use pgops_api::layout;
use pgops_kube::shutdown::StopSignals;
use pgops_volume::{FileError, Tree, Volume};
use rustix::fs::Mode;

use crate::credentials::Credentials;
use crate::error::RunError;
use crate::gate;
use crate::health;
use crate::lifecycle::Instance;
use crate::metrics::{self, Collector};
use crate::options::Options;
use crate::programs::Programs;
use crate::reaper::Reaper;
use crate::report::StatusReport;
use crate::session::OwnSessions;
use crate::stage::StageReporter;
use crate::tls::Tls;

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
    let report = StatusReport::new(layout::VOLUME_ROOT);
    let sessions = OwnSessions::new(&credentials.username, options.pgdata.major);
    let volume = Volume::at(layout::VOLUME_ROOT);
    let collector = Collector::new(stage.clone(), sessions.clone(), volume.clone(), options.pgdata.major);
    let router =
        health::router(stage, sessions, options.servers(), report.clone()).merge(metrics::router(collector));
    tokio::spawn(health::serve(listener, router));

    let programs = Programs::find(options.pgdata.major, &reaper).await?;
    tracing::info!(
        namespace = options.namespace, database = options.database, version = %programs.version,
        "instance started"
    );
    let run_dir = Path::new(layout::RUN_DIR);
    DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(run_dir)
        .map_err(FileError::on("create", run_dir))?;
    let run_dir = Tree::at(run_dir);
    let gate = gate::open(&run_dir, &programs, &volume, &reaper)?;
    let grace = Duration::from_secs(options.grace_seconds);
    let server_tls = options.server_tls();
    let instance = Instance {
        tls: server_tls.map(|server| Tls::new(server, &options.namespace, &options.database)),
        options,
        credentials,
        programs,
        volume,
        run_dir,
        reaper,
        gate,
        reporter,
        report,
    };
    let claim = tokio::select! {
        claim = instance.claim() => claim?,
        () = stop_signals.recv() => {
            // A running initdb dies with this process; what it has created is not a database yet.
            tracing::info!("stopped before the server was started");
            return Ok(());
        }
    };
    instance.serve(&claim, &mut stop_signals, grace).await
}
