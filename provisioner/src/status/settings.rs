//! Whether settings are rejected: those that the server has, which its instance reports, and those of a Secret that the spec
//! newly names, which a pod checks.

use kube::ResourceExt;
use pgops_api::{Condition, Postgres, names};

use crate::condition_types::{
    CONDITION_SETTINGS_REJECTED, REASON_BEING_CHECKED, REASON_NOT_CHECKED, REASON_SECRET_REJECTED,
    REASONS_OF_CHECK,
};
use crate::observation::{Observation, PodLookup};
use crate::restart::CONFIG_SECRET;
use crate::settings_check::SettingsCheck;

/// What becomes of the condition.
#[derive(Debug, Eq, PartialEq)]
pub enum Judgement {
    Told(Told),
    /// No settings are rejected.
    Nothing,
    /// It does not change.
    Unknown,
}

/// The condition without its time.
#[derive(Debug, Eq, PartialEq)]
pub struct Told {
    pub status: &'static str,
    pub reason: &'static str,
    pub message: String,
}

/// Judges what was observed, and the present condition.
pub fn judge(database: &Postgres, running: &Observation, before: Option<&Condition>) -> Judgement {
    let reason = before.and_then(|before| before.reason.as_deref());
    let rejected = running.instance.as_ref().and_then(|instance| {
        // The next pod has another Secret, or none.
        let is_replaced = running.restart.names(CONFIG_SECRET);
        if is_replaced { instance.rejected_inline() } else { instance.rejected_settings() }
    });
    let of_server = rejected.map(|(place, words)| of_server(place, words));
    let of_check = running.settings_check.as_ref().and_then(|check| of_check(database, check));
    match (of_check, of_server) {
        (Some(check), Some(server)) if check.status == "True" => {
            Judgement::Told(Told { message: format!("{}\n{}", check.message, server.message), ..check })
        }
        (_, Some(server)) => Judgement::Told(server),
        // The instance has not answered, and what it has rejected is worse.
        (Some(check), None)
            if check.status != "True"
                && running.instance.is_none()
                && reason == Some(CONDITION_SETTINGS_REJECTED) =>
        {
            Judgement::Unknown
        }
        (Some(check), None) => Judgement::Told(check),
        (None, None) => {
            let is_of_check = reason.is_some_and(|reason| REASONS_OF_CHECK.contains(&reason));
            // Without a pod no server has rejected anything; the next one says why it does not start.
            let has_said = running.instance.is_some() || running.server_pod == PodLookup::Missing;
            let is_known = if is_of_check { running.settings_check.is_some() } else { has_said };
            if is_known { Judgement::Nothing } else { Judgement::Unknown }
        }
    }
}

fn of_server(place: &str, words: &str) -> Told {
    let message = format!(
        "the server rejects the settings in {place}: {words}. It keeps those that it has read, and would not start again \
         with these: correct them there"
    );
    Told { status: "True", reason: CONDITION_SETTINGS_REJECTED, message }
}

fn of_check(database: &Postgres, check: &SettingsCheck) -> Option<Told> {
    let secret = database.settings_secret().unwrap_or_default();
    let pod = names::settings_check(&database.name_any());
    let (status, reason, message) = match check {
        SettingsCheck::NotNeeded | SettingsCheck::Accepted => return None,
        SettingsCheck::Running => {
            ("False", REASON_BEING_CHECKED, format!("pod {pod} checks the settings in Secret {secret}"))
        }
        SettingsCheck::Blocked(words) => (
            "Unknown",
            REASON_NOT_CHECKED,
            format!(
                "the settings in Secret {secret} cannot be checked, and a pod that is started keeps the previous ones until \
                 then: {words}"
            ),
        ),
        SettingsCheck::Rejected(words) => (
            "True",
            REASON_SECRET_REJECTED,
            format!(
                "the server would not start with the settings in Secret {secret}: {words}. It keeps the previous ones, also \
                 when it is started again: correct the Secret, which is then checked within about two minutes, or name \
                 another one"
            ),
        ),
    };
    Some(Told { status, reason, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::database;
    use crate::observation::{Restart, ServerReport};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;
    use pgops_api::instance_status::InlineSettings;
    use rstest::rstest;
    use serde_json::json;

    /// What the instance says of the settings in the spec.
    #[derive(Clone, Copy)]
    enum Server {
        Rejects,
        Accepts,
        Silent,
    }

    fn blocked() -> SettingsCheck {
        SettingsCheck::Blocked("exceeded quota".to_owned())
    }

    fn rejected() -> SettingsCheck {
        SettingsCheck::Rejected("no such value".to_owned())
    }

    fn judged(check: Option<SettingsCheck>, server: Server, before: Option<&str>) -> Judgement {
        let report = |rejected: Option<&str>| ServerReport {
            inline_settings: Some(InlineSettings {
                rejected: rejected.map(ToOwned::to_owned),
                ..InlineSettings::default()
            }),
            ..ServerReport::default()
        };
        let instance = match server {
            Server::Rejects => Some(report(Some("no such name"))),
            Server::Accepts => Some(report(None)),
            Server::Silent => None,
        };
        let running = Observation { settings_check: check, instance, ..Observation::default() };
        let before = before.map(|reason| {
            Condition::new(CONDITION_SETTINGS_REJECTED, "True", reason, "", Time(Timestamp::UNIX_EPOCH))
        });
        judge(&database(json!({ "configSecret": { "name": "new" } })), &running, before.as_ref())
    }

    #[rstest]
    #[case::rejected(rejected(), Server::Silent, "True", "SecretRejected", &["Secret new: no such value"])]
    #[case::both(rejected(), Server::Rejects, "True", "SecretRejected", &["no such value", "inline: no such name"])]
    #[case::blocked(blocked(), Server::Accepts, "Unknown", "SettingsNotChecked", &["Secret new", "exceeded quota"])]
    #[case::running(SettingsCheck::Running, Server::Silent, "False", "SettingsBeingChecked", &["orders-settings-check"])]
    #[case::of_the_server(blocked(), Server::Rejects, "True", "SettingsRejected", &["no such name"])]
    #[case::of_the_server_alone(SettingsCheck::Accepted, Server::Rejects, "True", "SettingsRejected", &["no such name"])]
    fn what_needs_a_correction_is_told(
        #[case] check: SettingsCheck,
        #[case] server: Server,
        #[case] status: &str,
        #[case] reason: &str,
        #[case] parts: &[&str],
    ) {
        let Judgement::Told(told) = judged(Some(check), server, None) else { panic!("not told") };
        assert_eq!((told.status, told.reason), (status, reason));
        for part in parts {
            assert!(told.message.contains(part), "{part:?} is not in {}", told.message);
        }
    }

    #[rstest]
    #[case::accepted(
        Some(SettingsCheck::Accepted),
        Server::Silent,
        Some("SecretRejected"),
        Judgement::Nothing
    )]
    #[case::no_longer_named(
        Some(SettingsCheck::NotNeeded),
        Server::Silent,
        Some("SettingsNotChecked"),
        Judgement::Nothing
    )]
    #[case::while_it_is_paused(None, Server::Accepts, Some("SecretRejected"), Judgement::Unknown)]
    #[case::corrected(
        Some(SettingsCheck::NotNeeded),
        Server::Accepts,
        Some("SettingsRejected"),
        Judgement::Nothing
    )]
    #[case::corrected_while_it_is_paused(None, Server::Accepts, Some("SettingsRejected"), Judgement::Nothing)]
    #[case::not_answered(
        Some(SettingsCheck::NotNeeded),
        Server::Silent,
        Some("SettingsRejected"),
        Judgement::Unknown
    )]
    #[case::not_answered_while_it_checks(
        Some(SettingsCheck::Running),
        Server::Silent,
        Some("SettingsRejected"),
        Judgement::Unknown
    )]
    #[case::never_rejected(Some(SettingsCheck::NotNeeded), Server::Accepts, None, Judgement::Nothing)]
    fn condition_stands_until_its_own_source_withdraws_it(
        #[case] check: Option<SettingsCheck>,
        #[case] server: Server,
        #[case] before: Option<&str>,
        #[case] expected: Judgement,
    ) {
        assert_eq!(judged(check, server, before), expected);
    }

    #[test]
    fn contents_that_the_next_pod_does_not_have_are_not_told() {
        let report = ServerReport {
            config_secret_rejection: Some("no such value".to_owned()),
            ..ServerReport::default()
        };
        let judged = |pending: &[&str]| {
            let restart = Restart::Pending(pending.iter().map(|&field| field.to_owned()).collect());
            let running = Observation { instance: Some(report.clone()), restart, ..Observation::default() };
            judge(&database(json!({})), &running, None)
        };
        assert_eq!(judged(&["configSecret", "volumes"]), Judgement::Nothing);
        assert!(matches!(judged(&["resources"]), Judgement::Told(_)));
    }

    #[test]
    fn settings_that_a_server_has_rejected_are_forgotten_with_its_pod() {
        let reason = CONDITION_SETTINGS_REJECTED;
        let before = Condition::new(reason, "True", reason, "", Time(Timestamp::UNIX_EPOCH));
        let judged = |server_pod| {
            let running = Observation { server_pod, ..Observation::default() };
            judge(&database(json!({ "halted": true })), &running, Some(&before))
        };
        assert_eq!(judged(PodLookup::Missing), Judgement::Nothing);
        assert_eq!(judged(PodLookup::Unknown), Judgement::Unknown);
    }
}
