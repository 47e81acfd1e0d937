//! Leader election on a Lease, by the rules of Kubernetes' own controllers.
//!
//! Two things make it safe. Every write is conditioned on the version of the Lease that was read, so of two
//! candidates that take it at once one loses. And clocks of two machines are never compared: a leader is treated
//! as dead when its Lease has not changed for the lease's duration *as observed here*, and a leader steps down by
//! itself, earlier, when it could not renew.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use tokio::time::{Instant, sleep, timeout};

use crate::status;

/// A leader that was not observed to renew for this long is treated as dead.
const DURATION: Duration = Duration::from_secs(15);
/// A leader that could not renew for this long steps down. Shorter than [`DURATION`], so it stops before another
/// one begins.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between two attempts, of the leader and of a candidate.
const RETRY: Duration = Duration::from_secs(2);

/// A candidate for the leadership.
pub struct Election {
    leases: Api<Lease>,
    name: &'static str,
    identity: String,
}

/// The leadership. Dropping it lets the Lease expire; [`LeaseGuard::release`] hands it over at once.
pub struct LeaseGuard<'a> {
    election: &'a Election,
    lease: Lease,
    renewed_at: Instant,
}

/// What a candidate has observed of the Lease.
struct Observation {
    version: Option<String>,
    since: Instant,
}

impl Election {
    /// A candidate called `identity`, a name that no other process may have.
    #[must_use]
    pub fn new(leases: Api<Lease>, name: &'static str, identity: String) -> Self {
        Self { leases, name, identity }
    }

    /// Waits until this candidate leads.
    pub async fn acquire(&self) -> LeaseGuard<'_> {
        let mut observed = None;
        loop {
            let asked_at = Instant::now();
            match timeout(RENEW_DEADLINE, self.try_acquire(&mut observed)).await {
                Ok(Ok(Some(lease))) => return LeaseGuard { election: self, lease, renewed_at: asked_at },
                Ok(Ok(None)) => {}
                Ok(Err(error)) if is_overtaken(&error) => {}
                Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "failed to acquire the lease"),
                Err(_) => tracing::warn!(
                    lease = self.name,
                    "failed to acquire the lease: the API server does not answer"
                ),
            }
            sleep(RETRY).await;
        }
    }

    async fn try_acquire(&self, observed: &mut Option<Observation>) -> kube::Result<Option<Lease>> {
        let Some(mut lease) = self.leases.get_opt(self.name).await? else {
            let mut lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.to_owned()), ..ObjectMeta::default() },
                spec: None,
            };
            set_holder(&mut lease, &self.identity, Timestamp::now());
            return self.leases.create(&PostParams::default(), &lease).await.map(Some);
        };
        let current = observed.take().filter(|seen| seen.version == lease.metadata.resource_version);
        let current = current.unwrap_or_else(|| Observation {
            version: lease.metadata.resource_version.clone(),
            since: Instant::now(),
        });
        let unchanged = current.since.elapsed();
        *observed = Some(current);
        if !is_free(lease.spec.as_ref(), &self.identity, unchanged) {
            return Ok(None);
        }
        set_holder(&mut lease, &self.identity, Timestamp::now());
        self.write(&lease).await.map(Some)
    }

    async fn write(&self, lease: &Lease) -> kube::Result<Lease> {
        self.leases.replace(self.name, &PostParams::default(), lease).await
    }
}

impl LeaseGuard<'_> {
    /// Renews the Lease; returns once it is lost or could not be renewed in time.
    pub async fn lost(&mut self) {
        loop {
            let left = RENEW_DEADLINE.saturating_sub(self.renewed_at.elapsed());
            if left.is_zero() {
                return;
            }
            sleep(RETRY.min(left)).await;
            let asked_at = Instant::now();
            let left = RENEW_DEADLINE.saturating_sub(self.renewed_at.elapsed());
            match timeout(left, self.renew()).await {
                Ok(Ok(true)) => self.renewed_at = asked_at,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.election.name, %error, "failed to renew the lease; retrying");
                }
            }
        }
    }

    /// Renews the Lease by a write to it; `false` if another candidate has taken it.
    async fn renew(&mut self) -> kube::Result<bool> {
        let now = Timestamp::now();
        let mut lease = self.lease.clone();
        set_holder(&mut lease, &self.election.identity, now);
        match self.election.write(&lease).await {
            Ok(lease) => self.lease = lease,
            Err(error) if is_overtaken(&error) => {
                // A write whose answer was lost conflicts with itself; one of another candidate ends the leadership.
                let lease = self.election.leases.get(self.election.name).await?;
                if holder(lease.spec.as_ref()) != Some(&self.election.identity) {
                    return Ok(false);
                }
                self.lease = lease;
                let mut lease = self.lease.clone();
                set_holder(&mut lease, &self.election.identity, now);
                self.lease = self.election.write(&lease).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Gives the Lease up, so that another candidate need not wait until it expires.
    pub async fn release(mut self) {
        self.lease.spec.get_or_insert_default().holder_identity = Some(String::new());
        if let Ok(Err(error)) = timeout(RETRY, self.election.write(&self.lease)).await {
            tracing::warn!(lease = self.election.name, %error, "failed to release the lease; it will expire");
        }
    }
}

fn holder(spec: Option<&LeaseSpec>) -> Option<&String> {
    spec?.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}

/// Whether the Lease may be taken, after it was observed without a change for `unchanged`.
fn is_free(spec: Option<&LeaseSpec>, identity: &str, unchanged: Duration) -> bool {
    match holder(spec) {
        None => true,
        // Left by a previous process of this pod.
        Some(holder) if holder == identity => true,
        Some(_) => {
            let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
            let duration = seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
            unchanged >= duration.unwrap_or(DURATION)
        }
    }
}

/// Enters this holder and this time into the Lease.
fn set_holder(lease: &mut Lease, identity: &str, now: Timestamp) {
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(identity) {
        spec.holder_identity = Some(identity.to_owned());
        spec.acquire_time = Some(MicroTime(now));
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
    }
    spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
}

/// Whether another candidate was faster, by an update or by a create.
fn is_overtaken(error: &kube::Error) -> bool {
    status::is_conflict(error) || status::is_already_exists(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_testing::fake_api_server::FakeApiServer;
    use rstest::rstest;

    fn spec(holder: Option<&str>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(Into::into),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }
    }

    #[rstest]
    #[case::no_holder(None, 0, true)]
    #[case::released(Some(""), 0, true)]
    #[case::own_of_a_previous_process(Some("me"), 0, true)]
    #[case::other_alive(Some("other"), 14, false)]
    #[case::other_dead(Some("other"), 15, true)]
    fn lease_is_free_without_a_live_holder(
        #[case] holder: Option<&str>,
        #[case] unchanged: u64,
        #[case] free: bool,
    ) {
        assert_eq!(is_free(Some(&spec(holder)), "me", Duration::from_secs(unchanged)), free);
    }

    #[test]
    fn renewal_keeps_the_acquire_time() {
        let mut lease = Lease::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        set_holder(&mut lease, "me", at(1));
        set_holder(&mut lease, "me", at(2));
        let spec = lease.spec.unwrap();
        assert_eq!(spec.acquire_time, Some(MicroTime(at(1))));
        assert_eq!(spec.renew_time, Some(MicroTime(at(2))));
        assert_eq!(spec.lease_transitions, Some(1));
    }

    #[test]
    fn leader_steps_down_before_another_one_begins() {
        assert!(RENEW_DEADLINE + RETRY < DURATION);
    }

    fn leases() -> Api<Lease> {
        Api::default_namespaced(FakeApiServer::new("pgops-system").client())
    }

    #[tokio::test]
    async fn lease_has_one_holder_until_it_is_released() {
        let leases = leases();
        let election = |identity: &str| Election::new(leases.clone(), "pgops-launcher", identity.into());
        let (one, other) = (election("one"), election("other"));
        let mut guard = one.acquire().await;
        let mut observed = None;
        assert!(other.try_acquire(&mut observed).await.unwrap().is_none());
        assert!(guard.renew().await.unwrap());
        guard.release().await;
        assert!(other.try_acquire(&mut observed).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn leader_whose_lease_was_taken_fails_to_renew() {
        let leases = leases();
        let election = |identity: &str| Election::new(leases.clone(), "pgops-launcher", identity.into());
        let (one, other) = (election("one"), election("other"));
        let mut guard = one.acquire().await;
        let mut taken = guard.lease.clone();
        set_holder(&mut taken, "other", Timestamp::now());
        other.write(&taken).await.unwrap();
        assert!(!guard.renew().await.unwrap());
    }
}
