//! The Secret that keeps the authorities: read and written by every replica.
//!
//! The chart creates it empty, so that the webhook needs rights on this one name only. What does
//! not parse is refused and never overwritten: API servers may trust it, and a person put it there.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;

use crate::bundle::Bundle;
use crate::clock::Clock;
use crate::rotation::Held;
use crate::{Authority, AuthorityError, Settings};

/// Certificate and private key of the authority that signs.
const CURRENT: [&str; 2] = ["ca.crt", "ca.key"];
/// Those of the one that will.
const NEXT: [&str; 2] = ["next.crt", "next.key"];
/// Certificates of those that did.
const PREVIOUS: &str = "previous.crt";

/// A person asks for another authority; removed by the write that announces it.
const ROTATE: &str = "pgops.dev/rotate-authority";
/// When the authorities last moved.
const SINCE: &str = "pgops.dev/authority-since";

/// Why the Secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The API server does not answer, or refuses.
    #[error("failed to {verb} secret \"{name}\"")]
    Kube {
        /// What was tried.
        verb: &'static str,
        /// Name of the Secret.
        name: String,
        /// The API server's answer.
        #[source]
        source: kube::Error,
    },
    /// The Secret does not exist.
    #[error("secret \"{0}\" does not exist: create it empty, or install the chart, which does")]
    Missing(String),
    /// One half of a pair is there.
    #[error("secret \"{name}\" has no key \"{missing}\": {}", remedy(.pair))]
    Half {
        /// Name of the Secret.
        name: String,
        /// The absent key.
        missing: &'static str,
        /// Both keys.
        pair: [&'static str; 2],
    },
    /// A pair is no authority.
    #[error("secret \"{name}\" holds no usable authority in \"{}\": {}", .pair[0], remedy(.pair))]
    Unusable {
        /// Name of the Secret.
        name: String,
        /// Both keys.
        pair: [&'static str; 2],
        /// What is wrong with it.
        #[source]
        source: AuthorityError,
    },
    /// No authority can be made.
    #[error("failed to make an authority for secret \"{name}\"")]
    Generate {
        /// Name of the Secret.
        name: String,
        /// Why not.
        #[source]
        source: AuthorityError,
    },
}

fn remedy([certificate, key]: &[&'static str; 2]) -> String {
    format!("restore it, or remove both {certificate} and {key} to have a new authority made")
}

/// The one Secret.
#[derive(Clone)]
pub(crate) struct Store {
    pub secrets: Api<Secret>,
    pub name: String,
}

impl Store {
    /// The authorities in the Secret, none of which signs after its time; a first one is made and stored
    /// if the Secret is empty, and a successor if its time is over.
    ///
    /// Of replicas that start together one wins: the write names the version of the Secret that was
    /// read, and who loses reads again.
    pub(crate) async fn obtain(
        &self,
        clock: &Clock,
        settings: &Settings,
    ) -> Result<(Secret, Held), SecretError> {
        loop {
            let secret =
                self.secrets.get_opt(&self.name).await.map_err(|source| self.failed("read", source))?;
            let secret = secret.ok_or_else(|| SecretError::Missing(self.name.clone()))?;
            let now = clock.wall();
            let held = match read(&secret, &self.name)? {
                Some(held) if !held.current.is_expired(now) => return Ok((secret, held)),
                Some(held) => {
                    tracing::warn!(
                        secret = self.name,
                        expired_at = %held.current.not_after(),
                        "the certification authority has expired: another one takes its place at once"
                    );
                    held.succeed(now, settings)
                }
                None => Held::first(now, settings),
            };
            let held = held.map_err(|source| self.cannot_make(source))?;
            if let Some(secret) = self.write(secret, &held).await? {
                let until = held.current.not_after();
                tracing::info!(secret = self.name, %until, "a new certification authority signs");
                return Ok((secret, held));
            }
        }
    }

    /// Writes the authorities; `None` if somebody else has written since the Secret was read.
    pub(crate) async fn write(&self, mut secret: Secret, held: &Held) -> Result<Option<Secret>, SecretError> {
        fill(&mut secret, held);
        match self.secrets.replace(&self.name, &PostParams::default(), &secret).await {
            Ok(secret) => Ok(Some(secret)),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(None),
            Err(source) => Err(self.failed("write", source)),
        }
    }

    pub(crate) fn cannot_make(&self, source: AuthorityError) -> SecretError {
        SecretError::Generate { name: self.name.clone(), source }
    }

    fn failed(&self, verb: &'static str, source: kube::Error) -> SecretError {
        SecretError::Kube { verb, name: self.name.clone(), source }
    }
}

/// What the Secret holds; `None` without an authority that signs.
fn read(secret: &Secret, name: &str) -> Result<Option<Held>, SecretError> {
    let value = |key| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
        bytes.filter(|bytes| !bytes.is_empty())
    };
    let authority = |pair: [&'static str; 2]| {
        let half = |missing| SecretError::Half { name: name.to_owned(), missing, pair };
        // Bytes that are no text end up as a PEM that does not parse.
        match pair.map(|key| value(key).map(String::from_utf8_lossy)) {
            [None, None] => Ok(None),
            [Some(_), None] => Err(half(pair[1])),
            [None, Some(_)] => Err(half(pair[0])),
            [Some(certificate), Some(key)] => Authority::read(&certificate, &key)
                .map(|authority| Some(Arc::new(authority)))
                .map_err(|source| SecretError::Unusable { name: name.to_owned(), pair, source }),
        }
    };
    let annotation = |key| secret.metadata.annotations.as_ref().and_then(|annotations| annotations.get(key));
    let Some(current) = authority(CURRENT)? else { return Ok(None) };
    Ok(Some(Held {
        current,
        next: authority(NEXT)?,
        previous: value(PREVIOUS).map_or_else(Bundle::default, Bundle::read),
        since: annotation(SINCE).and_then(|text| text.parse().ok()),
        asked: annotation(ROTATE).is_some(),
    }))
}

/// Makes the Secret hold the authorities. What else is in it stays.
fn fill(secret: &mut Secret, held: &Held) {
    let data = secret.data.get_or_insert_default();
    let pair = |authority: &Arc<Authority>| [authority.certificate().to_owned(), authority.private_key()];
    let previous = (!held.previous.is_empty()).then(|| held.previous.to_pem());
    let entries = CURRENT.into_iter().zip(pair(&held.current).map(Some));
    let next = held.next.as_ref().map_or([None, None], |next| pair(next).map(Some));
    for (key, text) in entries.chain(NEXT.into_iter().zip(next)).chain([(PREVIOUS, previous)]) {
        set(data, key, text.map(|text| ByteString(text.into_bytes())));
    }
    let annotations = secret.metadata.annotations.get_or_insert_default();
    set(annotations, SINCE, held.since.map(|since| since.to_string()));
    if !held.asked {
        annotations.remove(ROTATE);
    }
}

fn set<T>(map: &mut BTreeMap<String, T>, key: &str, value: Option<T>) {
    match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.remove(key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation::Step;
    use crate::world::{World, settings};
    use jiff::Timestamp;
    use rstest::rstest;

    const NAME: &str = "pgops-webhook-ca";

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), ByteString((*value).into()));
        Secret { data: Some(entries.iter().map(entry).collect()), ..Secret::default() }
    }

    fn held() -> Held {
        Held::first(Timestamp::now(), &settings()).unwrap()
    }

    #[rstest]
    #[case::no_data(Secret::default())]
    #[case::no_keys(secret(&[("other", "x")]))]
    #[case::empty_keys(secret(&[("ca.crt", ""), ("ca.key", "")]))]
    fn an_empty_secret_asks_for_a_new_authority(#[case] secret: Secret) {
        assert!(read(&secret, NAME).unwrap().is_none());
    }

    #[rstest]
    #[case::first(&[])]
    #[case::announced(&[Step::Announce])]
    #[case::promoted(&[Step::Announce, Step::Promote])]
    #[case::both(&[Step::Announce, Step::Promote, Step::Announce])]
    fn what_is_stored_is_read_again_and_other_keys_stay(#[case] steps: &[Step]) {
        let held =
            steps.iter().fold(held(), |held, step| held.after(*step, Timestamp::now(), &settings()).unwrap());
        // The keys of the step before go.
        let mut secret = secret(&[("other", "x"), ("next.crt", "x"), ("next.key", "x"), (PREVIOUS, "x")]);
        fill(&mut secret, &held);
        let read = read(&secret, NAME).unwrap().unwrap();
        assert_eq!(read.current.private_key(), held.current.private_key());
        assert_eq!(read.next.is_some(), held.next.is_some());
        assert_eq!(read.bundle(), held.bundle());
        assert_eq!(read.since, held.since);
        assert!(secret.data.unwrap().contains_key("other"));
    }

    #[test]
    fn the_request_of_a_person_is_removed_by_the_announcement_and_by_nothing_else() {
        let mut secret = Secret::default();
        fill(&mut secret, &held());
        secret.metadata.annotations.as_mut().unwrap().insert(ROTATE.into(), "key leaked".into());
        let asked = read(&secret, NAME).unwrap().unwrap();
        fill(&mut secret, &asked.after(Step::Promote, Timestamp::now(), &settings()).unwrap());
        assert!(read(&secret, NAME).unwrap().unwrap().asked);
        fill(&mut secret, &asked.after(Step::Announce, Timestamp::now(), &settings()).unwrap());
        assert!(!read(&secret, NAME).unwrap().unwrap().asked);
    }

    #[rstest]
    #[case::half(&[("ca.crt", "x")], "no key \"ca.key\"")]
    #[case::other_half(&[("ca.key", "x")], "no key \"ca.crt\"")]
    #[case::garbage(&[("ca.crt", "x"), ("ca.key", "y")], "holds no usable authority in \"ca.crt\"")]
    fn refuses_garbage_and_names_the_secret_and_the_remedy(
        #[case] entries: &[(&str, &str)],
        #[case] expected: &str,
    ) {
        let error = read(&secret(entries), NAME).unwrap_err().to_string();
        assert!(error.contains(&format!("secret \"{NAME}\"")), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("remove both ca.crt and ca.key"), "{error}");
    }

    #[test]
    fn refuses_a_half_written_successor_and_names_its_keys() {
        let mut secret = secret(&[]);
        fill(&mut secret, &held());
        secret.data.as_mut().unwrap().insert("next.crt".into(), ByteString(b"x".to_vec()));
        let error = read(&secret, NAME).unwrap_err().to_string();
        assert!(error.contains("no key \"next.key\""), "{error}");
        assert!(error.contains("remove both next.crt and next.key"), "{error}");
    }

    #[tokio::test]
    async fn of_two_replicas_that_start_together_both_use_the_authority_of_one() {
        let world = World::new();
        let (one, other) = (world.store(), world.store());
        let (clock, settings) = (Clock::system(), settings());
        let (one, other) = tokio::join!(one.obtain(&clock, &settings), other.obtain(&clock, &settings));
        assert_eq!(one.unwrap().1.current.certificate(), other.unwrap().1.current.certificate());
    }
}
