//! The certificates of a database: requests them of cert-manager, and looks for their Secrets, which it never reads.

mod problem;
mod resource;
#[cfg(test)]
mod tests;
mod wanted;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use pgops_api::certificates::CertificateSource;
use pgops_api::postgres::CONDITION_CERTIFICATES_READY;
use pgops_api::tls::CertificateAlias;
use pgops_api::{Owner, Postgres, condition, names};
use pgops_kube::{ApiError, status};

use crate::apply::MANAGER;
use crate::observation::AuthSecret;
use crate::secret;
pub use problem::CertificateProblem;
use resource::Certificate;

/// How long an issuer may take before it is reported.
const ISSUING: SignedDuration = SignedDuration::from_secs(30);

/// Requests the certificates of a database, unless it is paused, and reports what is wrong with them; none as long as requests
/// of a database without TLS are left.
pub async fn reconcile(
    client: &Client,
    database: &Postgres,
) -> Result<Option<Vec<CertificateProblem>>, ApiError> {
    let mut problems = Vec::new();
    // Without TLS something is left only if there was TLS before, which the condition remembers until it is removed.
    let had_certificates = condition::find(database.conditions(), CONDITION_CERTIFICATES_READY).is_some();
    let is_used = database.server_tls().is_some();
    if !is_used && !had_certificates {
        return Ok(Some(problems));
    }
    let mut is_settled = true;
    for alias in CertificateAlias::ALL {
        let source = database.certificate(alias);
        let wanted = source.as_ref().and_then(|source| wanted::certificate(database, alias, source));
        let is_issued = wanted.is_some();
        let issued = match wanted {
            Some(wanted) => issue(client, database, wanted).await?,
            None => remove(client, database, alias).await?,
        };
        is_settled &= !matches!(issued, Issued::Left);
        let problem = match (issued, source) {
            (Issued::Problem(problem), _) => Some(problem),
            (Issued::Ready | Issued::NotRequested | Issued::Left, Some(source)) => {
                missing(client, database, alias, &source, is_issued).await
            }
            (Issued::Pending, _) | (_, None) => None,
        };
        problems.extend(problem.filter(|problem| matters(database, alias, problem)));
    }
    Ok((is_used || is_settled).then_some(problems))
}

/// The certificate of the superuser is made for people, unless clients must have one.
fn matters(database: &Postgres, alias: CertificateAlias, problem: &CertificateProblem) -> bool {
    if matches!(problem, CertificateProblem::NotRemoved { .. }) {
        return true;
    }
    match alias {
        CertificateAlias::Server => true,
        CertificateAlias::Client => {
            let requests = database.spec.tls.as_ref().and_then(|tls| tls.certificates.as_deref());
            let is_listed =
                requests.unwrap_or_default().iter().any(|request| request.alias == alias.as_str());
            is_listed || database.server_tls().is_some_and(|tls| tls.verifies_clients)
        }
    }
}

/// What has become of a request for a certificate.
enum Issued {
    NotRequested,
    /// Not wanted any more, and not removed yet.
    Left,
    /// Too early to say.
    Pending,
    Ready,
    Problem(CertificateProblem),
}

fn api(client: &Client, database: &Postgres) -> Api<Certificate> {
    Api::namespaced(client.clone(), &database.namespace().unwrap_or_default())
}

/// A request for a certificate; none without cert-manager either: its whole API is missing then, which `get_opt` takes for an error.
async fn read(api: &Api<Certificate>, name: &str) -> Result<Option<Certificate>, ApiError> {
    match api.get(name).await {
        Ok(certificate) => Ok(Some(certificate)),
        Err(error) if status::is_not_found(&error) => Ok(None),
        Err(error) => Err(ApiError::on::<Certificate>("read", name)(error)),
    }
}

/// Requests a certificate, or changes the request.
async fn issue(client: &Client, database: &Postgres, wanted: Certificate) -> Result<Issued, ApiError> {
    let (api, name) = (api(client, database), wanted.name_any());
    let on = |verb| ApiError::on::<Certificate>(verb, name.as_str());
    let may_write = database.paused().is_none() && database.metadata.deletion_timestamp.is_none();
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let owner = Owner::of(database);
    let existing = read(&api, &name).await?;
    if let Some(taken) = taken_secret(client, database, existing.as_ref(), &wanted).await {
        return Ok(Issued::Problem(taken));
    }
    let written = match existing {
        Some(existing) if !owner.owns(&existing.metadata) => {
            return Ok(Issued::Problem(CertificateProblem::Taken(owner.foreign::<Certificate>(name))));
        }
        Some(existing) if existing.spec == wanted.spec || !may_write => Ok(existing),
        Some(existing) => {
            // In the version that was read, and with what others have written into its metadata.
            let changed = Certificate { spec: wanted.spec, ..existing };
            api.replace(&name, &params, &changed).await
        }
        None if may_write => api.create(&params, &wanted).await,
        None => return Ok(Issued::Pending),
    };
    match written {
        Ok(certificate) => Ok(judge(database, &certificate, Timestamp::now())),
        Err(error) if status::is_not_found(&error) => Ok(Issued::Problem(CertificateProblem::NoCertManager)),
        Err(error) if status::is_refused(&error) => {
            let words = on("write")(error).cause();
            Ok(Issued::Problem(CertificateProblem::Refused { name, words }))
        }
        Err(error) => Err(on("write")(error)),
    }
}

/// The Secret that a Certificate would get, if it exists already and is not the usual one: it may belong to anything.
async fn taken_secret(
    client: &Client,
    database: &Postgres,
    existing: Option<&Certificate>,
    wanted: &Certificate,
) -> Option<CertificateProblem> {
    let secret = &wanted.spec.secret_name;
    let is_usual = *secret == wanted.name_any();
    let has_it = existing.is_some_and(|existing| existing.spec.secret_name == *secret);
    if is_usual || has_it || secret::exists(client, database, secret).await != AuthSecret::Present {
        return None;
    }
    let namespace = database.namespace().unwrap_or_default();
    Some(CertificateProblem::SecretTaken { secret: secret.clone(), namespace })
}

/// What cert-manager reports. A certificate that was just requested is given time.
fn judge(database: &Postgres, certificate: &Certificate, now: Timestamp) -> Issued {
    let ready = certificate.ready();
    if ready.is_some_and(|ready| ready.status == "True") {
        return Issued::Ready;
    }
    let is_new = |Time(created): Time| now.duration_since(created) < ISSUING;
    if certificate.creation_timestamp().is_some_and(is_new) {
        return Issued::Pending;
    }
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    let words = match ready {
        Some(ready) => format!("{}: {}", text(ready.reason.as_ref()), text(ready.message.as_ref())),
        None => "cert-manager has not reported anything; does it run?".to_owned(),
    };
    let issuer = &certificate.spec.issuer_ref;
    Issued::Problem(CertificateProblem::NotIssued {
        name: certificate.name_any(),
        namespace: database.namespace().unwrap_or_default(),
        issuer: format!("{} {}", issuer.kind, issuer.name),
        words,
    })
}

/// Removes the request for a certificate that is no longer wanted: cert-manager would continue to write its Secret.
async fn remove(client: &Client, database: &Postgres, alias: CertificateAlias) -> Result<Issued, ApiError> {
    let (api, name) = (api(client, database), names::certificate(&database.name_any(), alias));
    let on = |verb| ApiError::on::<Certificate>(verb, name.as_str());
    let Some(existing) =
        read(&api, &name).await?.filter(|existing| Owner::of(database).owns(&existing.metadata))
    else {
        return Ok(Issued::NotRequested);
    };
    if database.paused().is_some() {
        return Ok(Issued::Left);
    }
    let preconditions = Preconditions { uid: existing.uid(), resource_version: None };
    let params = DeleteParams::default().preconditions(preconditions);
    match api.delete(&name, &params).await {
        Err(error) if status::is_refused(&error) => {
            let words = on("delete")(error).cause();
            Ok(Issued::Problem(CertificateProblem::NotRemoved { name, words }))
        }
        Err(error) if !status::is_not_found(&error) => Err(on("delete")(error)),
        _ => Ok(Issued::NotRequested),
    }
}

async fn missing(
    client: &Client,
    database: &Postgres,
    alias: CertificateAlias,
    source: &CertificateSource,
    is_issued: bool,
) -> Option<CertificateProblem> {
    let found = secret::exists(client, database, &source.secret).await;
    (found == AuthSecret::Missing).then(|| CertificateProblem::SecretMissing {
        secret: source.secret.clone(),
        namespace: database.namespace().unwrap_or_default(),
        alias: alias.as_str(),
        is_issued,
    })
}
