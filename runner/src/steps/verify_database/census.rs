//! Compares what the new server's catalogs hold with what the preflight has found in the serving databases.

use std::collections::BTreeSet;

use pgops_api::plan::{CreateroleGrants, Step};

use crate::postgres::census::read::Census;
use crate::upgrade::{CensusBaseline, StepError, UpgradeContext, log_step, shortened};

/// Reports the result: clients write already, so nothing that is found can fail the upgrade.
pub async fn check(upgrade: &mut UpgradeContext, ip: &str) -> Result<(), StepError> {
    let compared = match CensusBaseline::load(&upgrade.work_dir, upgrade.digests.as_ref()) {
        Ok(None) => return Ok(()),
        Ok(Some(baseline)) => compare(upgrade, ip, baseline).await?,
        Err(error @ StepError::StoredFindingsChanged(_)) => Err(error.to_string()),
        Err(error) => return Err(error),
    };
    match &compared {
        Ok(text) => log_step(Step::VerifyDatabase, text),
        Err(text) => tracing::warn!(step = %Step::VerifyDatabase, "{text}"),
    }
    let text = compared.unwrap_or_else(|text| text);
    if let Some(facts) = &mut upgrade.facts
        && !facts.lines.contains(&text)
    {
        facts.lines.push(text);
        // The report is written at the end, maybe by another runner.
        facts.store(&upgrade.work_dir)?;
    }
    Ok(())
}

/// The result as text, an error if something is different.
async fn compare(
    upgrade: &UpgradeContext,
    ip: &str,
    baseline: CensusBaseline,
) -> Result<Result<String, String>, StepError> {
    let census = Census::of(baseline.columns);
    let expected = changed_by_pgops(upgrade.plan.createrole_grants);
    let mut changed = Vec::new();
    let mut rows = 0;
    for before in &baseline.databases {
        let client = upgrade.superuser.connect(ip, &before.name).await?;
        changed.extend(before.lost(&census, &client, &expected).await?);
        rows += before.digests.iter().map(|digest| digest.rows).sum::<u64>();
    }
    // What belongs to the server is missing in every database.
    changed.sort_unstable();
    changed.dedup();
    let text = text(baseline.databases.len(), rows, &changed);
    Ok(if changed.is_empty() { Ok(text) } else { Err(text) })
}

/// The catalogs that pgops itself has changed: the grants that it carries over have been checked beforehand.
fn changed_by_pgops(grants: CreateroleGrants) -> BTreeSet<&'static str> {
    match grants {
        CreateroleGrants::Carry => BTreeSet::from(["pg_auth_members"]),
        CreateroleGrants::Report => BTreeSet::new(),
    }
}

fn text(databases: usize, rows: u64, changed: &[String]) -> String {
    if changed.is_empty() {
        return format!(
            "the new server's catalogs hold all {rows} objects and details of {databases} databases that the old ones held"
        );
    }
    format!(
        "these objects are not as the preflight saw them, since a client changed them before the outage, or they were lost; \
         compare them with the old data: {}",
        shortened(changed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_databases_are_counted() {
        let text = text(3, 1200, &[]);
        assert!(text.contains("all 1200 objects and details of 3 databases"), "{text}");
    }

    #[test]
    fn differences_are_named() {
        let text = text(1, 10, &["s.f() (functions) missing in \"shop\"".into()]);
        assert!(text.ends_with("s.f() (functions) missing in \"shop\""), "{text}");
    }
}
