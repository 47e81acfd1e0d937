//! Sessions: one at a time, and nothing of one is left when the next begins.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::sync::{Mutex, RwLock, watch};

use crate::agent::connection::Connection;

/// The sessions of an agent.
pub struct Sessions {
    /// Number of the current session; 0 if there is none.
    current: watch::Sender<u64>,
    last: AtomicU64,
    /// Held while a session begins: the next one must not begin meanwhile.
    beginning: Mutex<()>,
    /// Held by whatever is at work on files: it cannot be interrupted.
    files: Arc<RwLock<()>>,
    /// Whether all processes of this PID namespace are the agent's, but PID 1.
    contained: bool,
}

/// One session.
#[derive(Clone)]
pub struct Session {
    number: u64,
    current: watch::Receiver<u64>,
}

impl Sessions {
    /// Those of an agent in a container of its own; none if this process is not in one.
    pub fn of_this_container() -> Option<Self> {
        is_contained().then(|| Self::new(true))
    }

    /// Those of an agent that must not kill processes that it has not started itself.
    #[cfg(test)]
    pub fn among_other_processes() -> Self {
        Self::new(false)
    }

    fn new(contained: bool) -> Self {
        Self {
            current: watch::Sender::new(0),
            last: AtomicU64::new(0),
            beginning: Mutex::new(()),
            files: Arc::default(),
            contained,
        }
    }

    /// Ends the current session with everything that it has started, and begins another one.
    pub async fn begin(&self) -> io::Result<Session> {
        let _beginning = self.beginning.lock().await;
        // Those who work for the previous session stop here, and start nothing more.
        self.current.send_replace(0);
        self.kill_others().await?;
        drop(self.files.write().await);
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.current.send_replace(number);
        Ok(Session { number, current: self.current.subscribe() })
    }

    /// The current session.
    pub fn current(&self) -> Option<Session> {
        let current = self.current.subscribe();
        let number = *current.borrow();
        (number > 0).then_some(Session { number, current })
    }

    /// Holds the session until its connection is closed or another session begins; then ends it.
    pub async fn hold(&self, session: Session, connection: &mut Connection) -> io::Result<()> {
        session.while_current(connection.closed()).await;
        let _beginning = self.beginning.lock().await;
        let ended = self.current.send_if_modified(|current| {
            let is_ours = *current == session.number;
            if is_ours {
                *current = 0;
            }
            is_ours
        });
        if ended { self.kill_others().await } else { Ok(()) }
    }

    /// Does work on files in a thread of its own, where it keeps nothing else waiting. No session begins before its end.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let held = self.files.clone().read_owned().await;
        let work = move || {
            let result = work();
            drop(held);
            result
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Kills every other process of the container but its PID 1, and waits until none is left.
    pub async fn kill_others(&self) -> io::Result<()> {
        if !self.contained {
            return Ok(());
        }
        // The group of PID 1 stands for all processes that may be signalled, but PID 1 and this one.
        loop {
            match kill_process_group(Pid::INIT, Signal::KILL)
                .and_then(|()| test_kill_process_group(Pid::INIT))
            {
                Err(Errno::SRCH) => return Ok(()),
                Err(error) => return Err(error.into()),
                // PID 1 reaps them.
                Ok(()) => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    }
}

impl Session {
    /// The output of `work`, unless the session ends before.
    pub async fn while_current<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut current = self.current.clone();
        tokio::select! {
            output = work => Some(output),
            _ = current.wait_for(|current| *current != self.number) => None,
        }
    }
}

/// Whether PID 1 is this program too, with the same arguments, as it is in the worker's containers only. What PID 1 executes
/// cannot be looked up: it refuses that, see `worker/ptrace.rs`.
fn is_contained() -> bool {
    let arguments = |process: &str| {
        let line = fs::read(format!("/proc/{process}/cmdline")).ok()?;
        let program = memchr::memchr(0, &line)?;
        Some(line[program..].to_vec())
    };
    let init = arguments("1");
    init.is_some() && init == arguments("self")
}
