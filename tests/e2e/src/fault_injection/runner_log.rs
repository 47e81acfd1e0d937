//! What an observer finds in the runner's log.

use anyhow::Context;

/// Number of `pg_upgrade` stages that all runners have logged so far.
pub(super) fn stages_passed(log: &str) -> usize {
    log.lines().filter(|line| is_stage(line)).count()
}

/// Number of stages of the `pg_upgrade` run that succeeded, as the runner reports it.
pub(super) fn stages_of_last_run(log: &str) -> anyhow::Result<usize> {
    let number = log.split_once("pg_upgrade has passed ").and_then(|(_, rest)| rest.split(' ').next());
    Ok(number.context("the log does not say that pg_upgrade has passed")?.parse()?)
}

/// Whether a runner has logged that it retries a step.
pub(super) fn has_retry(log: &str) -> bool {
    log.contains("; retrying in ")
}

/// Whether a line reports a passed stage of `pg_upgrade`: such a line has no status mark.
fn is_stage(line: &str) -> bool {
    let rest = line.split_once(" PgUpgraded ").map(|(_, rest)| rest);
    rest.and_then(|rest| rest.strip_prefix("              "))
        .is_some_and(|text| text.trim_start().starts_with(char::is_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stage_is_distinguished_from_other_log_lines() {
        let stage = "2026-11-25T14:40:22.17Z stdout F 14:40:22  PgUpgraded                     Checking cluster versions";
        assert!(is_stage(stage));
        for other in [
            "2026-11-25T14:40:26.91Z stdout F 14:40:26  PgUpgraded                     pg_upgrade has passed 37 stages",
            "2026-11-25T14:40:26.93Z stdout F 14:40:26  PgUpgraded               ok    done",
            "2026-11-25T14:40:27.02Z stdout F 14:40:27  StartDatabase            ...   started",
        ] {
            assert!(!is_stage(other), "{other}");
        }
    }
}
