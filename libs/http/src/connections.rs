//! The open connections of a listener.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::eviction::{Candidate, victim};
use crate::limits::Limits;
use crate::peer::{Identity, Peer};
use crate::phase::Phase;

/// The open connections of a listener, never more than its limit.
#[derive(Clone)]
pub struct Connections {
    limit: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    next_id: u64,
    by_id: HashMap<u64, Arc<Shared>>,
}

/// What the connection's task and the eviction share.
struct Shared {
    address: IpAddr,
    state: Mutex<State>,
    evicted: CancellationToken,
}

#[derive(Clone, Copy)]
struct State {
    identity: Identity,
    phase: Phase,
    since: Instant,
}

/// One open connection. It counts until it is dropped or evicted.
pub struct Connection {
    id: u64,
    shared: Arc<Shared>,
    open: Arc<Mutex<Open>>,
}

impl Connections {
    /// No connections yet.
    pub fn new(limit: usize) -> Self {
        Self { limit, open: Arc::default() }
    }

    /// Number of open connections.
    pub fn len(&self) -> usize {
        lock(&self.open).by_id.len()
    }

    /// Adds a connection. If there are too many, another one is closed for it; none if the new one must be closed.
    pub fn open(&self, address: IpAddr, phase: Phase) -> Option<Connection> {
        let mut open = lock(&self.open);
        if open.by_id.len() >= self.limit {
            let candidates: Vec<_> = open.by_id.iter().map(|(id, shared)| shared.candidate(*id)).collect();
            let id = victim(&candidates, address)?;
            if let Some(shared) = open.by_id.remove(&id) {
                shared.evicted.cancel();
            }
        }
        let id = open.next_id;
        open.next_id += 1;
        let state = State { identity: Identity::Unverified, phase, since: Instant::now() };
        let shared =
            Arc::new(Shared { address, state: Mutex::new(state), evicted: CancellationToken::new() });
        open.by_id.insert(id, shared.clone());
        Some(Connection { id, shared, open: self.open.clone() })
    }
}

impl Connection {
    /// The client.
    pub fn peer(&self) -> Peer {
        Peer { address: self.shared.address, identity: self.shared.state().identity }
    }

    /// Ends the handshake.
    pub fn established(&self, identity: Identity) {
        *self.shared.state() = State { identity, phase: Phase::Idle, since: Instant::now() };
    }

    /// Bytes of a request have arrived.
    pub fn received(&self) {
        let mut state = self.shared.state();
        if state.phase == Phase::Idle {
            state.phase = Phase::Head;
            state.since = Instant::now();
        }
    }

    /// The next phase begins.
    pub fn enter(&self, phase: Phase) {
        let mut state = self.shared.state();
        state.phase = phase;
        state.since = Instant::now();
    }

    /// Waits until this connection must be closed for another one.
    pub async fn evicted(&self) {
        self.shared.evicted.cancelled().await;
    }

    /// Waits until the connection has been in one phase for too long, and returns that phase.
    ///
    /// The timer is checked whenever the task runs, and only changed if the deadline is earlier than when it was set:
    /// setting it for each phase of each request would cost more than the request's other bookkeeping. So this must be
    /// polled by the task that changes the phases, after it has done so.
    pub async fn overdue(&self, limits: &Limits) -> Phase {
        let mut alarm = pin!(sleep_until(self.deadline(limits).1));
        poll_fn(|context| {
            loop {
                let (phase, deadline) = self.deadline(limits);
                if deadline < alarm.deadline() {
                    alarm.as_mut().reset(deadline);
                }
                ready!(alarm.as_mut().poll(context));
                if deadline <= Instant::now() {
                    return Poll::Ready(phase);
                }
                alarm.as_mut().reset(deadline);
            }
        })
        .await
    }

    fn deadline(&self, limits: &Limits) -> (Phase, Instant) {
        let State { phase, since, .. } = *self.shared.state();
        (phase, since + limits.of(phase))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        lock(&self.open).by_id.remove(&self.id);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn candidate(&self, id: u64) -> Candidate {
        let State { identity, phase, since } = *self.state();
        Candidate { id, address: self.address, identity, phase, since }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    const LIMITS: Limits = Limits {
        connections: 2,
        buffer: 16 * 1024,
        handshake: Duration::from_secs(1),
        head: Duration::from_secs(2),
        request: Duration::from_secs(3),
        idle: Duration::from_secs(10),
    };

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_displace_another_one() {
        let connections = Connections::new(LIMITS.connections);
        let first = connections.open(address(1), Phase::Idle).unwrap();
        let second = connections.open(address(2), Phase::Idle).unwrap();
        second.enter(Phase::Request);
        let third = connections.open(address(3), Phase::Idle).unwrap();
        first.evicted().await;
        assert_eq!(connections.len(), 2);
        third.enter(Phase::Request);
        assert!(connections.open(address(4), Phase::Idle).is_none());
        drop(first);
        drop(second);
        assert_eq!(connections.len(), 1);
        assert!(connections.open(address(4), Phase::Idle).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn connection_is_overdue_by_the_limit_of_its_phase() {
        let connections = Connections::new(1);
        let connection = connections.open(address(1), Phase::Handshake).unwrap();
        let start = Instant::now();
        // One task changes the phases and waits, as the one that serves a connection.
        let phases = async {
            connection.established(Identity::Unverified);
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                connection.received();
                tokio::time::sleep(Duration::from_secs(1)).await;
                connection.received();
                connection.enter(Phase::Request);
                tokio::time::sleep(Duration::from_secs(2)).await;
                connection.enter(Phase::Idle);
            }
            connection.received();
            std::future::pending::<()>().await;
        };
        let overdue = tokio::select! {
            biased;
            () = phases => unreachable!(),
            phase = connection.overdue(&LIMITS) => phase,
        };
        assert_eq!(overdue, Phase::Head);
        assert_eq!(start.elapsed().as_secs(), 3 * 12 + 2);
    }
}
