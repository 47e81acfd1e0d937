//! Durations of the steps, from a request's conditions.

use pgops_api::PostgresOpsRequest;
use pgops_api::plan::{Step, UpgradeKind};

/// One line per step: its name, and the whole seconds since the previous step.
pub(crate) fn step_times(request: &PostgresOpsRequest) -> Vec<String> {
    let steps: Vec<String> = Step::sequence(UpgradeKind::Major).iter().map(ToString::to_string).collect();
    let conditions = request.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let mut previous = request.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let mut lines = Vec::new();
    for condition in conditions.iter().filter(|condition| steps.contains(&condition.type_)) {
        let end = condition.last_transition_time.0;
        let seconds = previous.map_or(0, |start| end.duration_since(start).as_secs().max(0));
        lines.push(format!("  {:<26} {seconds:>4} s", condition.type_));
        previous = Some(end);
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn step_time_begins_at_the_previous_step() {
        let condition = |type_, time| json!({"type": type_, "status": "True", "lastTransitionTime": time});
        let request: PostgresOpsRequest = serde_json::from_value(json!({
            "apiVersion": "ops.kubedb.com/v1alpha1", "kind": "PostgresOpsRequest",
            "metadata": {"name": "r", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"databaseRef": {"name": "d"}, "type": "UpdateVersion"},
            "status": {"conditions": [
                condition("CopiedOldBinaries", "2026-01-01T00:00:04Z"),
                condition("Preflight", "2026-01-01T00:01:09Z"),
                condition("Successful", "2026-01-01T00:02:00Z"),
            ]},
        }))
        .unwrap();
        let lines: Vec<_> = step_times(&request)
            .iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines, ["CopiedOldBinaries 4 s", "Preflight 65 s"]);
    }
}
