//! What the status of a database with standbys shows of each server.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use pgops_api::members::{MemberRole, MemberStatus};
use pgops_kube::member::{reported, role};
use pgops_kube::observed::ready;

use crate::observation::size;

/// What is shown of each server, in the order of their names.
pub fn members(pods: &[Pod]) -> Vec<MemberStatus> {
    let primary = pods.iter().find(|pod| role(pod) == Some(MemberRole::Primary));
    let position = primary.and_then(|pod| reported(pod).xlog_location);
    let mut members: Vec<_> = pods.iter().map(|pod| member(pod, position)).collect();
    members.sort_by(|one, other| (one.pod.len(), &one.pod).cmp(&(other.pod.len(), &other.pod)));
    members
}

/// Whether one of them accepts writes and answers.
pub fn has_ready_primary(members: &[MemberStatus]) -> bool {
    members.iter().any(|member| member.ready && member.role == Some(MemberRole::Primary))
}

fn member(pod: &Pod, primary: Option<u64>) -> MemberStatus {
    let (role, reported) = (role(pod), reported(pod));
    let lag = match (role, primary, reported.xlog_location) {
        // Both positions are some seconds old, and that of the standby may be the newer one.
        (Some(MemberRole::Standby), Some(primary), Some(own)) => Some(size(primary.saturating_sub(own))),
        _ => None,
    };
    MemberStatus {
        pod: pod.name_any(),
        role,
        ready: ready(pod).is_some() && pod.metadata.deletion_timestamp.is_none(),
        timeline: reported.timeline,
        lag,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::names;
    use serde_json::json;

    fn pod(name: &str, role: Option<&str>, is_ready: bool, status: &str) -> Pod {
        let ready = json!({ "type": "Ready", "status": if is_ready { "True" } else { "False" } });
        let mut pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": name, "annotations": { "status": status } }, "status": { "conditions": [ready] },
        }))
        .unwrap();
        if let Some(role) = role {
            pod.labels_mut().insert(names::LABEL_ROLE.to_owned(), role.to_owned());
        }
        pod
    }

    fn at(position: u64) -> String {
        json!({ "state": "running", "role": "replica", "timeline": 3, "xlog_location": position }).to_string()
    }

    #[test]
    fn members_show_role_timeline_and_lag_in_the_order_of_their_names() {
        let pods = [
            pod("orders-10", None, false, ""),
            pod("orders-1", Some("primary"), true, &at(10 << 20)),
            pod("orders-0", Some("standby"), true, &at(8 << 20)),
            pod("orders-2", Some("standby"), false, &at(11 << 20)),
        ];
        let shown = members(&pods);
        let lines: Vec<_> = shown
            .iter()
            .map(|it| {
                format!("{} {:?} {} {:?} {:?}", it.pod, it.role, it.ready, it.timeline, it.lag.as_deref())
            })
            .collect();
        let expected = [
            "orders-0 Some(Standby) true Some(3) Some(\"2Mi\")",
            "orders-1 Some(Primary) true Some(3) None",
            "orders-2 Some(Standby) false Some(3) Some(\"0\")",
            "orders-10 None false None None",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn pod_without_a_report_is_shown_by_its_name() {
        let shown = members(&[pod("orders-0", Some("replica"), true, "running")]);
        let expected = MemberStatus { pod: "orders-0".to_owned(), ready: true, ..MemberStatus::default() };
        assert_eq!(shown, [expected]);
    }

    #[test]
    fn primary_serves_only_if_it_is_ready() {
        let of = |role, is_ready| has_ready_primary(&members(&[pod("orders-0", Some(role), is_ready, "")]));
        assert!(of("primary", true));
        assert!(!of("primary", false) && !of("standby", true));
    }
}
