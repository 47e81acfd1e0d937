//! The Secret that keeps the authority: read by every replica, written by the first.
//!
//! The chart creates it empty, so that the webhook needs rights on this one name only. What does
//! not parse is refused and never overwritten: API servers may trust it, and a person put it there.

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::PostParams;

use crate::{Authority, AuthorityError};

/// Key of the authority's certificate.
const CERTIFICATE: &str = "ca.crt";
/// Key of the authority's private key.
const PRIVATE_KEY: &str = "ca.key";

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
    /// One half of the pair is there.
    #[error(
        "secret \"{name}\" has no key \"{missing}\": restore it, or remove both {CERTIFICATE} and \
         {PRIVATE_KEY} and restart the webhook to have a new authority made"
    )]
    Half {
        /// Name of the Secret.
        name: String,
        /// The absent key.
        missing: &'static str,
    },
    /// The pair is no authority.
    #[error(
        "secret \"{name}\" holds no usable authority: restore it, or remove both {CERTIFICATE} and \
         {PRIVATE_KEY} and restart the webhook to have a new authority made"
    )]
    Unusable {
        /// Name of the Secret.
        name: String,
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

/// The authority in the Secret; a new one is made and stored if the Secret is empty.
///
/// Of replicas that start together one wins: the write names the version of the Secret that was
/// read, and who loses reads again.
pub async fn obtain(secrets: &Api<Secret>, name: &str, now: Timestamp) -> Result<Authority, SecretError> {
    let kube_error = |verb| move |source| SecretError::Kube { verb, name: name.to_owned(), source };
    loop {
        let secret = secrets.get_opt(name).await.map_err(kube_error("read"))?;
        let mut secret = secret.ok_or_else(|| SecretError::Missing(name.to_owned()))?;
        if let Some(authority) = read(&secret, name, now)? {
            return Ok(authority);
        }
        let authority = Authority::generate(now)
            .map_err(|source| SecretError::Generate { name: name.to_owned(), source })?;
        write(&mut secret, &authority);
        match secrets.replace(name, &PostParams::default(), &secret).await {
            Ok(_) => {
                tracing::info!(secret = name, "made a certification authority");
                return Ok(authority);
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(source) => return Err(kube_error("write")(source)),
        }
    }
}

fn read(secret: &Secret, name: &str, now: Timestamp) -> Result<Option<Authority>, SecretError> {
    let half = |missing| SecretError::Half { name: name.to_owned(), missing };
    // Bytes that are no text end up as a PEM that does not parse.
    let value = |key| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|value| value.0.as_slice());
        bytes.filter(|bytes| !bytes.is_empty()).map(String::from_utf8_lossy)
    };
    match (value(CERTIFICATE), value(PRIVATE_KEY)) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(half(PRIVATE_KEY)),
        (None, Some(_)) => Err(half(CERTIFICATE)),
        (Some(certificate), Some(key)) => Authority::read(&certificate, &key, now)
            .map(Some)
            .map_err(|source| SecretError::Unusable { name: name.to_owned(), source }),
    }
}

fn write(secret: &mut Secret, authority: &Authority) {
    let data = secret.data.get_or_insert_default();
    data.insert(CERTIFICATE.to_owned(), ByteString(authority.certificate().as_bytes().to_vec()));
    data.insert(PRIVATE_KEY.to_owned(), ByteString(authority.private_key().into_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, Request, Response, StatusCode};
    use kube::Client;
    use kube::client::Body;
    use rstest::rstest;
    use serde_json::json;
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};

    const NAME: &str = "pgops-webhook-ca";

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let entry = |(key, value): &(&str, &str)| ((*key).to_owned(), ByteString((*value).into()));
        Secret { data: Some(entries.iter().map(entry).collect()), ..Secret::default() }
    }

    #[rstest]
    #[case::no_data(Secret::default())]
    #[case::no_keys(secret(&[("other", "x")]))]
    #[case::empty_keys(secret(&[(CERTIFICATE, ""), (PRIVATE_KEY, "")]))]
    fn an_empty_secret_asks_for_a_new_authority(#[case] secret: Secret) {
        assert!(read(&secret, NAME, Timestamp::now()).unwrap().is_none());
    }

    #[test]
    fn a_stored_authority_is_used_again_and_other_keys_stay() {
        let made = Authority::generate(Timestamp::now()).unwrap();
        let mut secret = secret(&[("other", "x")]);
        write(&mut secret, &made);
        let read = read(&secret, NAME, Timestamp::now()).unwrap().unwrap();
        assert_eq!(read.certificate(), made.certificate());
        assert_eq!(read.private_key(), made.private_key());
        assert!(secret.data.unwrap().contains_key("other"));
    }

    #[rstest]
    #[case::half(&[(CERTIFICATE, "x")], PRIVATE_KEY)]
    #[case::other_half(&[(PRIVATE_KEY, "x")], CERTIFICATE)]
    #[case::garbage(&[(CERTIFICATE, "x"), (PRIVATE_KEY, "y")], "holds no usable authority")]
    fn refuses_garbage_and_names_the_secret_and_the_remedy(
        #[case] entries: &[(&str, &str)],
        #[case] expected: &str,
    ) {
        let error = read(&secret(entries), NAME, Timestamp::now()).unwrap_err().to_string();
        assert!(error.contains(&format!("secret \"{NAME}\"")), "{error}");
        assert!(error.contains(expected), "{error}");
        assert!(error.contains("remove both ca.crt and ca.key"), "{error}");
    }

    /// An API server with one Secret, which refuses to replace what has changed since it was read.
    fn api_server(secret: Secret) -> Api<Secret> {
        let stored = Arc::new(Mutex::new((1, secret)));
        let answer = move |request: Request<Body>| {
            let stored = stored.clone();
            async move {
                let (parts, body) = request.into_parts();
                // Both replicas read before one of them writes.
                tokio::task::yield_now().await;
                let sent = body.collect_bytes().await.unwrap();
                let mut stored = stored.lock().unwrap();
                let (version, secret) = &mut *stored;
                secret.metadata.resource_version = Some(version.to_string());
                let mut status = StatusCode::OK;
                if parts.method == Method::PUT {
                    let new: Secret = serde_json::from_slice(&sent).unwrap();
                    if new.metadata.resource_version == secret.metadata.resource_version {
                        *secret = new;
                        *version += 1;
                    } else {
                        status = StatusCode::CONFLICT;
                    }
                }
                let body = match status {
                    StatusCode::OK => serde_json::to_vec(&secret),
                    _ => serde_json::to_vec(&json!({ "status": "Failure", "code": status.as_u16() })),
                };
                Ok::<_, Infallible>(
                    Response::builder().status(status).body(Body::from(body.unwrap())).unwrap(),
                )
            }
        };
        Api::default_namespaced(Client::new(tower::service_fn(answer), "pgops-system"))
    }

    #[tokio::test]
    async fn of_two_replicas_that_start_together_both_use_the_authority_of_one() {
        let mut empty = Secret::default();
        empty.metadata.name = Some(NAME.to_owned());
        let secrets = api_server(empty);
        let now = Timestamp::now();
        let (one, other) = tokio::join!(obtain(&secrets, NAME, now), obtain(&secrets, NAME, now));
        assert_eq!(one.unwrap().certificate(), other.unwrap().certificate());
    }
}
