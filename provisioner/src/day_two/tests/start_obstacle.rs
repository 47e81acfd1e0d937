use pgops_api::instance_status::{CertificateStatus, CertificateValidity, InlineSettings};
use pgops_api::opsrequest::Phase;
use pgops_api::pod_template::resources;
use pgops_api::settings::digest;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Scenario, pod};
use crate::certificates::CertificateProblem;
use crate::next_pod::NextPod;
use crate::observation::{AuthSecret, Restart};

/// A request of type Restart, and a pod that differs in nothing from its template.
fn restart(change: Value) -> Scenario {
    let mut scenario = Scenario::new(change, &json!({ "type": "Restart" }));
    scenario.running.restart = Restart::NotNeeded;
    scenario
}

fn refused_pod() -> NextPod {
    NextPod::Refused("maximum memory usage per Container is 1Gi, but limit is 2Gi".to_owned())
}

#[test]
fn server_is_not_stopped_for_a_pod_that_the_api_server_would_refuse() {
    let mut scenario = restart(json!({}));
    scenario.next_pod = refused_pod();
    let message = refused(&mut scenario, "PodRefused");
    assert!(message.contains("maximum memory usage per Container is 1Gi"), "{message}");

    let mut down = restart(json!({}));
    down.next_pod = refused_pod();
    down.set_pod(None);
    assert_eq!(down.steps(1), ["begin Restart"]);
}

#[rstest]
#[case::object(NextPod::Lacks("ConfigMap env does not exist".to_owned()), "ReferenceNotFound", "ConfigMap env does not exist, and no")]
#[case::volume(NextPod::LosesVolume("the claim is being deleted".to_owned()), "VolumeAtRisk", "lost with the pod: the claim is")]
fn server_is_not_stopped_for_a_pod_that_could_not_start_or_would_have_no_data(
    #[case] next_pod: NextPod,
    #[case] reason: &str,
    #[case] words: &str,
) {
    let mut scenario = restart(json!({}));
    scenario.next_pod = next_pod;
    let message = refused(&mut scenario, reason);
    assert!(message.contains(words), "{message}");
}

#[test]
fn resources_that_the_api_server_would_refuse_come_back_without_an_outage() {
    let new = json!({ "postgres": { "resources": { "limits": { "memory": "2Gi" } } } });
    let spec = json!({ "type": "VerticalScaling", "verticalScaling": new });
    let mut scenario = Scenario::new(json!({}), &spec);
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(1), ["complete VerticalScale"]);
    scenario.next_pod = refused_pod();
    assert_eq!(scenario.steps(2), ["fail VerticalScale PodRefused", "revert"]);
    assert_eq!(resources(scenario.database.spec.pod_template.as_ref()), None);
    scenario.pod().is_outdated = false;
    assert_eq!(scenario.steps(1), ["end PodRefused"]);
    assert_eq!(scenario.outage(), "none");
    let message = scenario.end().2;
    assert!(
        message.starts_with("demo/orders serves with the previous resources: the API server"),
        "{message}"
    );
}

#[rstest]
#[case::less_than_the_buffers(json!({ "limits": { "memory": "1Gi" } }), Some(2 << 30), true)]
#[case::as_much(json!({ "limits": { "memory": "2Gi" } }), Some(2 << 30), false)]
#[case::not_reported(json!({ "limits": { "memory": "1Gi" } }), None, false)]
#[case::request_alone(json!({ "requests": { "memory": "1Gi" } }), Some(2 << 30), false)]
#[case::huge_pages(json!({ "limits": { "memory": "1Gi", "hugepages-2Mi": "2Gi" } }), Some(2 << 30), false)]
fn memory_must_have_room_for_the_shared_buffers(
    #[case] new: Value,
    #[case] shared_buffers: Option<u64>,
    #[case] is_refused: bool,
) {
    let scaling = json!({ "postgres": { "resources": new } });
    let spec = json!({ "type": "VerticalScaling", "verticalScaling": scaling });
    let mut scenario = Scenario::new(json!({}), &spec);
    scenario.instance(|it| it.shared_buffers = shared_buffers);
    if !is_refused {
        assert_eq!(scenario.steps(1), ["begin VerticalScale"]);
        return;
    }
    let message = refused(&mut scenario, "MemoryTooSmall");
    assert!(message.contains("1Gi, is less than the 2Gi of shared_buffers"), "{message}");
}

#[test]
fn server_is_not_stopped_while_the_api_server_cannot_tell_about_the_next_pod() {
    let mut scenario = restart(json!({}));
    scenario.next_pod = NextPod::Unavailable("failed calling webhook \"inject.example\"".to_owned());
    assert_eq!(scenario.steps(2), ["wait PodNotChecked", "wait PodNotChecked"]);
    scenario.next_pod = NextPod::Accepted;
    assert_eq!(scenario.steps(2), ["begin Restart", "delete pod"]);
}

fn tls() -> Value {
    json!({ "tls": { "issuerRef": { "kind": "Issuer", "name": "ca" } } })
}

/// What the next step is, and how the request then ends.
fn refused(scenario: &mut Scenario, reason: &str) -> String {
    assert_eq!(scenario.steps(1), [format!("end {reason}")]);
    let (phase, _, message) = scenario.end();
    assert_eq!((phase, scenario.outage()), (Phase::Failed, "none"));
    assert!(message.starts_with("demo/orders was not touched: "), "{message}");
    message
}

#[test]
fn server_whose_password_is_missing_is_not_stopped() {
    let mut scenario = restart(json!({}));
    scenario.running.auth_secret = AuthSecret::Missing;
    let message = refused(&mut scenario, "SecretNotFound");
    assert!(message.contains("Secret orders-auth does not exist"), "{message}");

    let mut down = restart(json!({}));
    down.running.auth_secret = AuthSecret::Missing;
    down.set_pod(None);
    assert_eq!(down.steps(1), ["begin Restart"]);
}

#[test]
fn server_whose_secret_is_unusable_is_not_stopped_unless_the_next_pod_has_another() {
    let unusable = || {
        let mut scenario = restart(json!({}));
        let problem = "key \"password\" of the database's auth secret must be one line of text";
        scenario.instance(|it| it.credentials_problem = Some(problem.to_owned()));
        scenario
    };
    let message = refused(&mut unusable(), "CredentialsUnusable");
    assert!(message.contains("Secret orders-auth: key \"password\""), "{message}");
    let mut other = unusable();
    other.running.restart = Restart::Pending(vec!["authSecret".to_owned()]);
    assert_eq!(other.steps(1), ["begin Restart"]);
}

#[test]
fn resources_are_not_changed_for_a_pod_that_could_not_start() {
    let new = json!({ "postgres": { "resources": { "requests": { "memory": "2Gi" } } } });
    let spec = json!({ "type": "VerticalScaling", "verticalScaling": new });
    let mut scenario = Scenario::new(json!({}), &spec);
    scenario.running.auth_secret = AuthSecret::Missing;
    refused(&mut scenario, "SecretNotFound");
    assert_eq!(resources(scenario.database.spec.pod_template.as_ref()), None);
}

#[test]
fn resources_come_back_without_an_outage_if_the_next_pod_could_not_start() {
    let new = json!({ "postgres": { "resources": { "requests": { "memory": "2Gi" } } } });
    let spec = json!({ "type": "VerticalScaling", "verticalScaling": new });
    let mut scenario = Scenario::new(json!({}), &spec);
    assert_eq!(scenario.steps(2), ["begin VerticalScale", "change"]);
    scenario.outdate_pod();
    assert_eq!(scenario.steps(1), ["complete VerticalScale"]);
    scenario.running.auth_secret = AuthSecret::Missing;
    // It stays outdated: pgops was upgraded before.
    assert_eq!(scenario.steps(3), ["fail VerticalScale SecretNotFound", "revert", "end SecretNotFound"]);
    assert_eq!(scenario.outage(), "none");
    let message = scenario.end().2;
    assert!(message.starts_with("demo/orders serves with the previous resources: Secret "), "{message}");
}

#[test]
fn server_whose_certificate_is_wrong_is_not_stopped_unless_the_next_pod_has_another() {
    let wrong = || {
        let mut scenario = restart(tls());
        let validity = Some(CertificateValidity { not_before: 1, not_after: 2 });
        let problem = Some("tls.key does not belong to tls.crt".to_owned());
        scenario.instance(|it| it.certificate = Some(CertificateStatus { validity, problem }));
        scenario
    };
    let message = refused(&mut wrong(), "CertificateInvalid");
    assert!(message.contains("tls.key does not belong to tls.crt"), "{message}");
    let mut corrected = wrong();
    corrected.running.restart = Restart::Pending(vec!["tls".to_owned()]);
    assert_eq!(corrected.steps(1), ["begin Restart"]);
}

#[test]
fn pod_that_waits_for_a_certificate_is_not_waited_for_without_end() {
    let mut scenario = restart(tls());
    assert_eq!(scenario.steps(2), ["begin Restart", "delete pod"]);
    scenario.set_pod(Some(pod("new", 1002, None)));
    scenario.problem("NotReady");
    scenario.now += 600;
    assert_eq!(scenario.steps(1), ["wait NotReady"], "a recovery may take long");
    let problem = Some("tls.crt has no certificate".to_owned());
    scenario.instance(|it| it.certificate = Some(CertificateStatus { validity: None, problem }));
    assert_eq!(scenario.steps(2), ["fail Restart NotReady", "end NotReady"]);
}

fn not_issued() -> CertificateProblem {
    CertificateProblem::NotIssued {
        name: "orders-server-cert".to_owned(),
        namespace: "demo".to_owned(),
        issuer: "Issuer ca".to_owned(),
        words: "Pending".to_owned(),
    }
}

fn missing(alias: &'static str) -> CertificateProblem {
    let secret = format!("orders-{alias}-cert");
    CertificateProblem::SecretMissing { secret, namespace: "demo".to_owned(), alias, is_issued: true }
}

#[rstest]
#[case::secret_of_the_server(missing("server"), true, "end SecretNotFound")]
#[case::secret_of_people(missing("client"), true, "begin Restart")]
#[case::renewal_fails(not_issued(), true, "begin Restart")]
#[case::never_issued(not_issued(), false, "end CertificateNotIssued")]
fn certificate_must_exist_for_the_next_pod(
    #[case] problem: CertificateProblem,
    #[case] is_in_use: bool,
    #[case] expected: &str,
) {
    let mut scenario = restart(tls());
    scenario.running.certificates = Some(vec![problem]);
    let validity = is_in_use.then_some(CertificateValidity { not_before: 1, not_after: 2 });
    scenario.instance(|it| it.certificate = Some(CertificateStatus { validity, problem: None }));
    assert_eq!(scenario.steps(1), [expected]);
}

#[test]
fn server_that_rejects_its_present_settings_is_not_stopped() {
    let inline = json!({ "configuration": { "inline": { "user.conf": "work_mem = lots" } } });
    let rejecting = |text: &str| {
        let mut scenario = restart(inline.clone());
        scenario.instance(|it| {
            it.inline_settings = Some(InlineSettings {
                rejected: Some("invalid value for parameter \"work_mem\"".to_owned()),
                rejected_digest: Some(digest(text)),
                ..InlineSettings::default()
            });
        });
        scenario
    };
    let message = refused(&mut rejecting("work_mem = lots"), "SettingsRejected");
    assert!(message.contains("invalid value for parameter \"work_mem\""), "{message}");
    assert_eq!(rejecting("work_mem = more").steps(1), ["begin Restart"], "others were rejected");
    let mut other = rejecting("work_mem = lots");
    other.running.restart = Restart::Pending(vec!["configSecret".to_owned()]);
    assert_eq!(other.steps(1), ["begin Restart"]);
}

#[test]
fn pod_that_the_request_has_found_is_not_replaced_when_it_is_cancelled() {
    let spec = json!({ "type": "Reconfigure", "configuration": { "configSecret": { "name": "new" } } });
    let mut scenario = Scenario::new(json!({}), &spec);
    assert_eq!(scenario.steps(2), ["begin Reconfigure", "change"]);
    scenario.cancel();
    assert_eq!(scenario.steps(2), ["fail Reconfigure Cancelled", "revert"]);
    // Something else waits for another pod.
    scenario.set_pod(Some(pod("old", 5, Some(10))));
    scenario.outdate_pod();
    assert_eq!(scenario.steps(1), ["end Cancelled"]);
    assert_eq!(scenario.outage(), "none");
}
