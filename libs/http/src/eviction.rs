//! Which connection is closed for a new one when there are too many.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::time::Instant;

use crate::peer::Identity;
use crate::phase::Phase;

/// An open connection, as far as the decision depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Identifies the connection.
    pub id: u64,
    /// The address of its client.
    pub address: IpAddr,
    /// Whether its client is verified.
    pub identity: Identity,
    /// What it is doing.
    pub phase: Phase,
    /// Since when.
    pub since: Instant,
}

/// The connection to close for a new one from this address; none if the new one must be refused.
///
/// One client that opens many connections must not displace the others, above all not an API server, without which
/// objects are denied in the whole cluster. So clients without a verified certificate come first, then the address with
/// the most connections, then what has been idle for longest. A request in progress is only interrupted if its client
/// is unverified and has more connections than the new one.
pub fn victim(open: &[Candidate], newcomer: IpAddr) -> Option<u64> {
    let mut by_address: HashMap<IpAddr, usize> = HashMap::new();
    for candidate in open {
        *by_address.entry(candidate.address).or_default() += 1;
    }
    let connections = |address: IpAddr| by_address.get(&address).copied().unwrap_or_default();
    let with_newcomer = connections(newcomer) + 1;
    let may_close = |candidate: &&Candidate| {
        candidate.phase != Phase::Request
            || (candidate.identity == Identity::Unverified && connections(candidate.address) > with_newcomer)
    };
    let order = |candidate: &&Candidate| {
        (
            candidate.identity == Identity::Unverified,
            connections(candidate.address),
            candidate.phase != Phase::Request,
            std::cmp::Reverse(candidate.since),
        )
    };
    open.iter().filter(may_close).max_by_key(order).map(|candidate| candidate.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Duration;

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    /// The open connections; each is a second younger than the one before it.
    struct Open(Vec<Candidate>, Instant);

    impl Open {
        fn new() -> Self {
            Self(Vec::new(), Instant::now())
        }

        fn add(&mut self, from: u8, phase: Phase, identity: Identity) -> u64 {
            let id = self.0.len() as u64;
            let since = self.1 + Duration::from_secs(id);
            self.0.push(Candidate { id, address: address(from), identity, phase, since });
            id
        }

        fn victim(&self, newcomer: u8) -> Option<u64> {
            victim(&self.0, address(newcomer))
        }
    }

    #[test]
    fn longest_idle_connection_is_closed() {
        let mut open = Open::new();
        open.add(1, Phase::Request, Identity::Unverified);
        let oldest = open.add(1, Phase::Idle, Identity::Unverified);
        open.add(1, Phase::Idle, Identity::Unverified);
        open.add(1, Phase::Head, Identity::Unverified);
        assert_eq!(open.victim(1), Some(oldest));
    }

    #[test]
    fn address_with_many_connections_displaces_only_its_own() {
        let mut open = Open::new();
        open.add(1, Phase::Idle, Identity::Unverified);
        let first = open.add(2, Phase::Idle, Identity::Unverified);
        open.add(2, Phase::Idle, Identity::Unverified);
        assert_eq!(open.victim(1), Some(first), "the API server's connection");
        assert_eq!(open.victim(2), Some(first), "the greedy client's own next connection");
        assert_eq!(open.victim(3), Some(first), "any other client's");
    }

    #[test]
    fn request_in_progress_is_interrupted_only_for_a_client_with_fewer_connections() {
        let mut open = Open::new();
        open.add(1, Phase::Request, Identity::Unverified);
        let first = open.add(2, Phase::Request, Identity::Unverified);
        open.add(2, Phase::Request, Identity::Unverified);
        open.add(2, Phase::Request, Identity::Unverified);
        assert_eq!(open.victim(1), Some(first));
        assert_eq!(open.victim(2), None);
    }

    #[test]
    fn verified_clients_are_displaced_last_and_their_requests_never() {
        let mut open = Open::new();
        for _ in 0..3 {
            open.add(1, Phase::Idle, Identity::Verified);
        }
        open.add(1, Phase::Request, Identity::Verified);
        let stranger = open.add(2, Phase::Handshake, Identity::Unverified);
        assert_eq!(open.victim(3), Some(stranger));
        let mut busy = Open::new();
        for _ in 0..3 {
            busy.add(1, Phase::Request, Identity::Verified);
        }
        assert_eq!(busy.victim(3), None);
    }
}
