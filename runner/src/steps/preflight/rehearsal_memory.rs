//! The memory of the rehearsal: its container has a limit, since it runs code of users next to the serving database.

use pgops_api::names::CONTAINER_REHEARSAL;

use super::configuration::Checked;
use super::rehearsal_source::RehearsalSource;
use super::schema_rehearsal::{self, Rehearsed};
use crate::upgrade::{Finding, StepError, UpgradeContext};

/// How a rehearsal has ended, as far as a lack of memory may be the cause.
#[derive(Debug, Eq, PartialEq)]
enum End {
    Passed,
    /// Something was found, or a program or the scratch server has failed.
    Failed,
    /// The container has ended.
    Lost,
}

/// Rehearses. If the kernel has killed a process of the rehearsal for lack of memory, that is the only finding: the others
/// are its consequences, and another attempt would need as much.
pub async fn rehearse(
    upgrade: &UpgradeContext,
    source: &RehearsalSource<'_>,
    settings: &mut Checked,
) -> Result<Rehearsed, StepError> {
    let agent = upgrade.agents.rehearsal()?;
    let kills_before = agent.memory_kills().await;
    let result = schema_rehearsal::rehearse(upgrade, source, settings).await;
    let limit = match End::of(&result) {
        End::Failed if is_more(agent.memory_kills().await, kills_before) => {
            upgrade.cluster.memory_limit(CONTAINER_REHEARSAL).await
        }
        End::Passed | End::Failed => return result,
        End::Lost => match upgrade.cluster.memory_kill(CONTAINER_REHEARSAL).await {
            Some(kill) => kill.limit,
            None => return result,
        },
    };
    Ok(Rehearsed { findings: vec![finding(limit.as_deref())], ..Rehearsed::default() })
}

impl End {
    fn of(result: &Result<Rehearsed, StepError>) -> Self {
        match result {
            Ok(rehearsed) if rehearsed.success.is_some() => Self::Passed,
            Err(error) if error.lost_container() == Some(CONTAINER_REHEARSAL) => Self::Lost,
            _ => Self::Failed,
        }
    }
}

fn is_more(now: Option<u64>, before: Option<u64>) -> bool {
    now.zip(before).is_some_and(|(now, before)| now > before)
}

fn finding(limit: Option<&str>) -> Finding {
    let limit = limit.map(|limit| format!(" of {limit}")).unwrap_or_default();
    let text = format!(
        "the rehearsal, which restores the schema of each database into a scratch server, needs more memory than the limit\
         {limit} of its container: raise the value launcher.rehearsalMemory of the chart pgops, then apply the request again"
    );
    Finding::new("rehearsal-memory", text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::AgentError;
    use crate::postgres::program::command::CommandError;
    use crate::steps::preflight::rehearsal_times::RehearsalTimes;

    fn lost(container: &'static str) -> Result<Rehearsed, StepError> {
        let source = AgentError::Lost { container, source: std::io::ErrorKind::UnexpectedEof.into() };
        Err(CommandError::Agent { program: "pg_restore".to_owned(), source }.into())
    }

    #[test]
    fn rehearsal_may_lack_memory_unless_it_has_passed() {
        let passed =
            Rehearsed { success: Some((String::new(), RehearsalTimes::default())), ..Rehearsed::default() };
        assert_eq!(End::of(&Ok(passed)), End::Passed);
        assert_eq!(End::of(&Ok(Rehearsed::default())), End::Failed);
        assert_eq!(End::of(&lost(CONTAINER_REHEARSAL)), End::Lost);
        assert_eq!(End::of(&lost("programs")), End::Failed);
    }

    #[test]
    fn kill_counts_only_if_both_numbers_are_known() {
        assert!(is_more(Some(1), Some(0)));
        assert!(!is_more(Some(1), Some(1)) && !is_more(Some(1), None) && !is_more(None, Some(0)));
    }

    #[test]
    fn finding_about_memory_names_the_limit_and_the_value_to_raise() {
        let text = finding(Some("4Gi")).to_string();
        assert!(
            text.starts_with("[rehearsal-memory] ") && text.contains("limit of 4Gi of its container"),
            "{text}"
        );
        assert!(text.contains("launcher.rehearsalMemory"), "{text}");
        assert!(finding(None).blocks());
    }
}
