//! Leader election on a Lease, by the rules of Kubernetes' own controllers.
//!
//! Two things make it safe. Every write names the version of the Lease that was read, so of two
//! takers one loses. And nobody compares clocks of two machines: a holder is given up when its Lease
//! has not changed for the lease's duration *as seen here*, and a holder gives up by itself,
//! earlier, when it could not renew.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use tokio::time::{Instant, sleep, timeout};

/// A holder that was not seen to renew for this long is gone.
const DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for this long stops acting. Shorter than [`DURATION`], so it stops
/// before another begins.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Pause between two tries, of a holder and of one who waits.
const RETRY: Duration = Duration::from_secs(2);

/// One candidate for the leadership.
pub struct Election {
    leases: Api<Lease>,
    name: &'static str,
    identity: String,
}

/// The Lease, held. Dropping it lets it run out; [`Held::release`] hands it over at once.
pub struct Held<'a> {
    election: &'a Election,
    lease: Lease,
    renewed: Instant,
}

/// What a candidate has seen of another holder.
struct Sighting {
    version: Option<String>,
    since: Instant,
}

impl Election {
    /// A candidate called `identity`, which no other process may be called.
    pub fn new(leases: Api<Lease>, name: &'static str, identity: String) -> Self {
        Self { leases, name, identity }
    }

    /// Waits until this candidate leads.
    pub async fn win(&self) -> Held<'_> {
        let mut sighting = None;
        loop {
            let asked = Instant::now();
            match timeout(RENEW_DEADLINE, self.take(&mut sighting)).await {
                Ok(Ok(Some(lease))) => return Held { election: self, lease, renewed: asked },
                Ok(Ok(None)) => {}
                Ok(Err(error)) if is_conflict(&error) => {}
                Ok(Err(error)) => tracing::warn!(lease = self.name, %error, "failed to ask for the lease"),
                Err(_) => tracing::warn!(lease = self.name, "the API server does not answer"),
            }
            sleep(RETRY).await;
        }
    }

    async fn take(&self, sighting: &mut Option<Sighting>) -> kube::Result<Option<Lease>> {
        let Some(mut lease) = self.leases.get_opt(self.name).await? else {
            let mut lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.to_owned()), ..ObjectMeta::default() },
                spec: None,
            };
            claim(&mut lease, &self.identity, Timestamp::now());
            return self.leases.create(&PostParams::default(), &lease).await.map(Some);
        };
        let seen = sighting.take().filter(|seen| seen.version == lease.metadata.resource_version);
        let seen = seen.unwrap_or_else(|| Sighting {
            version: lease.metadata.resource_version.clone(),
            since: Instant::now(),
        });
        let unchanged = seen.since.elapsed();
        *sighting = Some(seen);
        if !is_free(lease.spec.as_ref(), &self.identity, unchanged) {
            return Ok(None);
        }
        claim(&mut lease, &self.identity, Timestamp::now());
        self.write(&lease).await.map(Some)
    }

    async fn write(&self, lease: &Lease) -> kube::Result<Lease> {
        self.leases.replace(self.name, &PostParams::default(), lease).await
    }
}

impl Held<'_> {
    /// Renews the lease; returns once it is lost or could not be renewed in time.
    pub async fn lost(&mut self) {
        loop {
            let left = RENEW_DEADLINE.saturating_sub(self.renewed.elapsed());
            if left.is_zero() {
                return;
            }
            sleep(RETRY.min(left)).await;
            let asked = Instant::now();
            let left = RENEW_DEADLINE.saturating_sub(self.renewed.elapsed());
            match timeout(left, self.renew()).await {
                Ok(Ok(true)) => self.renewed = asked,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(error)) => {
                    tracing::warn!(lease = self.election.name, %error, "failed to renew the lease; tries again");
                }
            }
        }
    }

    /// Whether the lease is still held, by a write to it.
    async fn renew(&mut self) -> kube::Result<bool> {
        let now = Timestamp::now();
        let mut lease = self.lease.clone();
        claim(&mut lease, &self.election.identity, now);
        match self.election.write(&lease).await {
            Ok(lease) => self.lease = lease,
            Err(error) if is_conflict(&error) => {
                // A write whose answer was lost conflicts with itself; anyone else's ends the leadership.
                let lease = self.election.leases.get(self.election.name).await?;
                if holder(lease.spec.as_ref()) != Some(&self.election.identity) {
                    return Ok(false);
                }
                self.lease = lease;
                let mut lease = self.lease.clone();
                claim(&mut lease, &self.election.identity, now);
                self.lease = self.election.write(&lease).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Gives the lease up, so that another need not wait until it has run out.
    pub async fn release(mut self) {
        self.lease.spec.get_or_insert_default().holder_identity = Some(String::new());
        if let Ok(Err(error)) = timeout(RETRY, self.election.write(&self.lease)).await {
            tracing::warn!(lease = self.election.name, %error, "failed to release the lease; it runs out");
        }
    }
}

fn holder(spec: Option<&LeaseSpec>) -> Option<&String> {
    spec?.holder_identity.as_ref().filter(|holder| !holder.is_empty())
}

/// Whether the lease may be taken, after it was seen unchanged for that long.
fn is_free(spec: Option<&LeaseSpec>, identity: &str, unchanged: Duration) -> bool {
    match holder(spec) {
        None => true,
        // Left by an earlier process of this pod.
        Some(holder) if holder == identity => true,
        Some(_) => {
            let given = spec.and_then(|spec| spec.lease_duration_seconds);
            let given = given.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
            unchanged >= given.unwrap_or(DURATION)
        }
    }
}

/// Writes this holder and this time into the lease.
fn claim(lease: &mut Lease, identity: &str, now: Timestamp) {
    let spec = lease.spec.get_or_insert_default();
    if spec.holder_identity.as_deref() != Some(identity) {
        spec.holder_identity = Some(identity.to_owned());
        spec.acquire_time = Some(MicroTime(now));
        spec.lease_transitions = Some(spec.lease_transitions.unwrap_or(0) + 1);
    }
    spec.lease_duration_seconds = i32::try_from(DURATION.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{Method, Request, Response, StatusCode};
    use kube::Client;
    use kube::client::Body;
    use rstest::rstest;
    use serde_json::json;
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    fn spec(holder: Option<&str>) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(Into::into),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        }
    }

    #[rstest]
    #[case::nobody(None, 0, true)]
    #[case::released(Some(""), 0, true)]
    #[case::own_from_before_a_restart(Some("me"), 0, true)]
    #[case::other_alive(Some("other"), 14, false)]
    #[case::other_gone(Some("other"), 15, true)]
    fn a_lease_is_free(#[case] holder: Option<&str>, #[case] unchanged: u64, #[case] free: bool) {
        assert_eq!(is_free(Some(&spec(holder)), "me", Duration::from_secs(unchanged)), free);
    }

    #[test]
    fn a_renewal_keeps_the_time_of_the_take_over() {
        let mut lease = Lease::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        claim(&mut lease, "me", at(1));
        claim(&mut lease, "me", at(2));
        let spec = lease.spec.unwrap();
        assert_eq!(spec.acquire_time, Some(MicroTime(at(1))));
        assert_eq!(spec.renew_time, Some(MicroTime(at(2))));
        assert_eq!(spec.lease_transitions, Some(1));
    }

    #[test]
    fn a_holder_stops_before_another_begins() {
        assert!(RENEW_DEADLINE + RETRY < DURATION);
    }

    /// An API server with one Lease, which refuses to replace what has changed since it was read.
    fn api_server() -> Api<Lease> {
        let stored = Arc::new(Mutex::new((0, None::<Lease>)));
        let answer = move |request: Request<Body>| {
            let stored = stored.clone();
            async move {
                let (parts, body) = request.into_parts();
                let sent = body.collect_bytes().await.unwrap();
                let mut stored = stored.lock().unwrap();
                let (version, lease) = &mut *stored;
                let current = lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
                let status = match (parts.method, &lease) {
                    (Method::GET, None) => StatusCode::NOT_FOUND,
                    (Method::GET, Some(_)) => StatusCode::OK,
                    (_, _) => {
                        let mut new: Lease = serde_json::from_slice(&sent).unwrap();
                        if new.metadata.resource_version == current {
                            *version += 1;
                            new.metadata.resource_version = Some(version.to_string());
                            *lease = Some(new);
                            StatusCode::OK
                        } else {
                            StatusCode::CONFLICT
                        }
                    }
                };
                let failure =
                    |reason| json!({ "status": "Failure", "reason": reason, "code": status.as_u16() });
                let body = match status {
                    StatusCode::OK => serde_json::to_vec(&lease),
                    StatusCode::NOT_FOUND => serde_json::to_vec(&failure("NotFound")),
                    _ => serde_json::to_vec(&failure("Conflict")),
                };
                Ok::<_, Infallible>(
                    Response::builder().status(status).body(Body::from(body.unwrap())).unwrap(),
                )
            }
        };
        Api::default_namespaced(Client::new(tower::service_fn(answer), "pgops-system"))
    }

    #[tokio::test]
    async fn one_leads_until_it_lets_go() {
        let leases = api_server();
        let election = |identity: &str| Election::new(leases.clone(), "pgops-launcher", identity.into());
        let (one, other) = (election("one"), election("other"));
        let mut held = one.win().await;
        let mut sighting = None;
        assert!(other.take(&mut sighting).await.unwrap().is_none());
        assert!(held.renew().await.unwrap());
        held.release().await;
        assert!(other.take(&mut sighting).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn a_holder_whose_lease_was_taken_learns_it_from_its_next_renewal() {
        let leases = api_server();
        let election = |identity: &str| Election::new(leases.clone(), "pgops-launcher", identity.into());
        let (one, other) = (election("one"), election("other"));
        let mut held = one.win().await;
        let mut taken = held.lease.clone();
        claim(&mut taken, "other", Timestamp::now());
        other.write(&taken).await.unwrap();
        assert!(!held.renew().await.unwrap());
    }
}
