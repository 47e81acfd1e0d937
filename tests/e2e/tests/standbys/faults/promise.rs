//! What a database promises despite a fault.

use pgops_api::failover_timings::Timings;
use pgops_e2e::fault_injection::ServerPart;

/// What must hold. All of them: the database recovers, with one primary and two standbys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Promise {
    /// No acknowledged row is lost, and two servers never are out of recovery at once.
    OnePrimary,
    /// No acknowledged row is lost, and two servers never acknowledge writes at once. A frozen pod that continues after another
    /// server was promoted is out of recovery until its PID 1 has killed the server.
    OneWriter,
    /// Nothing else: the model of the failover assumes that PID 1 is not frozen while the server runs.
    RecoveryOnly,
}

impl Promise {
    /// That of a server of which these parts are frozen for this number of seconds.
    pub fn of_frozen(parts: &[ServerPart], seconds: u16) -> Self {
        let timings = Timings::STANDBYS;
        // The last renewal may be as old as a round that was retried.
        let may_expire = seconds + timings.loop_wait() + timings.retry_timeout() >= timings.ttl();
        let has = |part| parts.contains(&part);
        if !may_expire {
            Self::OnePrimary
        } else if has(ServerPart::Container) || has(ServerPart::Pod) {
            Self::OneWriter
        } else if has(ServerPart::Instance) && has(ServerPart::Patroni) {
            Self::RecoveryOnly
        } else {
            Self::OnePrimary
        }
    }
}
