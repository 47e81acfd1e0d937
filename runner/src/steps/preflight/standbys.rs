//! The servers of a database with standbys are replaced one by one, which requires all of them: the next one is stopped only while the
//! others serve and have every commit.

use std::time::{Duration, Instant};

use pgops_api::rollout::Obstacle;

use crate::upgrade::{Finding, StepError, UpgradeContext};

/// How long a standby that has just been restarted may take to stream again.
const LIMIT: Duration = Duration::from_mins(1);
const INTERVAL: Duration = Duration::from_secs(1);

pub async fn check(upgrade: &UpgradeContext) -> Result<(), StepError> {
    if !upgrade.plan.has_standbys() {
        return Ok(());
    }
    let began = Instant::now();
    loop {
        let obstacles = upgrade.rollout_obstacles(&upgrade.plan.from).await?;
        match finding(&obstacles) {
            None => return Ok(()),
            Some(finding) if began.elapsed() >= LIMIT => return Err(StepError::Findings(vec![finding])),
            Some(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
}

fn finding(obstacles: &[Obstacle]) -> Option<Finding> {
    let named: Vec<_> = obstacles.iter().map(ToString::to_string).collect();
    (!named.is_empty()).then(|| {
        let text = format!(
            "{}; the servers are replaced one by one, and before the first one all must be ready and each standby must stream",
            named.join("; ")
        );
        Finding::new("standbys-not-ready", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_server_that_is_not_ready_is_named() {
        assert_eq!(finding(&[]), None);
        let pod = |ordinal| format!("orders-{ordinal}");
        let found = [Obstacle::Missing { pod: pod(1) }, Obstacle::NotStreaming { pod: pod(2) }];
        let finding = finding(&found).unwrap();
        assert!(finding.blocks());
        let expected =
            "pod orders-1 does not exist; the standby in pod orders-2 does not stream from the primary; ";
        assert!(finding.text.starts_with(expected), "{finding}");
    }

    #[test]
    fn finding_about_standbys_is_documented() {
        assert!(include_str!("../../../../docs/reference/findings.md").contains("`standbys-not-ready`"));
    }
}
