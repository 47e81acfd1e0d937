//! TLS of clients: certificates that a server cannot do without, and issuers that cannot exist.

use super::name::check_object_name;
use super::problem::{SpecProblem, SpecProblemReason};
use crate::Postgres;
use crate::postgres::ClientAuthMode;
use crate::tls::{CERT_MANAGER_GROUP, CertificateAlias, CertificateSpec, IssuerRef, SslMode};

const TLS: &str = "spec.tls";
/// The alias that pgops makes no certificate for.
const EXPORTER: &str = "metrics-exporter";

pub(super) fn check(database: &Postgres) -> Vec<SpecProblem> {
    let mut problems: Vec<_> = check_mode(database).into_iter().collect();
    let Some(tls) = &database.spec.tls else { return problems };
    problems.extend(tls.issuer_ref.iter().flat_map(|issuer| check_issuer("spec.tls.issuerRef", issuer)));
    let certificates = tls.certificates.as_deref().unwrap_or_default();
    for (index, certificate) in certificates.iter().enumerate() {
        let field = format!("spec.tls.certificates[{index}]");
        problems.extend(check_certificate(&field, certificate));
        if certificates[..index].iter().any(|other| other.alias == certificate.alias) {
            let message = format!("\"{}\" is listed twice: keep one of them", certificate.alias);
            problems.push(problem(&format!("{field}.alias"), message));
        }
    }
    problems.extend(check_sources(database));
    problems
}

fn problem(field: &str, message: impl Into<String>) -> SpecProblem {
    SpecProblem::new(SpecProblemReason::InvalidTls, field, message)
}

/// What is promised to clients and cannot be kept without certificates.
fn check_mode(database: &Postgres) -> Option<SpecProblem> {
    if database.server_tls().is_some() {
        return None;
    }
    let mode = database.ssl_mode();
    let remedy = "set spec.tls.issuerRef, or a Secret with a certificate in spec.tls.certificates (docs/how-to/tls.md)";
    if mode != SslMode::Disable {
        let message = format!("\"{}\" requires a certificate of the server: {remedy}", mode.as_str());
        return Some(problem("spec.sslMode", message));
    }
    (database.spec.client_auth_mode == Some(ClientAuthMode::Cert)).then(|| {
        let message = format!(
            "\"cert\" requires TLS: {remedy}, and leave spec.sslMode out; or set \"scram\" for passwords"
        );
        problem("spec.clientAuthMode", message)
    })
}

fn check_issuer(field: &str, issuer: &IssuerRef) -> Vec<SpecProblem> {
    let mut problems = Vec::new();
    let group = issuer.api_group.as_deref().filter(|group| !group.is_empty());
    let is_cert_manager = group.is_none_or(|group| group == CERT_MANAGER_GROUP);
    if issuer.name.is_empty() {
        problems.push(problem(
            &format!("{field}.name"),
            "it is empty: set the name of an issuer of cert-manager",
        ));
    } else {
        let name = format!("{field}.name");
        problems.extend(check_object_name(SpecProblemReason::InvalidTls, &name, &issuer.name));
    }
    let kind = issuer.kind.as_str();
    if kind.is_empty() || (is_cert_manager && !matches!(kind, "Issuer" | "ClusterIssuer")) {
        let message =
            format!("\"{kind}\" is not a kind of {CERT_MANAGER_GROUP}: set \"Issuer\" or \"ClusterIssuer\"");
        problems.push(problem(&format!("{field}.kind"), message));
    }
    problems
}

fn check_certificate(field: &str, certificate: &CertificateSpec) -> Vec<SpecProblem> {
    let mut problems = Vec::new();
    let is_known =
        |alias: &str| alias == EXPORTER || CertificateAlias::ALL.iter().any(|it| it.as_str() == alias);
    if !is_known(&certificate.alias) {
        let message = format!(
            "\"{}\" is not an alias: set \"server\" or \"client\"",
            crate::bounded(certificate.alias.as_str(), 64, "")
        );
        problems.push(problem(&format!("{field}.alias"), message));
    }
    if let Some(secret) = certificate.secret_name.as_deref().filter(|name| !name.is_empty()) {
        let name = format!("{field}.secretName");
        problems.extend(check_object_name(SpecProblemReason::InvalidTls, &name, secret));
    }
    problems.extend(
        certificate.issuer_ref.iter().flat_map(|issuer| check_issuer(&format!("{field}.issuerRef"), issuer)),
    );
    problems
}

/// The server must have a certificate, and so must pgops itself where clients authenticate by one.
fn check_sources(database: &Postgres) -> Vec<SpecProblem> {
    let Some(tls) = database.server_tls() else { return Vec::new() };
    let source = |alias| database.certificate(alias);
    let (server, client) = (source(CertificateAlias::Server), source(CertificateAlias::Client));
    let mut problems = Vec::new();
    if server.is_none() {
        let message = "the server has no certificate: set issuerRef, or name a Secret with tls.crt, tls.key and ca.crt in \
                       certificates, with the alias \"server\"";
        problems.push(problem(TLS, message));
    }
    if tls.verifies_clients && client.is_none() {
        let message = "spec.clientAuthMode \"cert\" requires a certificate of the superuser, by which upgrades connect: set \
                       issuerRef, or name a Secret with tls.crt and tls.key in certificates, with the alias \"client\"";
        problems.push(problem(TLS, message));
    }
    if let (Some(server), Some(client)) = (server, client)
        && server.secret == client.secret
    {
        let message =
            format!("Secret {} cannot have two certificates: name another one for \"client\"", server.secret);
        problems.push(problem("spec.tls.certificates", message));
    }
    problems
}

/// What is admitted and has no effect.
pub(super) fn warnings(database: &Postgres) -> Vec<String> {
    let Some(tls) = &database.spec.tls else { return Vec::new() };
    if database.server_tls().is_none() {
        return vec![
            "spec.tls has no effect: spec.sslMode is \"disable\", so clients connect without TLS".to_owned(),
        ];
    }
    let mut warnings = Vec::new();
    for (index, certificate) in tls.certificates.iter().flatten().enumerate() {
        let field = format!("spec.tls.certificates[{index}]");
        if certificate.alias == EXPORTER {
            warnings
                .push(format!("{field} has no effect: pgops runs no exporter with a certificate of its own"));
        }
        let has_issuer = certificate.issuer_ref.is_some() || tls.issuer_ref.is_some();
        if !has_issuer && requests_something(certificate) {
            warnings.push(format!(
                "{field}: only secretName has an effect, since there is no issuerRef: the Secret is used as it is"
            ));
        }
    }
    warnings
}

/// Whether there is anything for an issuer to follow.
fn requests_something(certificate: &CertificateSpec) -> bool {
    let named = CertificateSpec {
        alias: certificate.alias.clone(),
        secret_name: certificate.secret_name.clone(),
        ..CertificateSpec::default()
    };
    *certificate != named
}
