//! What the preflight of a minor upgrade reported, kept in the request's report: its worker has no volume for facts.

use pgops_api::plan::UpgradeKind;

use super::context::UpgradeContext;
use crate::cluster::ClusterError;

/// Part of the report: the lines of the preflight.
const PREFLIGHT: &str = "preflight";

impl UpgradeContext {
    /// Stores the lines, for the summary at the end.
    pub async fn store_minor_lines(&mut self, lines: Vec<String>) -> Result<(), ClusterError> {
        self.cluster.write_report(PREFLIGHT, &lines.join("\n")).await?;
        self.minor_lines = lines;
        Ok(())
    }

    /// Reads the lines that an earlier runner of this minor upgrade has stored.
    pub async fn recall_minor_lines(&mut self) -> Result<(), ClusterError> {
        if self.kind == UpgradeKind::Minor && self.minor_lines.is_empty() {
            let stored = self.cluster.report(PREFLIGHT).await?.unwrap_or_default();
            self.minor_lines = stored.lines().map(ToOwned::to_owned).collect();
        }
        Ok(())
    }
}
