//! The Secret that stores the CAs, read and written by every replica.
//!
//! The chart creates it empty, so that the webhook needs permissions on this one name only. Content that does
//! not parse is rejected and never overwritten: API servers may trust it, and an operator put it there.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::Stream;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;
use pgops_kube::ApiError;

use super::watch::changes;
use crate::clock::Clock;
use crate::pki::{Authority, AuthorityError, Bundle};
use crate::rotation::CaSet;
use crate::settings::Settings;

/// Certificate and private key of the current CA, which signs.
const CURRENT: [&str; 2] = ["ca.crt", "ca.key"];
/// Certificate and private key of the next CA.
const NEXT: [&str; 2] = ["next.crt", "next.key"];
/// Certificates of the previous CAs.
const PREVIOUS: &str = "previous.crt";

/// Annotation by which an operator requests a rotation; removed by the write that announces the next CA.
const ROTATE: &str = "pgops.dev/rotate-authority";
/// Annotation with the time of the last change of the CAs.
const CHANGED_AT: &str = "pgops.dev/authority-since";

/// Why the Secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A call of the API server failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The Secret does not exist.
    #[error("secret \"{0}\" does not exist: create it empty, or install the chart, which creates it")]
    Missing(String),
    /// A pair of certificate and key is incomplete.
    #[error("secret \"{name}\" has no key \"{missing}\": {}", remedy(.pair))]
    Half {
        /// Name of the Secret.
        name: String,
        /// The missing key.
        missing: &'static str,
        /// Both keys.
        pair: [&'static str; 2],
    },
    /// A pair is not a CA.
    #[error("secret \"{name}\" holds no usable CA in \"{}\": {}", .pair[0], remedy(.pair))]
    Unusable {
        /// Name of the Secret.
        name: String,
        /// Both keys.
        pair: [&'static str; 2],
        /// Why the pair is unusable.
        #[source]
        source: AuthorityError,
    },
    /// A CA cannot be generated.
    #[error("failed to generate a CA for secret \"{name}\"")]
    Generate {
        /// Name of the Secret.
        name: String,
        /// The cause.
        #[source]
        source: AuthorityError,
    },
}

fn remedy([certificate, key]: &[&'static str; 2]) -> String {
    format!("restore it, or remove both {certificate} and {key} to have a new CA generated")
}

/// Access to the one Secret.
#[derive(Clone)]
pub(crate) struct SecretStore {
    pub secrets: Api<Secret>,
    pub name: String,
}

impl SecretStore {
    /// Reads the CAs, the current one of which has not expired. The first CA is generated and stored if the
    /// Secret is empty, and a replacement if the current one has expired.
    ///
    /// Of replicas that start together one wins: the write is conditioned on the `resourceVersion` that was
    /// read, and the others read again.
    pub(crate) async fn load_or_create(
        &self,
        clock: &Clock,
        settings: &Settings,
    ) -> Result<(Secret, CaSet), SecretError> {
        loop {
            let secret = self.secrets.get_opt(&self.name).await;
            let secret = secret.map_err(ApiError::on::<Secret>("read", self.name.as_str()))?;
            let secret = secret.ok_or_else(|| SecretError::Missing(self.name.clone()))?;
            let now = clock.wall();
            let set = match decode(&secret, &self.name)? {
                Some(set) if !set.current.is_expired(now) => return Ok((secret, set)),
                Some(set) => {
                    tracing::warn!(
                        secret = self.name,
                        expired_at = %set.current.not_after(),
                        "the CA has expired; replacing it at once"
                    );
                    set.replace_expired(now, settings)
                }
                None => CaSet::generate(now, settings),
            };
            let set = set.map_err(|source| self.generate_error(source))?;
            if let Some(secret) = self.write(secret, &set).await? {
                let until = set.current.not_after();
                tracing::info!(secret = self.name, %until, "a new CA signs from now on");
                return Ok((secret, set));
            }
        }
    }

    /// Writes the CAs; `None` if another client has changed the Secret since it was read.
    pub(crate) async fn write(&self, mut secret: Secret, set: &CaSet) -> Result<Option<Secret>, SecretError> {
        encode(&mut secret, set);
        let written = self.secrets.replace(&self.name, &PostParams::default(), &secret).await;
        match written.map_err(ApiError::on::<Secret>("write", self.name.as_str())) {
            Ok(secret) => Ok(Some(secret)),
            Err(error) if error.is_conflict() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// An item whenever the Secret may have changed.
    pub(crate) fn changes(&self) -> impl Stream<Item = ()> + Send + 'static {
        changes(self.secrets.clone(), &self.name)
    }

    pub(crate) fn generate_error(&self, source: AuthorityError) -> SecretError {
        SecretError::Generate { name: self.name.clone(), source }
    }
}

/// The CAs in the Secret; `None` without a current CA.
fn decode(secret: &Secret, name: &str) -> Result<Option<CaSet>, SecretError> {
    let value = |key| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
        bytes.filter(|bytes| !bytes.is_empty())
    };
    let authority = |pair: [&'static str; 2]| {
        let half = |missing| SecretError::Half { name: name.to_owned(), missing, pair };
        // Bytes that are not UTF-8 become a PEM that does not parse.
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
    Ok(Some(CaSet {
        current,
        next: authority(NEXT)?,
        previous: value(PREVIOUS).map_or_else(Bundle::default, Bundle::read),
        changed_at: annotation(CHANGED_AT).and_then(|text| text.parse().ok()),
        rotation_requested: annotation(ROTATE).is_some(),
    }))
}

/// Stores the CAs in the Secret; other content is preserved.
fn encode(secret: &mut Secret, set: &CaSet) {
    let data = secret.data.get_or_insert_default();
    let pair = |authority: &Arc<Authority>| [authority.certificate().to_owned(), authority.private_key()];
    let previous = (!set.previous.is_empty()).then(|| set.previous.to_pem());
    let entries = CURRENT.into_iter().zip(pair(&set.current).map(Some));
    let next = set.next.as_ref().map_or([None, None], |next| pair(next).map(Some));
    for (key, text) in entries.chain(NEXT.into_iter().zip(next)).chain([(PREVIOUS, previous)]) {
        set_or_remove(data, key, text.map(|text| ByteString(text.into_bytes())));
    }
    let annotations = secret.metadata.annotations.get_or_insert_default();
    set_or_remove(annotations, CHANGED_AT, set.changed_at.map(|changed_at| changed_at.to_string()));
    if !set.rotation_requested {
        annotations.remove(ROTATE);
    }
}

fn set_or_remove<T>(map: &mut BTreeMap<String, T>, key: &str, value: Option<T>) {
    match value {
        Some(value) => map.insert(key.to_owned(), value),
        None => map.remove(key),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{api_server, secret_store, settings};
    use crate::rotation::Step;
    use jiff::Timestamp;
    use rstest::rstest;

    const NAME: &str = "pgops-webhook-ca";

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), ByteString((*value).into()));
        Secret { data: Some(entries.iter().map(entry).collect()), ..Secret::default() }
    }

    fn set() -> CaSet {
        CaSet::generate(Timestamp::now(), &settings()).unwrap()
    }

    #[rstest]
    #[case::no_data(Secret::default())]
    #[case::no_keys(secret(&[("other", "x")]))]
    #[case::empty_keys(secret(&[("ca.crt", ""), ("ca.key", "")]))]
    fn empty_secret_holds_no_ca(#[case] secret: Secret) {
        assert!(decode(&secret, NAME).unwrap().is_none());
    }

    #[rstest]
    #[case::first(&[])]
    #[case::announced(&[Step::Announce])]
    #[case::promoted(&[Step::Announce, Step::Promote])]
    #[case::both(&[Step::Announce, Step::Promote, Step::Announce])]
    fn secret_round_trips_the_cas_and_keeps_other_keys(#[case] steps: &[Step]) {
        let set =
            steps.iter().fold(set(), |set, step| set.after(*step, Timestamp::now(), &settings()).unwrap());
        // The keys of the previous step are removed.
        let mut secret = secret(&[("other", "x"), ("next.crt", "x"), ("next.key", "x"), (PREVIOUS, "x")]);
        encode(&mut secret, &set);
        let decoded = decode(&secret, NAME).unwrap().unwrap();
        assert_eq!(decoded.current.private_key(), set.current.private_key());
        assert_eq!(decoded.next.is_some(), set.next.is_some());
        assert_eq!(decoded.bundle(), set.bundle());
        assert_eq!(decoded.changed_at, set.changed_at);
        assert!(secret.data.unwrap().contains_key("other"));
    }

    #[test]
    fn rotation_request_is_removed_by_the_announcement_only() {
        let mut secret = Secret::default();
        encode(&mut secret, &set());
        secret.metadata.annotations.as_mut().unwrap().insert(ROTATE.into(), "key leaked".into());
        let requested = decode(&secret, NAME).unwrap().unwrap();
        encode(&mut secret, &requested.after(Step::Promote, Timestamp::now(), &settings()).unwrap());
        assert!(decode(&secret, NAME).unwrap().unwrap().rotation_requested);
        encode(&mut secret, &requested.after(Step::Announce, Timestamp::now(), &settings()).unwrap());
        assert!(!decode(&secret, NAME).unwrap().unwrap().rotation_requested);
    }

    #[rstest]
    #[case::key_is_missing(&[("ca.crt", "x")], "no key \"ca.key\"")]
    #[case::certificate_is_missing(&[("ca.key", "x")], "no key \"ca.crt\"")]
    #[case::garbage(&[("ca.crt", "x"), ("ca.key", "y")], "holds no usable CA in \"ca.crt\"")]
    fn garbage_is_rejected_with_the_secret_and_the_remedy(
        #[case] entries: &[(&str, &str)],
        #[case] expected: &str,
    ) {
        let error = decode(&secret(entries), NAME).unwrap_err().to_string();
        assert!(error.contains(&format!("secret \"{NAME}\"")), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("remove both ca.crt and ca.key"), "{error}");
    }

    #[test]
    fn half_written_next_ca_is_rejected_with_its_keys() {
        let mut secret = secret(&[]);
        encode(&mut secret, &set());
        secret.data.as_mut().unwrap().insert("next.crt".into(), ByteString(b"x".to_vec()));
        let error = decode(&secret, NAME).unwrap_err().to_string();
        assert!(error.contains("no key \"next.key\""), "{error}");
        assert!(error.contains("remove both next.crt and next.key"), "{error}");
    }

    #[tokio::test]
    async fn replicas_that_start_together_use_one_ca() {
        let api = api_server();
        let store = secret_store(&api);
        let clock = Clock::system();
        let settings = settings();
        let (one, other) =
            tokio::join!(store.load_or_create(&clock, &settings), store.load_or_create(&clock, &settings));
        assert_eq!(one.unwrap().1.current.certificate(), other.unwrap().1.current.certificate());
    }
}
