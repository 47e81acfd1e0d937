//! The journal in the request's report.

use super::{Journal, JournalError, parse, to_line};
use crate::cluster::Cluster;
use crate::saga::record::Record;

/// Key of the journal in the report.
const KEY: &str = "journal";

/// The `ConfigMap` of the request's report, which the API server stores before it answers. For upgrades whose worker
/// does not mount the volume.
pub struct ConfigMapJournal {
    cluster: Cluster,
    /// What the report holds, once it was read or written.
    text: Option<String>,
}

impl ConfigMapJournal {
    /// The journal in the report of `cluster`'s request.
    #[must_use]
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster, text: None }
    }
}

impl Journal for ConfigMapJournal {
    async fn load(&self) -> Result<Vec<Record>, JournalError> {
        let text = self.cluster.report(KEY).await?.unwrap_or_default();
        parse(&text, "in the request's report")
    }

    async fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let mut text = match self.text.take() {
            Some(text) => text,
            None => self.cluster.report(KEY).await?.unwrap_or_default(),
        };
        text.push_str(&to_line(record)?);
        self.cluster.write_report(KEY, &text).await?;
        self.text = Some(text);
        Ok(())
    }
}
