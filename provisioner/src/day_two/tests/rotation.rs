use pgops_api::instance_status::{PasswordRotation, PasswordState};
use pgops_api::opsrequest::Phase;
use serde_json::json;

use super::{Scenario, patched};
use crate::day_two::decide::proposed_message;
use crate::day_two::plan::Stage;
use crate::day_two::step::{CHANGE_REFUSED, NOT_CONFIRMED, Step, WITHDRAWN};
use crate::observation::AuthSecret;

/// The instance reports about passwords.
fn rotation() -> Scenario {
    let mut scenario = Scenario::new(json!({}), &json!({ "type": "RotateAuth" }));
    scenario.instance(|it| it.rotation = Some(PasswordRotation::default()));
    scenario
}

/// A password was proposed, and that is recorded.
fn proposed(scenario: &mut Scenario, id: &str) {
    assert_eq!(scenario.steps(1), ["propose password"]);
    scenario.record(&Step::Begin { stage: Stage::UpdatePassword, message: proposed_message(id) });
}

fn report(scenario: &mut Scenario, pending: Option<&str>, applied: Option<&str>) {
    scenario.instance(|it| {
        it.password = PasswordState::Accepted;
        it.rotation = Some(PasswordRotation {
            pending: pending.map(ToOwned::to_owned),
            applied: applied.map(ToOwned::to_owned),
            ..PasswordRotation::default()
        });
    });
}

/// The Secret does not have the password under the key from which it is to be moved.
fn not_applicable(scenario: &mut Scenario) {
    scenario.record(&Step::waiting(NOT_CONFIRMED, "the instance has yet to see it"));
}

/// The Secret hides the password from the instance.
fn withdrawn(scenario: &mut Scenario, id: &str) {
    assert_eq!(scenario.steps(1), [format!("withdraw {id}")]);
    scenario.record(&Step::waiting(WITHDRAWN, "the kubelet takes it from the pod"));
}

#[test]
fn secret_gets_the_password_after_the_server() {
    let mut scenario = rotation();
    assert_eq!(scenario.steps(1), ["begin UpdatePassword"]);
    proposed(&mut scenario, "a");
    assert_eq!(scenario.steps(1), ["wait PasswordNotRead"]);
    // An earlier attempt had proposed another one.
    report(&mut scenario, Some("b"), Some("b"));
    assert_eq!(scenario.steps(1), ["wait PasswordNotRead"]);
    report(&mut scenario, Some("a"), Some("a"));
    assert_eq!(scenario.steps(3), ["complete UpdatePassword", "begin UpdateSecret", "promote a"]);
    // A provisioner that was stopped after the promotion tries it again, until the instance has seen it.
    assert_eq!(scenario.steps(1), ["promote a"]);
    not_applicable(&mut scenario);
    assert_eq!(scenario.steps(1), ["promote a"]);
    report(&mut scenario, None, Some("a"));
    assert_eq!(scenario.steps(2), ["complete UpdateSecret", "succeed"]);
    assert_eq!(scenario.end().2, "demo/orders has a new password, which is in Secret orders-auth");
}

#[test]
fn secret_that_a_user_has_made_is_not_changed() {
    let mut scenario = rotation();
    scenario.database.status = None;
    assert_eq!(scenario.steps(2), ["begin UpdatePassword", "fail UpdatePassword SecretNotOwned"]);
    assert_eq!(scenario.steps(1), ["end SecretNotOwned"]);
    let (_, _, message) = scenario.end();
    assert!(message.contains("Secret orders-auth was not created by pgops"), "{message}");
}

#[test]
fn password_of_a_database_whose_clients_have_certificates_is_not_tried() {
    let tls = json!({ "clientAuthMode": "cert", "tls": { "issuerRef": { "kind": "Issuer", "name": "ca" } } });
    let mut scenario = Scenario::new(tls, &json!({ "type": "RotateAuth" }));
    scenario.instance(|it| it.rotation = Some(PasswordRotation::default()));
    assert_eq!(scenario.steps(1), ["begin UpdatePassword"]);
    proposed(&mut scenario, "a");
    report(&mut scenario, Some("a"), Some("a"));
    scenario.instance(|it| it.password = PasswordState::Unknown);
    assert_eq!(scenario.steps(3), ["complete UpdatePassword", "begin UpdateSecret", "promote a"]);
    not_applicable(&mut scenario);
    report(&mut scenario, None, Some("a"));
    scenario.instance(|it| it.password = PasswordState::Unknown);
    assert_eq!(scenario.steps(2), ["complete UpdateSecret", "succeed"]);
}

#[test]
fn password_that_was_not_recorded_is_proposed_again() {
    let mut scenario = rotation();
    assert_eq!(scenario.steps(3), ["begin UpdatePassword", "propose password", "propose password"]);
}

#[test]
fn instance_that_would_not_notice_gets_no_password() {
    let mut scenario = rotation();
    scenario.instance(|it| it.rotation = None);
    assert_eq!(scenario.steps(2), ["begin UpdatePassword", "wait"]);
    scenario.now += 30;
    assert_eq!(scenario.steps(1), ["wait InstanceNotReporting"]);
    scenario.now += 300;
    assert_eq!(scenario.steps(2), ["fail UpdatePassword InstanceNotReporting", "end InstanceNotReporting"]);
    assert!(scenario.end().2.contains("nothing was changed"), "{:?}", scenario.end());
}

/// A password was proposed, and the instance does not have it yet.
fn waiting() -> Scenario {
    let mut scenario = rotation();
    assert_eq!(scenario.steps(1), ["begin UpdatePassword"]);
    proposed(&mut scenario, "a");
    assert_eq!(scenario.steps(1), ["wait PasswordNotRead"]);
    scenario
}

#[test]
fn password_that_the_server_has_becomes_that_of_the_secret_although_the_request_is_cancelled() {
    let mut scenario = waiting();
    scenario.request.spec.timeout = Some("1m".to_owned());
    report(&mut scenario, Some("a"), Some("a"));
    assert_eq!(scenario.steps(1), ["complete UpdatePassword"]);
    scenario.cancel();
    scenario.now += 3600;
    scenario.database.spec.halted = Some(true);
    assert_eq!(scenario.steps(2), ["begin UpdateSecret", "promote a"]);
    scenario.running.auth_secret = AuthSecret::Missing;
    assert_eq!(scenario.steps(2), ["fail UpdateSecret SecretNotFound", "end SecretNotFound"]);
    assert_eq!(scenario.end().0, Phase::Failed);
}

#[test]
fn password_that_the_server_does_not_have_is_withdrawn_when_the_request_is_cancelled() {
    let mut scenario = waiting();
    scenario.cancel();
    assert_eq!(scenario.steps(1), ["fail UpdatePassword Cancelled"]);
    withdrawn(&mut scenario, "a");
    // The files are still there.
    report(&mut scenario, Some("a"), None);
    assert_eq!(scenario.steps(1), ["wait PasswordWithdrawn"]);
    report(&mut scenario, None, None);
    let Step::DiscardPassword { id, reason, message } = scenario.step() else { panic!("it is kept") };
    assert_eq!((id.as_str(), reason.as_str()), ("a", "Cancelled"));
    assert_eq!(
        message,
        "the password of demo/orders was not changed: the request was cancelled by its annotation pgops.dev/cancel"
    );
}

#[test]
fn password_that_the_server_gets_while_it_is_withdrawn_becomes_that_of_the_secret() {
    for has_seen_it in [false, true] {
        let mut scenario = waiting();
        scenario.cancel();
        assert_eq!(scenario.steps(1), ["fail UpdatePassword Cancelled"]);
        if has_seen_it {
            withdrawn(&mut scenario, "a");
        }
        // The last attempt with the present password was before that.
        report(&mut scenario, None, Some("a"));
        assert_eq!(scenario.steps(3), ["complete UpdatePassword", "begin UpdateSecret", "promote a"]);
    }
}

#[test]
fn password_that_the_server_refuses_does_not_hold_the_queue_for_ever() {
    let mut scenario = waiting();
    report(&mut scenario, Some("a"), None);
    let error = Some("the server reports SQLSTATE 22023: see its log".to_owned());
    scenario.instance(|it| it.rotation.as_mut().unwrap().error = error);
    assert_eq!(scenario.steps(1), ["wait PasswordNotSet"]);
    scenario.now += 300;
    assert_eq!(scenario.steps(1), ["fail UpdatePassword PasswordNotSet"]);
    withdrawn(&mut scenario, "a");
    report(&mut scenario, None, None);
    assert_eq!(scenario.steps(1), ["discard a"]);
}

#[test]
fn password_of_a_database_that_is_halted_meanwhile_ends_with_the_time_limit() {
    let mut scenario = waiting();
    scenario.request.spec.timeout = Some("1m".to_owned());
    scenario.database.spec.halted = Some(true);
    scenario.set_pod(None);
    scenario.running.instance = None;
    assert_eq!(scenario.steps(1), ["wait DatabaseHalted"]);
    scenario.now += 60;
    assert_eq!(scenario.steps(1), ["fail UpdatePassword DatabaseHalted"]);
    withdrawn(&mut scenario, "a");
    assert_eq!(scenario.steps(1), ["end DatabaseHalted"]);
    let message = scenario.end().2;
    assert!(message.contains("It is not known whether the server has got the new one"), "{message}");
    assert!(message.contains("password.next") && !message.contains("(id"), "{message}");
}

#[test]
fn password_that_was_just_proposed_is_withdrawn_only_when_it_is_known_which_one() {
    let mut scenario = rotation();
    assert_eq!(scenario.steps(1), ["begin UpdatePassword"]);
    scenario.cancel();
    proposed(&mut scenario, "a");
    assert_eq!(scenario.steps(1), ["fail UpdatePassword Cancelled"]);
    withdrawn(&mut scenario, "a");
}

#[test]
fn secret_that_may_not_be_changed_ends_the_request_when_its_user_wants_that() {
    let mut scenario = waiting();
    report(&mut scenario, Some("a"), Some("a"));
    assert_eq!(scenario.steps(3), ["complete UpdatePassword", "begin UpdateSecret", "promote a"]);
    scenario.record(&Step::waiting(
        CHANGE_REFUSED,
        "failed to change the password in Secret orders-auth: a policy",
    ));
    assert_eq!(scenario.steps(1), ["promote a"], "it is tried again");
    scenario.cancel();
    assert_eq!(scenario.steps(2), ["fail UpdateSecret Cancelled", "end Cancelled"]);
    let message = scenario.end().2;
    assert!(message.contains("Secret orders-auth has under the key password.next"), "{message}");
}

#[test]
fn password_that_another_client_removes_is_not_waited_for_without_end() {
    let mut scenario = waiting();
    report(&mut scenario, Some("a"), Some("a"));
    assert_eq!(scenario.steps(3), ["complete UpdatePassword", "begin UpdateSecret", "promote a"]);
    not_applicable(&mut scenario);
    report(&mut scenario, None, Some("a"));
    scenario.instance(|it| it.password = PasswordState::Rejected);
    scenario.now += 300;
    assert_eq!(scenario.steps(2), ["fail UpdateSecret PasswordNotConfirmed", "end PasswordNotConfirmed"]);
    assert!(scenario.end().2.contains("another client has removed that"), "{:?}", scenario.end());
}

/// It may be that of another database, or of another application.
#[test]
fn password_of_a_secret_that_was_named_meanwhile_is_not_changed() {
    let named = json!({ "authSecret": { "name": "payments-auth" } });
    let mut scenario = rotation();
    assert_eq!(scenario.steps(1), ["begin UpdatePassword"]);
    scenario.database = patched(&scenario.database, &json!({ "spec": named }));
    assert_eq!(scenario.steps(1), ["fail UpdatePassword SecretNotOwned"]);
}
