//! Keeps Patroni running: a server without it is ended by the watchdog.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pgops_api::layout;
use rustix::process::Signal;

use super::bundle::{Bundle, BundleError};
use super::files::Files;
use crate::environment;
use crate::reaper::{Process, Reaper};
use crate::watchdog::PatroniStarts;

/// One that ends sooner than this after its start does so for a reason that does not pass at once.
const SHORT: Duration = Duration::from_secs(2);
/// Pause before it is started again then.
const PAUSE: Duration = Duration::from_secs(1);

/// Why Patroni does not run.
#[derive(Debug, thiserror::Error)]
pub enum PatroniError {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error("failed to start Patroni by {}", .program.display())]
    Start {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Patroni, which is started again whenever it ends.
pub struct Patroni {
    reaper: Reaper,
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    starts: PatroniStarts,
    /// None between its end and the next start.
    process: Option<Process>,
    started: Instant,
}

impl Patroni {
    /// Starts that of the mounted bundle.
    pub fn start(files: &Files, reaper: &Reaper, starts: PatroniStarts) -> Result<Self, PatroniError> {
        let bundle = Bundle::open(Path::new(layout::HA_DIR))?;
        let mut patroni = Self {
            reaper: reaper.clone(),
            program: bundle.interpreter,
            arguments: vec![bundle.script.into(), files.configuration.clone().into()],
            environment: variables(files, std::env::vars_os()),
            starts,
            process: None,
            started: Instant::now(),
        };
        patroni.spawn()?;
        Ok(patroni)
    }

    /// Starts it again whenever it ends, until that fails. May be dropped and called again.
    pub async fn keep_running(&mut self) -> PatroniError {
        loop {
            if let Some(process) = &mut self.process {
                let exit = process.wait().await;
                self.process = None;
                tracing::warn!("Patroni has ended with {exit}: starting it again");
            }
            if self.started.elapsed() < SHORT {
                tokio::time::sleep(PAUSE).await;
            }
            if let Err(error) = self.spawn() {
                return error;
            }
        }
    }

    /// Asks it to hand its role over, to stop the server and to end.
    pub async fn stop(mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::TERM);
            let exit = process.wait().await;
            tracing::info!("Patroni has ended with {exit}");
        }
    }

    fn spawn(&mut self) -> Result<(), PatroniError> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(self.environment.iter().cloned()).stdin(Stdio::null());
        let failed = |source| PatroniError::Start { program: self.program.clone(), source };
        self.process = Some(self.reaper.spawn(&mut command).map_err(failed)?);
        self.started = Instant::now();
        self.starts.record();
        Ok(())
    }
}

/// The server inherits them from Patroni, so they are those of a server, with what Patroni alone needs. Variables of users that would
/// configure Patroni are left out: what it does with the data is up to the instance.
fn variables(
    files: &Files,
    inherited: impl IntoIterator<Item = (OsString, OsString)>,
) -> Vec<(OsString, OsString)> {
    let mut variables = environment::server(inherited);
    let (name, path) = files.environment();
    let arenas = "MALLOC_ARENA_MAX";
    // Patroni sets that of the server by another variable. 0 is the default of the C library.
    let servers = variables.iter().find(|(name, _)| name == arenas).map(|(_, value)| value.clone());
    let configures_patroni = |name: &OsString| name.as_encoded_bytes().starts_with(b"PATRONI_");
    variables.retain(|(name, _)| {
        name != arenas && name != "LANG" && name != "LC_ALL" && !configures_patroni(name)
    });
    variables.extend([
        (name.into(), path.into()),
        (arenas.into(), "1".into()),
        (format!("PG_{arenas}").into(), servers.unwrap_or_else(|| "0".into())),
        ("LANG".into(), environment::LANG.into()),
    ]);
    variables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::fixture::{Fixture, until};
    use crate::watchdog::Watchdog;
    use pgops_volume::Tree;
    use std::fs;

    #[tokio::test(flavor = "multi_thread")]
    async fn patroni_is_started_again_when_it_ends_and_ends_when_it_is_asked_to() {
        let fixture = Fixture::new("exit 0");
        let run_dir = Tree::at(fixture.run_dir());
        let (_watchdog, starts) = Watchdog::new(&run_dir, fixture.access.clone()).unwrap();
        let log = fixture.file("starts");
        let script =
            format!("echo $$ >> {}; trap 'exit 0' TERM; while :; do sleep 0.05; done", log.display());
        let mut patroni = Patroni {
            reaper: Reaper::start().unwrap(),
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
            starts,
            process: None,
            started: Instant::now(),
        };
        patroni.spawn().unwrap();
        let starts = || fs::read_to_string(&log).unwrap_or_default().lines().count();
        until("it runs", || starts() == 1);
        patroni.process.as_ref().unwrap().signal(Signal::KILL);
        let begin = Instant::now();
        while starts() < 2 {
            let _ = tokio::time::timeout(Duration::from_millis(10), patroni.keep_running()).await;
            assert!(begin.elapsed() < Duration::from_secs(20));
        }
        tokio::time::timeout(Duration::from_secs(20), patroni.stop()).await.unwrap();
        assert_eq!(starts(), 2);
    }

    #[test]
    fn server_gets_none_of_the_variables_that_are_for_patroni() {
        let files = Files { configuration: "/c".into(), kubeconfig: "/k".into() };
        let inherited = [
            ("LANG", "de_DE.UTF-8"),
            ("LC_ALL", "C"),
            ("AWS_REGION", "x"),
            ("PGPORT", "1"),
            ("PATRONI_POSTGRESQL_DATA_DIR", "/var/pv/16/data"),
        ];
        let mut found = variables(&files, inherited.map(|(name, value)| (name.into(), value.into())));
        found.retain(|(name, _)| name != "PATH");
        found.sort();
        let expected = [
            ("AWS_REGION", "x"),
            ("KUBECONFIG", "/k"),
            ("LANG", "C.UTF-8"),
            ("MALLOC_ARENA_MAX", "1"),
            ("PG_MALLOC_ARENA_MAX", "0"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.into(), value.into())));
        let set = variables(&files, [("MALLOC_ARENA_MAX".into(), "4".into())]);
        assert!(set.contains(&("PG_MALLOC_ARENA_MAX".into(), "4".into())));
    }
}
