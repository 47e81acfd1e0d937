use pgops_api::instance_status::CertificateStatus;
use pgops_api::postgres::CONDITION_CERTIFICATES_READY;
use serde_json::json;

use super::{observe_running, told};
use crate::condition_types::CONDITION_DEGRADED;
use crate::fixtures::database;
use crate::observation::{Observation, PodLookup, ServerContainer, ServerPod, ServerReport};

#[test]
fn certificate_that_a_server_has_reported_is_unknown_once_the_server_crashes() {
    let mut database = database(json!({ "tls": { "issuerRef": { "kind": "Issuer", "name": "ca" } } }));
    let wrong = Some(CertificateStatus { validity: None, problem: Some("tls.key is wrong".to_owned()) });
    let reporting = Observation {
        certificates: Some(Vec::new()),
        instance: Some(ServerReport { certificate: wrong, ..ServerReport::default() }),
        ..Observation::default()
    };
    observe_running(&mut database, false, &reporting);
    assert_eq!(told(&database, CONDITION_CERTIFICATES_READY).unwrap().1, "CertificateInvalid");

    let container = ServerContainer::Ended;
    let crashed = Observation {
        certificates: Some(Vec::new()),
        server_pod: PodLookup::Found(ServerPod { container, ..ServerPod::default() }),
        ..Observation::default()
    };
    observe_running(&mut database, false, &crashed);
    let (status, reason, _) = told(&database, CONDITION_CERTIFICATES_READY).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("Unknown", "ServerNotRunning"));
    assert_eq!(told(&database, CONDITION_DEGRADED), None, "the condition Ready says why it does not run");
}
