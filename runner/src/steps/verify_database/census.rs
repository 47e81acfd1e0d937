//! Compares what the new server's catalogs hold with what the preflight has found in the serving databases.

use pgops_api::plan::{CreateroleGrants, Step};

use crate::postgres::census::compare::{
    Change, Difference, changed_rows, differing, readable, without_consequences,
};
use crate::postgres::census::read::{Census, kind};
use crate::upgrade::{CensusBaseline, DatabaseCensus, StepError, UpgradeContext, log_step, shortened};

/// Reports the result: clients write already, so nothing that is found can fail the upgrade.
pub async fn check(upgrade: &mut UpgradeContext, ip: &str) -> Result<(), StepError> {
    let Some(baseline) = CensusBaseline::load(&upgrade.work_dir)? else { return Ok(()) };
    let census = Census::of(baseline.columns);
    let mut changed = Vec::new();
    let mut rows = 0;
    for before in &baseline.databases {
        changed.extend(differences(upgrade, ip, &census, before).await?);
        rows += before.digests.iter().map(|digest| digest.rows).sum::<u64>();
    }
    let text = text(baseline.databases.len(), rows, &changed);
    if changed.is_empty() {
        log_step(Step::VerifyDatabase, &text);
    } else {
        tracing::warn!(step = %Step::VerifyDatabase, "{text}");
    }
    if let Some(facts) = &mut upgrade.facts
        && !facts.lines.contains(&text)
    {
        facts.lines.push(text);
        // The report is written at the end, maybe by another runner.
        facts.store(&upgrade.work_dir)?;
    }
    Ok(())
}

/// What is not as before in a database, as text.
async fn differences(
    upgrade: &UpgradeContext,
    ip: &str,
    census: &Census,
    before: &DatabaseCensus,
) -> Result<Vec<String>, StepError> {
    let client = upgrade.superuser.connect(ip, &before.name).await?;
    let after = census.digests(&client).await?;
    // The grants of pgops change memberships, and have been checked beforehand.
    let is_expected = |catalog: &str| {
        catalog == "pg_auth_members" && upgrade.plan.createrole_grants == CreateroleGrants::Carry
    };
    let mut catalogs = differing(&before.digests, &after);
    catalogs.retain(|catalog| !is_expected(catalog));
    if catalogs.is_empty() {
        return Ok(Vec::new());
    }
    if before.rows.is_empty() {
        return Ok(catalogs
            .into_iter()
            .map(|catalog| format!("{} of \"{}\"", kind(catalog), before.name))
            .collect());
    }
    let mut found = changed_rows(&before.rows, &census.fingerprints(&client).await?);
    found.retain(|difference| !is_expected(&difference.catalog));
    let found = without_consequences(found);
    Ok(found.iter().map(|difference| line(&before.name, difference)).collect())
}

fn line(database: &str, difference: &Difference) -> String {
    let change = match difference.change {
        Change::Missing => "missing",
        Change::Columns(_) => "changed",
    };
    format!("{} ({}) {change} in \"{database}\"", readable(&difference.identity), kind(&difference.catalog))
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
    fn difference_is_named_with_database_and_kind() {
        let difference =
            Difference { catalog: "pg_proc".into(), identity: "s.f()".into(), change: Change::Missing };
        let text = text(1, 10, &[line("shop", &difference)]);
        assert!(text.ends_with("s.f() (functions) missing in \"shop\""), "{text}");
    }
}
