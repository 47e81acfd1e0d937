use pgops_api::instance_status::{CheckedSettings, InlineSettings};
use pgops_api::settings::digest;
use serde_json::{Value, json};

use super::{Scenario, Template, patched, pod};
use crate::settings_check::SettingsCheck;

fn settings(change: &Value) -> Scenario {
    Scenario::new(json!({}), &json!({ "type": "Reconfigure", "configuration": change }))
}

fn work_mem() -> Scenario {
    settings(&json!({ "applyConfig": { "user.conf": "work_mem = '8MB'" } }))
}

#[test]
fn settings_that_the_server_rejects_are_not_made() {
    let mut scenario = work_mem();
    assert_eq!(scenario.steps(3), ["begin CheckSettings", "propose", "wait SettingsNotChecked"]);
    let text = scenario.database.candidate_settings().unwrap().to_owned();
    scenario.instance(|it| {
        it.candidate =
            Some(CheckedSettings { digest: digest("another"), error: Some("of another".to_owned()) });
    });
    assert_eq!(scenario.steps(1), ["wait SettingsNotChecked"]);
    scenario.instance(|it| {
        it.candidate =
            Some(CheckedSettings { digest: digest(&text), error: Some("no such value".to_owned()) });
    });
    assert_eq!(scenario.steps(3), ["fail CheckSettings SettingsRejected", "forget", "end SettingsRejected"]);
    assert_eq!(scenario.database.inline_settings(), "");
    assert_eq!(
        scenario.end().2,
        "demo/orders was not touched: the server rejects the settings: no such value"
    );
}

/// The server accepts the settings, and has them.
fn accepted(mut scenario: Scenario) -> Scenario {
    assert_eq!(scenario.steps(2), ["begin CheckSettings", "propose"]);
    let text = scenario.database.candidate_settings().unwrap().to_owned();
    scenario.instance(|it| it.candidate = Some(CheckedSettings { digest: digest(&text), error: None }));
    assert_eq!(scenario.steps(3), ["complete CheckSettings", "begin Reconfigure", "change"]);
    assert_eq!(scenario.database.inline_settings(), text);
    assert_eq!(scenario.steps(1), ["complete Reconfigure"]);
    scenario
}

fn read(scenario: &mut Scenario, pending: &[&str]) {
    let digest = digest(scenario.database.inline_settings());
    let pending_restart = pending.iter().map(|&name| name.to_owned()).collect();
    scenario.instance(|it| {
        it.inline_settings = Some(InlineSettings { digest, pending_restart, ..InlineSettings::default() });
    });
}

/// The server still uses other settings, and rejects these.
fn reject(scenario: &mut Scenario, text: &str) {
    scenario.instance(|it| {
        it.inline_settings = Some(InlineSettings {
            digest: digest("earlier"),
            rejected: Some("no such value".to_owned()),
            rejected_digest: Some(digest(text)),
            ..InlineSettings::default()
        });
    });
}

#[test]
fn settings_that_replace_rejected_ones_are_not_taken_for_them() {
    let mut scenario = accepted(work_mem());
    // As the spec had them before.
    reject(&mut scenario, "work_mem = lots");
    assert_eq!(scenario.steps(2), ["begin Reload", "wait SettingsNotRead"]);
    read(&mut scenario, &[]);
    assert_eq!(scenario.steps(3), ["complete Reload", "forget", "succeed"]);
}

#[test]
fn settings_that_the_server_rejects_although_it_has_accepted_them_come_back() {
    let mut scenario = accepted(work_mem());
    let text = scenario.database.inline_settings().to_owned();
    reject(&mut scenario, &text);
    assert_eq!(scenario.steps(3), ["begin Reload", "fail Reconfigure SettingsRejected", "revert"]);
    assert_eq!(scenario.database.inline_settings(), "");
    assert_eq!(scenario.steps(1), ["end SettingsRejected"]);
}

#[test]
fn settings_are_read_without_a_restart_if_none_needs_it() {
    let mut scenario = accepted(work_mem());
    assert_eq!(scenario.steps(2), ["begin Reload", "wait SettingsNotRead"]);
    read(&mut scenario, &[]);
    assert_eq!(scenario.steps(3), ["complete Reload", "forget", "succeed"]);
    assert_eq!((scenario.outage(), scenario.end().2.as_str()), ("none", "demo/orders has the new settings"));
}

#[test]
fn settings_are_read_without_a_restart_although_something_else_waits_for_one() {
    let spec =
        |restart: &str| json!({ "applyConfig": { "user.conf": "work_mem = '8MB'" }, "restart": restart });
    for restart in ["auto", "false"] {
        let mut scenario = accepted(settings(&spec(restart)));
        // As after an upgrade, of the database or of pgops.
        scenario.outdate_pod();
        read(&mut scenario, &[]);
        assert_eq!(scenario.steps(4), ["begin Reload", "complete Reload", "forget", "succeed"], "{restart}");
        assert_eq!(scenario.end().2, "demo/orders has the new settings");
    }
}

#[test]
fn secret_is_mounted_with_the_next_pod_although_it_has_the_same_name() {
    let change = json!({ "configSecret": { "name": "mine" } });
    let secret = json!({ "configSecret": { "name": "mine" } });
    let spec = json!({ "type": "Reconfigure", "configuration": change });
    let mut scenario = Scenario::new(secret, &spec);
    assert_eq!(scenario.steps(2), ["begin Reconfigure", "change"]);
    assert_eq!(scenario.steps(3), ["complete Reconfigure", "begin Restart", "delete pod"]);
}

#[test]
fn secret_that_the_next_pod_does_not_have_is_told() {
    let change = json!({ "removeCustomConfig": true, "restart": "false" });
    let secret = json!({ "configSecret": { "name": "mine" } });
    let mut scenario = Scenario::new(secret, &json!({ "type": "Reconfigure", "configuration": change }));
    assert_eq!(scenario.steps(2), ["begin Reconfigure", "change"]);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(3), ["complete Reconfigure", "forget", "succeed"]);
    assert!(scenario.end().2.ends_with("some take effect when it is restarted"), "{:?}", scenario.end());
}

#[test]
fn setting_that_needs_a_restart_gets_one_unless_the_request_forbids_it() {
    let max_connections = || settings(&json!({ "applyConfig": { "user.conf": "Max_Connections = 50" } }));
    let mut scenario = accepted(max_connections());
    read(&mut scenario, &["max_connections"]);
    assert_eq!(scenario.steps(4), ["begin Reload", "complete Reload", "begin Restart", "delete pod"]);
    scenario.set_pod(Some(pod("new", 1010, Some(1011))));
    assert_eq!(scenario.steps(3), ["complete Restart", "forget", "succeed"]);

    let mut gentle = max_connections();
    gentle.request.spec.configuration.as_mut().unwrap().restart =
        serde_json::from_value(json!("false")).unwrap();
    let mut gentle = accepted(gentle);
    read(&mut gentle, &["max_connections"]);
    assert_eq!(gentle.steps(4), ["begin Reload", "complete Reload", "forget", "succeed"]);
    assert!(gentle.end().2.ends_with("some take effect when it is restarted"), "{:?}", gentle.end());
}

/// An earlier request has made it with `restart: "false"`, or a user by `ALTER SYSTEM`.
#[test]
fn setting_of_someone_else_that_waits_for_a_restart_does_not_cause_one() {
    let mut scenario = accepted(work_mem());
    read(&mut scenario, &["shared_buffers"]);
    assert_eq!(scenario.steps(4), ["begin Reload", "complete Reload", "forget", "succeed"]);
    assert_eq!((scenario.outage(), scenario.end().2.as_str()), ("none", "demo/orders has the new settings"));

    let mut unknown = accepted(work_mem());
    read(&mut unknown, &["unknown"]);
    assert_eq!(unknown.steps(4), ["begin Reload", "complete Reload", "begin Restart", "delete pod"]);
}

#[test]
fn setting_that_another_one_takes_precedence_over_is_told() {
    let mut scenario = accepted(work_mem());
    let digest = digest(scenario.database.inline_settings());
    let overridden = ["port", "work_mem"].map(ToOwned::to_owned).into();
    scenario.instance(|it| {
        it.inline_settings = Some(InlineSettings { digest, overridden, ..InlineSettings::default() });
    });
    assert_eq!(scenario.steps(4), ["begin Reload", "complete Reload", "forget", "succeed"]);
    let (_, _, message) = scenario.end();
    assert!(message.ends_with("since pgops or ALTER SYSTEM sets them otherwise: work_mem"), "{message}");
}

#[test]
fn removed_setting_that_needs_a_restart_gets_one() {
    let inline = json!({ "configuration": { "inline": { "user.conf": "max_connections = 50" } } });
    let change = json!({ "type": "Reconfigure", "configuration": { "removeCustomConfig": true } });
    let mut scenario = Scenario::new(inline, &change);
    assert_eq!(scenario.steps(3), ["begin Reconfigure", "change", "complete Reconfigure"]);
    read(&mut scenario, &["max_connections"]);
    assert_eq!(scenario.steps(4), ["begin Reload", "complete Reload", "begin Restart", "delete pod"]);
}

#[test]
fn settings_that_another_client_sets_back_are_not_claimed_to_be_there() {
    let mut scenario = accepted(work_mem());
    assert_eq!(scenario.steps(1), ["begin Reload"]);
    let other = json!({ "spec": { "configuration": { "inline": { "user.conf": "work_mem = '1MB'" } } } });
    scenario.database = patched(&scenario.database, &other);
    read(&mut scenario, &[]);
    assert_eq!(scenario.steps(3), ["fail Reconfigure SpecReverted", "forget", "end SpecReverted"]);
    assert_eq!(scenario.database.inline_settings(), "work_mem = '1MB'");
}

#[test]
fn secret_that_another_client_names_again_is_not_claimed_to_be_another() {
    let mut scenario = settings(&json!({ "configSecret": { "name": "new" } }));
    assert_eq!(scenario.steps(2), ["begin Reconfigure", "change"]);
    let other = json!({ "spec": { "configSecret": { "name": "old" } } });
    scenario.database = patched(&scenario.database, &other);
    assert_eq!(scenario.steps(3), ["fail Reconfigure SpecReverted", "forget", "end SpecReverted"]);
}

fn named() -> Scenario {
    let mut scenario = settings(&json!({ "configSecret": { "name": "new" } }));
    assert_eq!(scenario.steps(2), ["begin Reconfigure", "change"]);
    scenario.running.settings_check = Some(SettingsCheck::Running);
    assert_eq!(scenario.steps(2), ["complete Reconfigure", "wait SettingsNotChecked"]);
    scenario
}

#[test]
fn secret_that_the_server_rejects_is_undone_without_a_restart() {
    for restart in ["auto", "true", "false"] {
        let mut scenario = named();
        scenario.request.spec.configuration.as_mut().unwrap().restart =
            serde_json::from_value(json!(restart)).unwrap();
        scenario.running.settings_check = Some(SettingsCheck::Rejected("no such value".to_owned()));
        assert_eq!(scenario.steps(2), ["fail Reconfigure SettingsRejected", "revert"]);
        assert_eq!(scenario.database.spec.config_secret, None);
        assert_eq!(scenario.steps(1), ["end SettingsRejected"]);
        let expected =
            "demo/orders serves with the previous settings: the server rejects the settings: no such value";
        assert_eq!((scenario.outage(), scenario.end().2.as_str()), ("none", expected));
    }
}

#[test]
fn secret_that_the_server_accepts_is_mounted_with_the_next_pod() {
    let mut scenario = named();
    scenario.running.settings_check = Some(SettingsCheck::Accepted);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(2), ["begin Restart", "delete pod"]);
    // Whatever is reported of it while the pod is replaced.
    scenario.running.settings_check = Some(SettingsCheck::Running);
    scenario.set_pod(Some(pod("new", 1010, Some(1011))));
    assert_eq!(scenario.steps(3), ["complete Restart", "forget", "succeed"]);
}

#[test]
fn secret_that_cannot_be_checked_is_undone_after_a_while() {
    let mut scenario = named();
    scenario.running.settings_check = Some(SettingsCheck::Blocked("exceeded quota: pods=1".to_owned()));
    assert_eq!(scenario.steps(1), ["wait SettingsNotChecked"]);
    scenario.now += 240;
    assert_eq!(scenario.steps(2), ["fail Reconfigure SettingsNotChecked", "revert"]);
    assert_eq!(scenario.steps(1), ["end SettingsNotChecked"]);
    assert!(scenario.end().2.contains("exceeded quota: pods=1"), "{:?}", scenario.end());
}

#[test]
fn pod_is_not_replaced_while_the_statefulset_may_have_the_previous_secret() {
    let mut scenario = named();
    scenario.running.settings_check = None;
    scenario.template = Template::Behind;
    assert_eq!(scenario.steps(1), ["wait StatefulSetNotSeen"]);
}

#[test]
fn secret_with_which_the_server_does_not_start_is_undone() {
    let mut scenario = settings(&json!({ "configSecret": { "name": "new" } }));
    assert_eq!(scenario.steps(2), ["begin Reconfigure", "change"]);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(3), ["complete Reconfigure", "begin Restart", "delete pod"]);
    scenario.set_pod(Some(pod("new", 1005, None)));
    scenario.problem("ContainerNotStarted");
    scenario.now += 60;
    assert_eq!(scenario.steps(2), ["fail Reconfigure ContainerNotStarted", "revert"]);
    assert_eq!(scenario.database.spec.config_secret, None);
    // Its template may be the same as before, if only the contents of files differ.
    assert_eq!(scenario.steps(1), ["delete pod"]);
    scenario.set_pod(Some(pod("third", scenario.now, Some(scenario.now))));
    assert_eq!(scenario.steps(2), ["complete Restart", "end ContainerNotStarted"]);
}
