//! Whether what the preflight has stored is still its own: the digests of it are kept in the request's report.

use pgops_api::plan::UpgradeKind;

use super::context::UpgradeContext;
use super::error::StepError;
use super::stored_digests::StoredDigests;
use super::{baseline, census, facts};
use crate::cluster::ClusterError;
use crate::digest::digest;

/// Part of the report: [`StoredDigests::to_text`].
const KEY: &str = "preflight-digests";

impl UpgradeContext {
    /// Keeps the digests of what the preflight has just stored.
    pub async fn keep_digests(&mut self) -> Result<(), StepError> {
        let mut digests = StoredDigests::default();
        digests.insert(facts::FILE, self.facts()?.digest());
        for name in [baseline::FILE, census::FILE] {
            let content = self.work_dir.tree().read_if_exists(&self.work_dir.path().join(name))?;
            if let Some(content) = content {
                digests.insert(name, digest(&content));
            }
        }
        self.cluster.write_report(KEY, &digests.to_text()).await?;
        self.digests = Some(digests);
        Ok(())
    }

    /// Reads what an earlier runner of this upgrade has kept.
    pub async fn recall_digests(&mut self) -> Result<(), ClusterError> {
        if self.kind == UpgradeKind::Major {
            self.digests = self.cluster.report(KEY).await?.as_deref().map(StoredDigests::parse);
        }
        Ok(())
    }

    /// Fails if the facts are not those of the preflight: this runner may have read them from the volume.
    pub fn ensure_own_facts(&self) -> Result<(), StepError> {
        let Some(digests) = &self.digests else { return Ok(()) };
        if digests.get(facts::FILE) == Some(self.facts()?.digest().as_str()) {
            return Ok(());
        }
        Err(StepError::StoredFindingsChanged(self.work_dir.path().join(facts::FILE)))
    }

    /// Whether all that the preflight has stored is unchanged. A runner that was stopped in the middle of a repeated preflight
    /// leaves some files of each.
    pub fn has_own_findings(&self) -> Result<bool, StepError> {
        let read = |name| StoredDigests::read(self.digests.as_ref(), &self.work_dir, name).map(drop);
        let all =
            self.ensure_own_facts().and_then(|()| read(baseline::FILE)).and_then(|()| read(census::FILE));
        match all {
            Err(StepError::StoredFindingsChanged(_)) => Ok(false),
            all => all.map(|()| true),
        }
    }
}
