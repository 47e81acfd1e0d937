//! The servers of a database with standbys, from their pods: Patroni keeps a label with the role, and an annotation with the rest.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgops_api::members::MemberRole;
use pgops_api::names;
use pgops_api::rollout::{Health, Member, MemberState, Replication, Server, Template};
use serde::Deserialize;

use crate::broken_pod::broken_pod;
use crate::observed::ready;

/// Annotation of a pod with what Patroni reports of its server.
const STATUS: &str = "status";
/// Longest annotation that is read, in bytes: the pod runs code of users, which may write anything.
const MAX_STATUS: usize = 4 << 10;

/// What Patroni reports of a server, as far as it is used.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default)]
pub struct Reported {
    /// The timeline of its WAL.
    pub timeline: Option<u32>,
    /// Position in the WAL, in bytes.
    pub xlog_location: Option<u64>,
    /// State of its WAL receiver.
    replication_state: Option<String>,
    /// Whether Patroni is paused.
    #[serde(rename = "pause")]
    pub is_paused: bool,
}

impl Reported {
    /// Whether the server receives WAL from another one.
    #[must_use]
    pub fn replication(&self) -> Replication {
        match self.replication_state.as_deref() {
            Some("streaming") => Replication::Streaming,
            _ => Replication::None,
        }
    }
}

/// What Patroni reports of the server in the pod; nothing if that cannot be read.
#[must_use]
pub fn reported(pod: &Pod) -> Reported {
    let text = pod.annotations().get(STATUS).filter(|text| text.len() <= MAX_STATUS);
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The role of the server in the pod, while it has one.
#[must_use]
pub fn role(pod: &Pod) -> Option<MemberRole> {
    match pod.labels().get(names::LABEL_ROLE)?.as_str() {
        names::ROLE_PRIMARY => Some(MemberRole::Primary),
        names::ROLE_STANDBY => Some(MemberRole::Standby),
        _ => None,
    }
}

/// The member with the pod of that name.
#[must_use]
pub fn member(name: &str, pod: Option<&Pod>, template: Template) -> Member {
    let state = match pod {
        None => MemberState::Missing,
        Some(pod) if pod.metadata.deletion_timestamp.is_some() => MemberState::Ending,
        Some(pod) => MemberState::Exists(server(pod, template)),
    };
    Member { pod: name.to_owned(), state }
}

fn server(pod: &Pod, template: Template) -> Server {
    let reported = reported(pod);
    let health = match (ready(pod), broken_pod(pod)) {
        (Some(_), _) => Health::Ready,
        (None, Some(reason)) => Health::Broken(reason),
        (None, None) => Health::NotReady,
    };
    Server {
        uid: pod.uid().unwrap_or_default(),
        template,
        role: role(pod),
        health,
        replication: reported.replication(),
        timeline: reported.timeline,
        position: reported.xlog_location,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn pod(role: &str, is_ready: bool, status: &str) -> Pod {
        let ready = json!({ "type": "Ready", "status": if is_ready { "True" } else { "False" } });
        serde_json::from_value(json!({
            "metadata": {
                "name": "orders-0", "uid": "pod", "annotations": { "status": status },
                "labels": { "kubedb.com/role": role },
            },
            "status": { "conditions": [ready] },
        }))
        .unwrap()
    }

    fn streaming() -> Value {
        json!({
            "state": "running", "role": "replica", "timeline": 3, "xlog_location": 50_331_648, "replication_state": "streaming",
        })
    }

    fn of(pod: &Pod) -> Server {
        match member("orders-0", Some(pod), Template::Current).state {
            MemberState::Exists(server) => server,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn standby_is_as_patroni_reports_it() {
        let expected = Server {
            uid: "pod".to_owned(),
            template: Template::Current,
            role: Some(MemberRole::Standby),
            health: Health::Ready,
            replication: Replication::Streaming,
            timeline: Some(3),
            position: Some(50_331_648),
        };
        assert_eq!(of(&pod("standby", true, &streaming().to_string())), expected);
    }

    #[test]
    fn pod_that_answers_is_not_broken() {
        let (mut answers, mut waits) = (pod("standby", true, ""), pod("standby", false, ""));
        assert_eq!(of(&waits).health, Health::NotReady);
        for pod in [&mut answers, &mut waits] {
            pod.status.as_mut().unwrap().container_statuses = serde_json::from_value(json!([{
                "name": "postgres", "image": "", "imageID": "", "ready": false, "restartCount": 3, "state": {},
            }]))
            .unwrap();
        }
        assert_eq!(of(&answers).health, Health::Ready);
        assert!(matches!(of(&waits).health, Health::Broken(reason) if reason.contains("ended 3 times")));
    }

    #[test]
    fn member_has_no_server_without_a_pod_or_with_one_that_ends() {
        let state = |pod: Option<&Pod>| member("orders-0", pod, Template::Current).state;
        assert_eq!(state(None), MemberState::Missing);
        let mut ending = pod("standby", true, &streaming().to_string());
        ending.metadata.deletion_timestamp = serde_json::from_value(json!("2026-11-20T10:00:00Z")).unwrap();
        assert_eq!(state(Some(&ending)), MemberState::Ending);
    }

    #[rstest]
    #[case::text("running".to_owned())]
    #[case::of_another_type(json!({ "timeline": "three" }).to_string())]
    #[case::negative(json!({ "xlog_location": -1 }).to_string())]
    #[case::long(format!("{{\"timeline\":3,\"x\":\"{}\"}}", "y".repeat(MAX_STATUS)))]
    fn unreadable_report_says_nothing(#[case] status: String) {
        assert_eq!(reported(&pod("replica", true, &status)), Reported::default());
        assert_eq!(role(&pod("replica", true, &status)), None);
    }

    #[test]
    fn pause_is_known_from_any_member() {
        assert!(reported(&pod("standby", true, &json!({ "pause": true }).to_string())).is_paused);
        assert!(!reported(&pod("standby", true, &streaming().to_string())).is_paused);
    }
}
