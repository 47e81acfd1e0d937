//! What is known to keep the next pod from serving. The server that runs has read its Secrets and its settings already: it is not
//! stopped for a pod that could not take its place.

use pgops_api::opsrequest::DayTwo;
use pgops_api::postgres::REASON_CERTIFICATE_INVALID;
use pgops_api::quantity::Quantity;
use pgops_api::tls::CertificateAlias;

use crate::certificates::CertificateProblem;
use crate::condition_types::REASON_CREDENTIALS_UNUSABLE;
use crate::day_two::facts::Facts;
use crate::day_two::plan::{Stage, blamed_stage};
use crate::day_two::step::{Obstacle, Step};
use crate::observation::{AuthSecret, size};
use crate::restart::{AUTH_SECRET, CONFIG_SECRET, TLS};

/// What keeps a server from starting again that is about to be stopped; none if nothing is known.
pub fn start_obstacle(facts: &Facts) -> Option<Obstacle> {
    // Without a pod there is nothing to lose.
    facts.pod()?;
    password(facts)
        .or_else(|| certificate(facts))
        .or_else(|| settings(facts))
        .or_else(|| memory(facts))
        .or_else(|| next_pod(facts))
}

/// Ends the request before it stops the server. What it has changed is put back.
pub fn refuse(facts: &Facts, obstacle: Obstacle) -> Step {
    let Obstacle { reason, message } = obstacle;
    if facts.has_begun() {
        return Step::failed(blamed_stage(facts.operation).unwrap_or(Stage::Restart), reason, message);
    }
    let message = format!("{} was not touched: {message}", facts.key());
    Step::End { reason: reason.to_owned(), message }
}

fn password(facts: &Facts) -> Option<Obstacle> {
    let secret = facts.database.auth_secret();
    if facts.running.auth_secret == AuthSecret::Missing {
        let message = format!(
            "Secret {secret} does not exist, and no other pod could start without it: see the condition AuthSecretMissing of \
             the Postgres"
        );
        return Some(Obstacle { reason: "SecretNotFound", message });
    }
    // The next pod may have another Secret.
    let instance = facts.running.instance.as_ref().filter(|_| !facts.running.restart.may_name(AUTH_SECRET));
    let problem = instance?.credentials_problem.as_deref()?;
    Some(Obstacle {
        reason: REASON_CREDENTIALS_UNUSABLE,
        message: format!(
            "the server could not be started again with Secret {secret}: {problem}. Correct the Secret first"
        ),
    })
}

fn certificate(facts: &Facts) -> Option<Obstacle> {
    facts.database.server_tls()?;
    let report = facts.running.instance.as_ref().and_then(|instance| instance.certificate.as_ref());
    // The next pod may have another Secret.
    let report = report.filter(|_| !facts.running.restart.may_name(TLS));
    if let Some(problem) = report.and_then(|report| report.problem.as_deref()) {
        return Some(Obstacle {
            reason: REASON_CERTIFICATE_INVALID,
            message: format!(
                "the server could not be started again with the certificate in its Secret: {problem}. See the condition \
                 CertificatesReady of the Postgres"
            ),
        });
    }
    let is_in_use = report.is_some_and(|report| report.validity.is_some());
    let mut problems = facts.running.certificates.iter().flatten();
    let fatal = problems.find(|problem| match problem {
        CertificateProblem::SecretMissing { alias, .. } => *alias == CertificateAlias::Server.as_str(),
        // An issuer that does not answer harms nothing as long as there is a certificate.
        CertificateProblem::NoCertManager
        | CertificateProblem::Refused { .. }
        | CertificateProblem::Taken(_)
        | CertificateProblem::SecretTaken { .. }
        | CertificateProblem::NotIssued { .. } => !is_in_use,
        CertificateProblem::NotRemoved { .. } => false,
    })?;
    Some(Obstacle { reason: fatal.reason(), message: fatal.to_string() })
}

fn settings(facts: &Facts) -> Option<Obstacle> {
    let instance = facts.running.instance.as_ref()?;
    let inline = instance.inline_settings.as_ref();
    let inline = inline.and_then(|report| report.rejection_of(facts.database.inline_settings()));
    // A request for settings may just have corrected them.
    let of_secret =
        instance.config_secret_rejection.as_deref().filter(|_| facts.operation != DayTwo::Reconfigure);
    let words = inline.or(of_secret)?;
    // With those of another Secret they may be accepted.
    (!facts.running.restart.may_name(CONFIG_SECRET)).then(|| Obstacle {
        reason: "SettingsRejected",
        message: format!(
            "the server runs with earlier settings, and could not be started again with those that it has now: {words}. \
             Correct them first"
        ),
    })
}

fn next_pod(facts: &Facts) -> Option<Obstacle> {
    let (reason, message) = facts.next_pod.problem()?;
    Some(Obstacle { reason, message })
}

/// The kernel would kill a server that fills its buffers, and one with large buffers already while it starts.
fn memory(facts: &Facts) -> Option<Obstacle> {
    let is_scaled = facts.operation == DayTwo::VerticalScaling && !facts.database.overrides_guards();
    let limits = facts.request.spec.server_resources().filter(|_| is_scaled)?.limits.as_ref()?;
    // Buffers in huge pages have a limit of their own.
    if limits.keys().any(|name| name.starts_with("hugepages-")) {
        return None;
    }
    let limit = limits.get("memory")?;
    let amount = limit.0.parse::<Quantity>().ok().filter(|amount| *amount > Quantity::ZERO)?;
    let buffers = facts.running.instance.as_ref()?.shared_buffers?;
    (amount < Quantity::bytes(buffers)).then(|| Obstacle {
        reason: "MemoryTooSmall",
        message: format!(
            "the limit of memory, {}, is less than the {} of shared_buffers, and the kernel would kill a server that uses them: \
             request a higher limit, or lower shared_buffers first",
            limit.0,
            size(buffers)
        ),
    })
}
