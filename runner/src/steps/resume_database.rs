//! `ResumeDatabase`: the provisioner may work again.

use super::pause_database::resume;
use super::{StepError, Upgrade};

pub(super) async fn act(upgrade: &mut Upgrade) -> Result<(), StepError> {
    resume(upgrade).await
}
