//! A password that its request gives up before the server is known to have it. The instance may be giving it to the server at this
//! moment, so it is taken from the instance first; and it is removed only if the server still accepts the present one. What the
//! server may have is in the Secret.

use k8s_openapi::jiff::SignedDuration;
use pgops_api::Condition;

use super::rotate::{accepts_present, applied, rotation, split_id};
use crate::day_two::facts::Facts;
use crate::day_two::plan::Stage;
use crate::day_two::step::{CANCELLED, CHANGE_REFUSED, Step, WITHDRAWN};
use crate::observation::{AuthSecret, PodLookup};

/// How long an instance may take to notice, whatever the request says: the kubelet takes the files away within about a minute.
const PATIENCE: SignedDuration = SignedDuration::from_mins(5);

/// The next step of a request for another password of which this stage has failed.
pub fn next(facts: &Facts, stage: Stage, failure: &Condition) -> Step {
    let reason = failure.reason.clone().unwrap_or_default();
    let message = failure.message.as_deref().unwrap_or_default();
    let (key, secret) = (facts.key(), facts.database.auth_secret());
    let proposed = split_id(message).filter(|_| stage == Stage::UpdatePassword);
    let Some((why, id)) = proposed else {
        let message = match (stage, reason.as_str()) {
            (Stage::UpdatePassword, CHANGE_REFUSED) => format!("{key} was not touched: {message}"),
            (Stage::UpdateSecret, CHANGE_REFUSED | CANCELLED) => format!(
                "the server of {key} has the password that Secret {secret} has under the key password.next, and not under the key \
                 password: {message}"
            ),
            _ => format!("the password of {key}: {message}"),
        };
        return Step::End { reason, message };
    };
    let rotation = rotation(facts);
    if rotation.is_some_and(|rotation| rotation.applied.as_deref() == Some(id)) {
        // Too late: the Secret must get it.
        return applied(id);
    }
    if facts.running.auth_secret == AuthSecret::Missing {
        let message = format!("the password of {key}: {why}. Secret {secret} does not exist any more");
        return Step::End { reason, message };
    }
    let Some(since) = facts.waiting_since(WITHDRAWN) else {
        return Step::WithdrawPassword(id.to_owned());
    };
    let is_unseen = rotation.is_some_and(|rotation| rotation.pending.as_deref() != Some(id));
    if is_unseen && accepts_present(facts) {
        let message = format!("the password of {key} was not changed: {why}");
        return Step::DiscardPassword { id: id.to_owned(), reason, message };
    }
    // Without a pod no instance can give it to a server any more; but one may have done so before.
    if facts.running.server_pod == PodLookup::Missing || facts.now.duration_since(since) >= PATIENCE {
        let message = format!(
            "the password of {key}: {why}. It is not known whether the server has got the new one, which stays in Secret {secret} \
             under the key password.next: see the condition PasswordMismatch of the Postgres"
        );
        return Step::End { reason, message };
    }
    Step::waiting(WITHDRAWN, "the kubelet takes the new password from the pod, which takes about a minute")
}
