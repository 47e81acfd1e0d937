//! What would keep a server that runs from starting again.

use super::*;
use crate::next_pod::NextPod;
use pgops_api::postgres::CONDITION_RESTART_BLOCKED;

fn with(next_pod: NextPod) -> Observation {
    let server_pod = PodLookup::Found(ServerPod { ready_since: Some(at(1).0), ..ServerPod::default() });
    Observation { server_pod, next_pod, ..Observation::default() }
}

#[test]
fn next_pod_that_is_refused_is_told_until_another_answer() {
    let mut database = database(json!({}));
    observe_running(&mut database, true, &with(NextPod::Refused("memory is limited to 1Gi".to_owned())));
    let (status, reason, message) = told(&database, CONDITION_RESTART_BLOCKED).unwrap();
    assert_eq!((status.as_str(), reason.as_str()), ("True", "PodRefused"));
    assert!(message.ends_with("as a dry run says: memory is limited to 1Gi"), "{message}");
    assert_eq!(told(&database, CONDITION_DEGRADED).unwrap().1, "PodRefused");
    assert_eq!(database.phase(), PostgresPhase::Ready, "its server is not harmed");
    for unknown in [NextPod::NotAsked, NextPod::Unavailable("busy".to_owned())] {
        observe_running(&mut database, true, &with(unknown));
        assert_eq!(told(&database, CONDITION_RESTART_BLOCKED).unwrap().2, message);
    }
    observe_running(&mut database, true, &with(NextPod::Lacks("ConfigMap a does not exist".to_owned())));
    assert_eq!(told(&database, CONDITION_RESTART_BLOCKED).unwrap().1, "ReferenceNotFound");
    observe_running(&mut database, true, &with(NextPod::Accepted));
    assert_eq!(told(&database, CONDITION_RESTART_BLOCKED), None);
}

#[test]
fn next_pod_is_not_told_once_there_is_nothing_to_lose_or_the_volume_is() {
    let mut database = database(json!({}));
    let refused = with(NextPod::Refused("memory is limited to 1Gi".to_owned()));
    let missing = Observation { server_pod: PodLookup::Missing, ..Observation::default() };
    let lost = with(NextPod::LosesVolume("it is being deleted".to_owned()));
    for (ready, other) in [(false, missing), (true, lost)] {
        observe_running(&mut database, true, &refused);
        assert!(told(&database, CONDITION_RESTART_BLOCKED).is_some());
        observe_running(&mut database, ready, &other);
        assert_eq!(told(&database, CONDITION_RESTART_BLOCKED), None);
    }
}
