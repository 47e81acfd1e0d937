//! Compares the rights in the new cluster with those that the preflight has read, and with those of the old server when it was
//! stopped. The definitions may have changed since the rehearsal, and `pg_upgrade` evaluates them as superuser again. Then roles
//! with `CREATEROLE` get the rights that the request carries over.

use std::path::Path;

use pgops_api::layout::PROGRAMS_DIR;
use pgops_api::plan::Step;

use crate::postgres::createrole::{grant_missing, is_carried};
use crate::postgres::privileges::compare::Baseline;
use crate::postgres::privileges::read::{Digest, privileges};
use crate::postgres::server::inspection::Inspection;
use crate::upgrade::{StepError, UpgradeContext, ensure_no_escalation, log_step};

/// Fails if the new cluster has rights that nothing explains, or if rights cannot be carried over. No client has reached it yet.
/// `baseline` has those that the preflight has read, and `at_stop` those of the old server when it was stopped, if they are known.
pub async fn check(
    upgrade: &UpgradeContext,
    baseline: Option<&Baseline>,
    at_stop: Option<&Baseline>,
) -> Result<(), StepError> {
    let Some(baseline) = baseline else {
        tracing::warn!(step = %Step::PgUpgraded, "the preflight has stored no rights, so they are not compared");
        return Ok(());
    };
    let facts = upgrade.facts()?;
    let programs = upgrade.new_programs().await?;
    let pgdata = upgrade.volume.data_dir(upgrade.new_major);
    let (user, directories) =
        (&facts.shape.install_user, (&*UpgradeContext::scratch(), Path::new(PROGRAMS_DIR)));
    let interlock = upgrade.interlock()?;
    let server = Inspection::start(
        &programs,
        &pgdata,
        upgrade.new_major,
        user,
        &facts.servers,
        directories,
        interlock,
    )
    .await?;
    let digest = Digest::since(baseline.old_major);
    let connect = async |database: &str| server.connect(database).await;
    let examined = async {
        let after = privileges(connect, &facts.databases, upgrade.new_major, digest, baseline).await?;
        ensure_no_escalation(baseline, at_stop, &after)?;
        log_step(Step::PgUpgraded, "no role has more rights than before");
        carry_createrole(upgrade, &server).await
    };
    let examined = examined.await;
    server.stop().await?;
    examined
}

/// A repeated `pg_upgrade` repeats it: the grants are part of the new cluster alone.
async fn carry_createrole(upgrade: &UpgradeContext, server: &Inspection<'_>) -> Result<(), StepError> {
    if !is_carried(upgrade.plan.createrole_grants, upgrade.old_major, upgrade.new_major) {
        return Ok(());
    }
    // It exists in every cluster that pg_upgrade has filled.
    let grants = grant_missing(&server.connect("template1").await?).await?;
    log_step(
        Step::PgUpgraded,
        format!("{grants} GRANT statements give roles with CREATEROLE the rights that they had"),
    );
    Ok(())
}
