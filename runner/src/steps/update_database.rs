//! `UpdateDatabase`: the object names the new version.

use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    Ok(upgrade.cluster.set_version(&upgrade.plan.to.name).await?)
}
