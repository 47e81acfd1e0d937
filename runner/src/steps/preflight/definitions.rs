//! Reads the definitions of every database while they are rehearsed: what they name and the target lacks, and what they
//! mean there. None of it can fail the preflight: what could not be read is logged.

use pgops_api::plan::{Step, UpgradeKind};
use tokio_postgres::Client;

use super::changed_meaning::ChangedMeaning;
use super::references::References;
use crate::postgres::client::error::ServerError;
use crate::postgres::program::programs::Programs;
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{Finding, warn_step};

/// What the definitions of all databases have shown.
pub struct Definitions {
    new_major: u32,
    /// `None` if what is the same for every database could not be read.
    collected: Option<(References, ChangedMeaning)>,
}

impl Definitions {
    /// Reads what is the same for every database. `programs` are the target's, where no code of users runs; `scratch` is
    /// connected to the scratch server.
    pub async fn begin(serving: &Client, scratch: &Client, programs: &Programs, new_major: u32) -> Self {
        let collected = async {
            let references = References::begin(serving, scratch, programs, UpgradeKind::Major).await?;
            Ok::<_, ServerError>((references, ChangedMeaning::begin(serving, scratch).await?))
        };
        let collected = collected.await.inspect_err(|error| warn_step(Step::Preflight, error)).ok();
        Self { new_major, collected }
    }

    /// Reads a serving database, before it is rehearsed.
    pub async fn read_source(&mut self, serving: &Client, scratch: &Scratch, database: &str) {
        let Some((references, _)) = &mut self.collected else { return };
        log_failure(references.read_source(serving, scratch, database).await);
    }

    /// Reads a database on the scratch server, after it has been restored and its rights have been compared.
    pub async fn read_restored(&mut self, restored: &Client, scratch: &Scratch, database: &str) {
        let Some((references, meaning)) = &mut self.collected else { return };
        log_failure(references.read_definitions(restored, restored, database, self.new_major).await);
        log_failure(meaning.read_restored(restored, scratch, database, self.new_major).await);
    }

    /// All findings.
    #[must_use]
    pub fn finish(self) -> Vec<Finding> {
        let Some((references, meaning)) = self.collected else { return Vec::new() };
        references.finish().into_iter().chain(meaning.finish()).collect()
    }
}

fn log_failure(result: Result<(), ServerError>) {
    if let Err(error) = result {
        warn_step(Step::Preflight, &error);
    }
}
