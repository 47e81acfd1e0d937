//! Reads the FIFO of the watchdog, and does what it decides.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::time::Duration;

use pgops_volume::{FileError, Tree};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::Signal;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;

use super::clock::BootTime;
use super::commands::Parser;
use super::machine::{Action, Event, Look, Machine, Server};
use crate::gate::{Access, Freeze, Leadership, Question};

/// The FIFO, in the directory of the container's files.
pub const FIFO: &str = "watchdog";

/// Time between two looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// Most bytes that one look reads: what a FIFO holds.
const MAX_READ: usize = 64 * 1024;

/// The watchdog of a server.
pub struct Watchdog {
    fifo: File,
    access: Access,
    parser: Parser,
    machine: Machine,
    last_action: Option<Action>,
    patroni_starts: UnboundedReceiver<()>,
    /// The gate asks before a promotion.
    questions: UnboundedReceiver<Question>,
}

/// Tells the watchdog that Patroni was started.
#[derive(Clone)]
pub struct PatroniStarts(UnboundedSender<()>);

impl PatroniStarts {
    pub fn record(&self) {
        // The watchdog ends only with this process.
        let _ = self.0.send(());
    }
}

impl Watchdog {
    /// Creates the FIFO. The server that it ends is the program that the gate has started.
    pub fn new(run_dir: &Tree, access: Access) -> Result<(Self, PatroniStarts), FileError> {
        let (sender, patroni_starts) = unbounded_channel();
        let watchdog = Self {
            fifo: create_fifo(run_dir)?,
            questions: access.questions(),
            access,
            parser: Parser::default(),
            machine: Machine::new(),
            last_action: None,
            patroni_starts,
        };
        Ok((watchdog, PatroniStarts(sender)))
    }

    /// Watches until the process ends.
    pub async fn watch(mut self) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    self.look();
                }
                Some(question) = self.questions.recv() => {
                    let leadership = self.look();
                    question.answer(leadership);
                }
            }
        }
    }

    /// Reads what Patroni has written, and returns what is known of the lock then.
    fn look(&mut self) -> Leadership {
        let events = self.read();
        let server = if self.access.is_idle() { Server::Ended } else { Server::Runs };
        let now = BootTime::now();
        let (machine, action) = self.machine.look(&Look { now, events: &events, server });
        self.machine = machine;
        if let Some(action) = action {
            self.act(action);
        }
        machine.leadership(now)
    }

    fn act(&mut self, action: Action) {
        let is_new = self.last_action.replace(action) != Some(action);
        match action {
            Action::Fire => {
                self.access.freeze(Freeze::WatchdogFired);
                tracing::error!(
                    "Patroni has not confirmed its lock in time: ending the server, since another one may be promoted"
                );
                // The server's immediate shutdown.
                self.access.signal(Signal::QUIT);
            }
            Action::Kill => {
                if is_new {
                    tracing::warn!("the server has not ended by itself: killing it");
                }
                self.access.kill();
            }
            Action::Release => {
                tracing::info!("Patroni was seen again: a server may be started");
                self.access.thaw(Freeze::WatchdogFired);
            }
        }
    }

    fn read(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while self.patroni_starts.try_recv().is_ok() {
            events.push(Event::PatroniStarted);
        }
        let mut buffer = [0; 4096];
        let mut total = 0;
        while total < MAX_READ {
            match self.fifo.read(&mut buffer) {
                Ok(read) if read > 0 => {
                    total += read;
                    events.extend(self.parser.parse(&buffer[..read]).into_iter().map(Event::Command));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // It is empty.
                Ok(_) | Err(_) => break,
            }
        }
        events
    }
}

/// Opened for writing as well: then Patroni never waits for a reader, and no end of file is read between two runs of Patroni.
fn create_fifo(run_dir: &Tree) -> Result<File, FileError> {
    let path: PathBuf = run_dir.root().join(FIFO);
    run_dir.remove_file(&path)?;
    let mode = Mode::RUSR | Mode::WUSR;
    mknodat(CWD, &path, FileType::Fifo, mode, 0).map_err(FileError::on("create", &path))?;
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    open(&path, flags, Mode::empty()).map(File::from).map_err(FileError::on("open", &path))
}
