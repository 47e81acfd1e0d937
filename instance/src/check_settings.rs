//! `pgops-instance check-settings`: whether a server of this image would start with the settings that are mounted. It runs in a
//! pod of its own, with nothing but these settings: a database gets a Secret only when this has accepted it.
//!
//! What the server would not start with is the termination message of the container. The kubelet starts the container again,
//! which then waits until the files are others.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use pgops_api::serverconf::{self, MountedAuthority};
use pgops_api::settings::{check_file, digest};
use pgops_api::tls::SslMode;
use pgops_api::{layout, names};
use pgops_kube::shutdown::StopSignals;
use pgops_volume::{FileError, Tree};
use tokio::time::Instant;

use crate::error::RunError;
use crate::options::DataDirectory;
use crate::programs::Programs;
use crate::reaper::Reaper;
use crate::server;
use crate::settings::{Checker, Refusal};

/// Interval between two reads of the files, which the kubelet replaces within about a minute after a change.
const INTERVAL: Duration = Duration::from_secs(2);
/// Time after which files that were rejected are checked again although they are the same: others that they include may have been
/// the cause. Longer than the kubelet remembers how often a container has ended.
const RECHECK: Duration = Duration::from_mins(15);

/// The options of `pgops-instance check-settings`.
#[derive(clap::Args)]
pub struct Options {
    /// The data directory of the server, `/var/pv/<major version>/data`, which need not exist.
    #[arg(long, env = "PGDATA", value_name = "DIR")]
    pgdata: DataDirectory,
    /// Whether the server speaks TLS, as for `run`.
    #[arg(long, env = "PGOPS_SSL_MODE", value_name = "MODE")]
    ssl_mode: Option<SslMode>,
}

/// The result of a check.
#[derive(Debug, Eq, PartialEq)]
pub enum Outcome {
    Accepted,
    /// Why the server would not start.
    Rejected(String),
    /// The pod is being deleted.
    Stopped,
}

/// Checks the mounted settings once, as soon as they are others than those that were rejected last.
#[tokio::main(flavor = "current_thread")]
pub async fn run(options: &Options) -> Result<Outcome, RunError> {
    let mut stop_signals =
        StopSignals::listen().map_err(|source| RunError::System("listen for signals", source))?;
    let reaper = Reaper::start().map_err(|source| RunError::System("listen for ended processes", source))?;
    tokio::select! {
        // It lives as long as the pod, so that a container knows what the one before it has rejected.
        outcome = check(options, reaper, Path::new(layout::RUN_DIR)) => outcome,
        () = stop_signals.recv() => Ok(Outcome::Stopped),
    }
}

async fn check(options: &Options, reaper: Reaper, run_dir: &Path) -> Result<Outcome, RunError> {
    let major = options.pgdata.major;
    let programs = Programs::find(major, &reaper).await?;
    // Instead of a data directory, of which a server that only checks its settings reads no other file.
    let data = run_dir.join("empty");
    DirBuilder::new().mode(0o700).recursive(true).create(&data).map_err(FileError::on("create", &data))?;
    let run_dir = Tree::at(run_dir);
    let rejected = Rejected::at(&run_dir);
    rejected.wait_for_others(contents).await;
    let pgdata = layout::pgdata(major);
    let text = match options.ssl_mode.filter(|mode| *mode != SslMode::Disable) {
        None => serverconf::postgresql_conf(pgdata.as_ref()),
        Some(_) => serverconf::postgresql_conf_with_tls(pgdata.as_ref(), major, MountedAuthority::Absent),
    };
    server::write(&run_dir, "postgresql.conf", &text)?;
    let seen = contents();
    let checker = Checker { programs, reaper, run_dir: run_dir.clone(), data };
    let outcome = match check_file(&seen.user_conf) {
        Err(error) => Err(Refusal::Rejected(error.to_string())),
        Ok(()) => checker.check_present().await,
    };
    match outcome {
        Ok(()) => Ok(Outcome::Accepted),
        Err(Refusal::Rejected(words)) => {
            rejected.record(&seen)?;
            Ok(Outcome::Rejected(words))
        }
        Err(Refusal::Unknown(words)) => Err(RunError::SettingsNotChecked(words)),
    }
}

/// The settings that are mounted: those of the Secret, and those that are in the `Postgres` itself.
struct Contents {
    user_conf: String,
    inline: String,
}

fn contents() -> Contents {
    let read = |directory: &str, name: &str| {
        let text = fs::read(Path::new(directory).join(name)).unwrap_or_default();
        String::from_utf8_lossy(&text).into_owned()
    };
    Contents {
        user_conf: read(layout::CONFIG_DIR, names::USER_CONF),
        inline: read(layout::SETTINGS_DIR, names::INLINE_CONF),
    }
}

impl Contents {
    fn digest(&self) -> String {
        format!("{} {}", digest(&self.user_conf), digest(&self.inline))
    }
}

/// A file that identifies the settings that were rejected last.
struct Rejected<'a> {
    run_dir: &'a Tree,
}

impl<'a> Rejected<'a> {
    fn at(run_dir: &'a Tree) -> Self {
        Self { run_dir }
    }

    fn record(&self, contents: &Contents) -> Result<(), FileError> {
        server::write(self.run_dir, "rejected", &contents.digest()).map(drop)
    }

    /// Waits until the settings are others, or for a while.
    async fn wait_for_others(&self, contents: impl Fn() -> Contents) {
        let begin = Instant::now();
        let last = fs::read_to_string(self.run_dir.root().join("rejected")).ok();
        while last.as_ref().is_some_and(|last| *last == contents().digest()) && begin.elapsed() < RECHECK {
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn of(user_conf: &str) -> Contents {
        Contents { user_conf: user_conf.to_owned(), inline: String::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn rejected_settings_are_checked_again_when_they_are_others_or_after_a_while() {
        let root = tempfile::tempdir().unwrap();
        let run_dir = Tree::at(root.path());
        let rejected = Rejected::at(&run_dir);
        let waited = async |contents: &dyn Fn() -> Contents| {
            let begin = Instant::now();
            rejected.wait_for_others(contents).await;
            begin.elapsed()
        };
        assert_eq!(waited(&|| of("bad")).await, Duration::ZERO, "none was rejected");
        rejected.record(&of("bad")).unwrap();
        assert_eq!(waited(&|| of("good")).await, Duration::ZERO);
        assert!(waited(&|| of("bad")).await >= RECHECK);
        let reads = Cell::new(0);
        let corrected = || {
            reads.set(reads.get() + 1);
            of(if reads.get() > 3 { "good" } else { "bad" })
        };
        let took = waited(&corrected).await;
        assert!(took >= 3 * INTERVAL && took < 4 * INTERVAL, "{took:?}");
        rejected.record(&of("worse")).unwrap();
        assert_eq!(waited(&|| of("bad")).await, Duration::ZERO, "the last one counts");
    }
}
