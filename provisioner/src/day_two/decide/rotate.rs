//! Another password for the superuser. At each moment the server has a password that is in the Secret: the present one, or the next
//! one, which the instance gives to the server through the pod's own socket before it becomes the present one.

use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use pgops_api::instance_status::{PasswordRotation, PasswordState};
use pgops_api::names;

use crate::day_two::facts::{Facts, State};
use crate::day_two::plan::Stage;
use crate::day_two::step::{NOT_CONFIRMED, Step};
use crate::observation::AuthSecret;

/// How long an instance that does not report about passwords is waited for.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);
/// How long an instance that reports, and has not given the password to the server, is waited for, unless the request has a time
/// limit: the kubelet passes the password on within about a minute.
const SERVER_PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// The next step; none if the Secret has the password of the server.
pub fn next(facts: &Facts) -> Option<Step> {
    update_server(facts).or_else(|| update_secret(facts))
}

/// Whether the server has the next password, which must become that of the Secret.
pub fn is_applied(facts: &Facts) -> bool {
    matches!(facts.state(Stage::UpdatePassword), State::Done(_))
}

/// Whether the request cannot be cancelled now: until the Secret has the password of the server, unless that is refused; and while
/// a password is proposed, which is withdrawn as soon as it is known which one it is.
pub fn is_irrevocable(facts: &Facts) -> bool {
    let is_proposing = matches!(facts.state(Stage::UpdatePassword), State::Running(..))
        && proposed(facts).is_none()
        && rotation(facts).is_some();
    is_proposing || (is_applied(facts) && facts.refusal().is_none())
}

/// The step, with which password was proposed if the server is not to get it any more: it must be withdrawn.
pub fn remember(facts: &Facts, step: Step) -> Step {
    match (step, proposed(facts)) {
        (Step::Fail { stage: Stage::UpdatePassword, reason, message }, Some(id)) => {
            Step::Fail { stage: Stage::UpdatePassword, reason, message: format!("{message} (id {id})") }
        }
        (step, _) => step,
    }
}

/// The text before the identification of a password in a message, and the identification.
pub fn split_id(message: &str) -> Option<(&str, &str)> {
    let (text, id) = message.rsplit_once("(id ")?;
    Some((text.trim_end(), id.split_once(')')?.0))
}

/// Identification of the password that was proposed, as the condition has it.
fn proposed<'a>(facts: &Facts<'a>) -> Option<&'a str> {
    let message = match facts.state(Stage::UpdatePassword) {
        State::Running(_, message) => message,
        State::Done(done) => done.message.as_deref()?,
        State::NotBegun | State::Failed(_) => return None,
    };
    split_id(message).map(|(_, id)| id)
}

/// The message that records which password was proposed.
pub fn proposed_message(id: &str) -> String {
    format!("the server gets the password under the key password.next of its Secret (id {id})")
}

/// The server has this password.
pub fn applied(id: &str) -> Step {
    Step::completed(Stage::UpdatePassword, format!("the server has the new password (id {id})"))
}

pub fn rotation<'a>(facts: &Facts<'a>) -> Option<&'a PasswordRotation> {
    let running: &'a crate::observation::Observation = facts.running;
    running.instance.as_ref()?.rotation.as_ref()
}

/// Whether the server accepts the password of the Secret. Where clients authenticate by certificates the instance cannot try it.
pub fn accepts_present(facts: &Facts) -> bool {
    let is_used = !facts.database.server_tls().is_some_and(|tls| tls.verifies_clients);
    let instance = facts.running.instance.as_ref();
    !is_used || instance.is_some_and(|instance| instance.password == PasswordState::Accepted)
}

fn update_server(facts: &Facts) -> Option<Step> {
    const STAGE: Stage = Stage::UpdatePassword;
    let since = match facts.state(STAGE) {
        State::Done(_) | State::Failed(_) => return None,
        State::NotBegun => {
            return Some(Step::Begin { stage: STAGE, message: "generating a password".to_owned() });
        }
        State::Running(since, _) => since,
    };
    if let Some(missing) = missing_secret(facts, STAGE) {
        return Some(missing);
    }
    let not_reporting = "the instance does not report about passwords. It was started by an earlier release of pgops (apply a \
         request of type Restart first), or the provisioner cannot reach its port 8008 (NetworkPolicy)";
    let rotation = rotation(facts);
    Some(match (proposed(facts), rotation) {
        // Proposed to an instance that does not know of it, the password would get into the server at an accidental restart.
        (None, None) if facts.is_over(since, Some(PATIENCE)) => {
            Step::failed(STAGE, "InstanceNotReporting", format!("nothing was changed: {not_reporting}"))
        }
        (None, None) if facts.has_just_begun(since) => Step::Wait(None),
        (None, None) => Step::waiting("InstanceNotReporting", not_reporting),
        (None, Some(_)) => Step::ProposePassword,
        (Some(id), Some(rotation)) if rotation.applied.as_deref() == Some(id) => applied(id),
        (Some(id), rotation) => {
            let (reason, message) = why_not_applied(id, rotation);
            if rotation.is_some() && facts.is_over(since, Some(SERVER_PATIENCE)) {
                Step::failed(STAGE, reason, message)
            } else {
                Step::waiting(reason, message)
            }
        }
    })
}

/// Why the server does not have the password yet.
fn why_not_applied(id: &str, rotation: Option<&PasswordRotation>) -> (&'static str, String) {
    // An error may be that of an earlier one.
    let error = rotation.filter(|rotation| rotation.pending.as_deref() == Some(id));
    if let Some(error) = error.and_then(|rotation| rotation.error.as_deref()) {
        return ("PasswordNotSet", format!("the server does not set it: {error}"));
    }
    let message = "the kubelet passes the new password to the pod, which takes about a minute";
    ("PasswordNotRead", message.to_owned())
}

fn update_secret(facts: &Facts) -> Option<Step> {
    const STAGE: Stage = Stage::UpdateSecret;
    match facts.state(STAGE) {
        State::Done(_) | State::Failed(_) => return None,
        State::NotBegun => {
            let message = "the Secret gets the password of the server".to_owned();
            return Some(Step::Begin { stage: STAGE, message });
        }
        State::Running(..) => {}
    }
    if let Some(missing) = missing_secret(facts, STAGE) {
        return Some(missing);
    }
    // An earlier attempt may have changed the Secret, before the provisioner was stopped.
    let unconfirmed = facts.waiting_since(NOT_CONFIRMED);
    let is_read = rotation(facts).is_some_and(|rotation| rotation.pending.is_none());
    if unconfirmed.is_some() && is_read && accepts_present(facts) {
        return Some(Step::completed(STAGE, "the Secret has the password of the server"));
    }
    if unconfirmed.is_some_and(|since| facts.is_over(since, Some(SERVER_PATIENCE))) {
        let message = format!(
            "the server has a new password, and another client has removed that from Secret {}: see the condition \
             PasswordMismatch of the Postgres",
            facts.database.auth_secret()
        );
        return Some(Step::failed(STAGE, NOT_CONFIRMED, message));
    }
    proposed(facts).map(|id| Step::PromotePassword(id.to_owned()))
}

/// Why the Secret cannot be changed; checked again in each stage, since the database may have named another one meanwhile.
fn missing_secret(facts: &Facts, stage: Stage) -> Option<Step> {
    let secret = facts.database.auth_secret();
    let own = names::auth_secret(&facts.database.name_any());
    if secret != own {
        let message = format!("spec.authSecret names Secret {secret} now, and only {own} is changed");
        return Some(Step::failed(stage, "SecretNotOwned", message));
    }
    // Once the server has the password, it must get into the Secret.
    if stage == Stage::UpdatePassword && facts.database.created_auth_secret().is_none() {
        return Some(not_created(facts, stage));
    }
    (facts.running.auth_secret == AuthSecret::Missing).then(|| {
        Step::failed(
            stage,
            "SecretNotFound",
            format!("Secret {secret} does not exist: see the condition AuthSecretMissing of the Postgres"),
        )
    })
}

/// A Secret that a user, or another tool, has made, which may make it again with the earlier password.
pub fn not_created(facts: &Facts, stage: Stage) -> Step {
    let message = format!(
        "Secret {} was not created by pgops, which changes no other one: change the password of the server and that of the \
         Secret yourself",
        facts.database.auth_secret()
    );
    Step::failed(stage, "SecretNotOwned", message)
}
