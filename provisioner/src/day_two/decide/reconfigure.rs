//! Other settings: the server checks them first, and is restarted only if one of them needs it.

use std::collections::BTreeSet;

use k8s_openapi::jiff::SignedDuration;
use pgops_api::instance_status::UNKNOWN_SETTINGS;
use pgops_api::opsrequest::{Apply, RestartMode};
use pgops_api::settings::{self, digest};

use super::change_spec::change;
use super::replace_pod::{await_template, restart};
use crate::condition_types::REASON_NOT_CHECKED;
use crate::day_two::change::{Replaced, new_inline};
use crate::day_two::facts::{Facts, State, Template};
use crate::day_two::plan::{Stage, stages};
use crate::day_two::step::Step;
use crate::settings_check::SettingsCheck;

/// How long the instance may take to see settings, unless the request has a time limit: the kubelet passes them on within about a
/// minute.
const PATIENCE: SignedDuration = SignedDuration::from_mins(4);
/// Reason of a reload after which settings wait for a restart.
const RESTART_NEEDED: &str = "RestartNeeded";

/// The next step; none if everything is done.
pub fn next(facts: &Facts) -> Option<Step> {
    check(facts)
        .or_else(|| change(facts, Stage::Reconfigure, "the Postgres has the new settings"))
        .or_else(|| check_secret(facts))
        .or_else(|| take_effect(facts))
}

/// What the request has achieved.
pub fn result(facts: &Facts) -> String {
    let key = facts.key();
    let waits = !has_reloaded(facts) || needs_restart(facts);
    let is_restarted = matches!(facts.state(Stage::Restart), State::Done(_));
    let mut result = format!("{key} has the new settings");
    if waits && !is_restarted {
        result.push_str(", of which some take effect when it is restarted");
    }
    let without_effect = overridden(facts);
    if !without_effect.is_empty() {
        result.push_str("; these have no effect, since pgops or ALTER SYSTEM sets them otherwise: ");
        result.push_str(&without_effect.join(", "));
    }
    result
}

/// Names of the settings that the request makes.
fn applied(facts: &Facts) -> BTreeSet<String> {
    let change = facts.request.spec.configuration.as_ref();
    let text = change.and_then(|change| settings::of_map(&change.apply_config).ok());
    text.map(settings::names).unwrap_or_default()
}

/// The settings of the request that others take precedence over, as far as the server has read them.
fn overridden(facts: &Facts) -> Vec<String> {
    let read = facts.running.instance.as_ref().and_then(|instance| instance.inline_settings.clone());
    let read = read.filter(|read| read.digest == digest(facts.database.inline_settings()));
    let own = applied(facts);
    let overridden = read.map(|read| read.overridden).unwrap_or_default();
    overridden.into_iter().filter(|name| own.contains(name)).collect()
}

/// Has the server check settings that are in the request. Those of a Secret are checked once the Postgres names it.
fn check(facts: &Facts) -> Option<Step> {
    const STAGE: Stage = Stage::CheckSettings;
    if !stages(facts.request, facts.operation).contains(&STAGE) {
        return None;
    }
    let since = match facts.state(STAGE) {
        State::Done(_) | State::Failed(_) => return None,
        State::NotBegun => {
            return Some(Step::Begin { stage: STAGE, message: "the server checks the settings".to_owned() });
        }
        State::Running(since, _) => since,
    };
    let text = match new_inline(facts.database, facts.request) {
        Ok(text) => text,
        Err(error) => return Some(Step::failed(STAGE, "InvalidConfiguration", error.to_string())),
    };
    if facts.database.candidate_settings() != Some(text.as_str()) {
        return Some(Step::Propose(text));
    }
    let checked = facts.running.instance.as_ref().and_then(|instance| instance.candidate.as_ref());
    let checked = checked.filter(|checked| checked.digest == digest(&text));
    Some(match checked.map(|checked| &checked.error) {
        Some(None) => Step::completed(STAGE, "the server accepts the settings"),
        Some(Some(words)) => {
            Step::failed(STAGE, "SettingsRejected", format!("the server rejects the settings: {words}"))
        }
        // There is nothing to lose.
        None if facts.request.spec.apply == Apply::Always && !is_ready(facts) => {
            Step::completed(STAGE, "no server runs that could check the settings: the next one tries them")
        }
        None if facts.is_over(since, Some(PATIENCE)) => Step::failed(
            STAGE,
            "SettingsNotChecked",
            "the pod has not checked the settings: it was started by an earlier release of pgops (apply a request of type \
             Restart first), or the provisioner cannot reach its port 8008 (NetworkPolicy)",
        ),
        None => Step::waiting(
            "SettingsNotChecked",
            "the kubelet passes the settings to the pod, which takes about a minute",
        ),
    })
}

/// Waits until the settings of another Secret are checked; none if they are accepted.
fn check_secret(facts: &Facts) -> Option<Step> {
    if !names_secret(facts) || !matches!(facts.state(Stage::Restart), State::NotBegun) {
        return None;
    }
    let State::Done(changed) = facts.state(Stage::Reconfigure) else { return None };
    match &facts.running.settings_check {
        Some(SettingsCheck::Rejected(words)) => Some(Step::failed(
            Stage::Reconfigure,
            "SettingsRejected",
            format!("the server rejects the settings: {words}"),
        )),
        Some(SettingsCheck::Blocked(words))
            if facts.is_over(changed.last_transition_time.0, Some(PATIENCE)) =>
        {
            Some(Step::failed(Stage::Reconfigure, REASON_NOT_CHECKED, words.clone()))
        }
        Some(SettingsCheck::Blocked(words)) => Some(Step::waiting(REASON_NOT_CHECKED, words.clone())),
        Some(SettingsCheck::Running) => {
            Some(Step::waiting(REASON_NOT_CHECKED, "a pod checks the settings of the Secret"))
        }
        // Nothing was built just now: the StatefulSet may still have the previous Secret.
        None if facts.template != Template::Current => Some(await_template()),
        None | Some(SettingsCheck::NotNeeded | SettingsCheck::Accepted) => None,
    }
}

/// Has the server use the settings, as the request says.
fn take_effect(facts: &Facts) -> Option<Step> {
    if !matches!(facts.state(Stage::Restart), State::NotBegun) {
        return restart(facts);
    }
    // Whatever else waits for another pod: it is not what this request changes.
    let can_reload = is_ready(facts) && !changes_secret(facts);
    match facts.request.spec.restart_mode() {
        RestartMode::Auto if can_reload || has_reloaded(facts) => {
            reload(facts).or_else(|| if needs_restart(facts) { restart(facts) } else { None })
        }
        RestartMode::False if can_reload => reload(facts),
        RestartMode::False => None,
        RestartMode::Auto | RestartMode::True => restart(facts),
    }
}

/// Waits until the instance has had the server read the settings; none if it has.
fn reload(facts: &Facts) -> Option<Step> {
    const STAGE: Stage = Stage::Reload;
    let since = match facts.state(STAGE) {
        State::Done(_) | State::Failed(_) => return None,
        State::NotBegun => {
            return Some(Step::Begin { stage: STAGE, message: "the server reads the settings".to_owned() });
        }
        State::Running(since, _) => since,
    };
    let read = facts.running.instance.as_ref().and_then(|instance| instance.inline_settings.as_ref());
    let text = facts.database.inline_settings();
    let wanted = digest(text);
    // That of earlier settings, which these replace, stays reported until the pod has these.
    let rejection = read.and_then(|read| read.rejection_of(text));
    Some(match (read, rejection) {
        (Some(read), _) if read.digest == wanted => {
            match own_pending(facts, &read.pending_restart).as_slice() {
                [] => Step::completed(STAGE, "the server uses the settings"),
                pending => Step::Complete {
                    stage: STAGE,
                    reason: RESTART_NEEDED,
                    message: format!("these settings take effect at a restart: {}", pending.join(", ")),
                },
            }
        }
        (_, Some(words)) => Step::failed(
            Stage::Reconfigure,
            "SettingsRejected",
            format!("the server rejects the settings: {words}"),
        ),
        _ if facts.is_over(since, Some(PATIENCE)) => Step::Complete {
            stage: STAGE,
            reason: RESTART_NEEDED,
            message: "the instance does not report that the server has read the settings".to_owned(),
        },
        _ => Step::waiting(
            "SettingsNotRead",
            "the kubelet passes the settings to the pod, which takes about a minute",
        ),
    })
}

/// Of the settings that wait for a restart, those that this request makes or removes. Others wait because of an earlier request or
/// `ALTER SYSTEM`, and can wait until the next restart.
fn own_pending<'a>(facts: &Facts, pending: &'a [String]) -> Vec<&'a str> {
    let change = facts.request.spec.configuration.clone().unwrap_or_default();
    let mut own = applied(facts);
    if change.remove_custom_config || change.config_secret.is_some() {
        let before = facts.replaced().and_then(|replaced| replaced.inline).unwrap_or_default();
        own.extend(settings::names(&before));
    }
    let is_own = |name: &&str| *name == UNKNOWN_SETTINGS || own.contains(&name.to_ascii_lowercase());
    pending.iter().map(String::as_str).filter(is_own).collect()
}

/// Whether settings come from another Secret than before, which only the next pod has; or from the same one, whose contents are
/// not known.
fn changes_secret(facts: &Facts) -> bool {
    let Some(change) = &facts.request.spec.configuration else { return false };
    // What was replaced is forgotten before the request ends.
    let had_one = || {
        let named = |it: &Replaced| it.config_secret.is_some() || it.secret_name.is_some();
        facts.replaced().as_ref().is_none_or(named)
    };
    names_secret(facts) || (change.remove_custom_config && had_one())
}

fn names_secret(facts: &Facts) -> bool {
    facts.request.spec.configuration.as_ref().is_some_and(|change| change.config_secret.is_some())
}

fn has_reloaded(facts: &Facts) -> bool {
    matches!(facts.state(Stage::Reload), State::Done(_))
}

fn needs_restart(facts: &Facts) -> bool {
    match facts.state(Stage::Reload) {
        State::Done(reload) => reload.reason.as_deref() == Some(RESTART_NEEDED),
        State::NotBegun | State::Running(..) | State::Failed(_) => false,
    }
}

fn is_ready(facts: &Facts) -> bool {
    facts.pod().is_some_and(crate::observation::ServerPod::is_ready)
}
