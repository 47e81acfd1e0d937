//! The server of this pod while it serves: PID 1 starts that of a database of one server, and Patroni those of others.

use std::future::Future;
use std::time::Duration;

use rustix::process::Signal;

use crate::gate::Access;
use crate::ha::{Patroni, PatroniError};
use crate::reaper::{Exit, Process};
use crate::server::{self, ServerError, fast_shutdown_timeout};

/// Pause between two looks at a server that is being stopped.
const PAUSE: Duration = Duration::from_millis(20);

/// Who has started the server.
pub enum Serving {
    Alone(Process),
    Member { patroni: Patroni, access: Access },
}

/// Why PID 1 has to end.
pub enum End {
    /// The only server of a database has ended.
    Server(Exit),
    Patroni(PatroniError),
}

impl Serving {
    /// Waits for an end. A member's server may end and be started again. May be dropped and called again, but not after it has
    /// returned.
    pub async fn ended(&mut self) -> End {
        match self {
            Self::Alone(server) => End::Server(server.wait().await),
            Self::Member { patroni, .. } => End::Patroni(patroni.keep_running().await),
        }
    }

    /// Has the server read its settings again.
    pub fn reload(&self) {
        match self {
            Self::Alone(server) => server.signal(Signal::HUP),
            Self::Member { access, .. } => access.signal(Signal::HUP),
        }
    }

    /// Stops the server. Patroni hands the role over, unless it is paused: then it leaves the server to PID 1.
    pub async fn stop(self, grace: Duration, hurry: impl Future<Output = ()>) -> Result<(), ServerError> {
        match self {
            Self::Alone(server) => server::stop(server, grace, hurry).await,
            Self::Member { patroni, access } => stop_member(patroni, &access, grace, hurry).await,
        }
    }
}

async fn stop_member(
    patroni: Patroni,
    access: &Access,
    grace: Duration,
    hurry: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    let stopped = async {
        patroni.stop().await;
        access.signal(Signal::INT);
        until_idle(access).await;
    };
    let reason = tokio::select! {
        () = stopped => return Ok(()),
        () = hurry => "received a second termination signal",
        () = tokio::time::sleep(fast_shutdown_timeout(grace)) => "the grace period is nearly over",
    };
    tracing::warn!(reason, "stopping the server by an immediate shutdown");
    access.signal(Signal::QUIT);
    until_idle(access).await;
    Err(ServerError::Unclean(Exit::Signal(Signal::QUIT.as_raw())))
}

async fn until_idle(access: &Access) {
    while !access.is_idle() {
        tokio::time::sleep(PAUSE).await;
    }
}
