//! The volumes of subject and floor.

use pgops_api::plan::TransferMode;
use pgops_e2e::{FileSystem, LoopVolume, Namespace};
use serde_json::{Value, json};

use crate::case::Case;

/// Size of the volume claims.
const CLAIM_SIZE: &str = "10Gi";
/// Size of loop-mounted file systems; their files are sparse.
const LOOP_MEBIBYTES: u64 = 24 * 1024;

/// The volumes of subject and floor.
pub enum Storage {
    /// Volumes of the cluster's default storage class.
    Default,
    /// File systems that can clone files.
    Clones(Box<[LoopVolume; 2]>),
}

impl Storage {
    pub async fn create(ns: &Namespace, case: &Case) -> anyhow::Result<Self> {
        if case.mode != TransferMode::Clone {
            return Ok(Self::Default);
        }
        let create = async |role: &str| {
            let name = format!("{}-{role}", ns.name());
            LoopVolume::create(ns.cluster(), &name, FileSystem::XfsWithReflinks, LOOP_MEBIBYTES).await
        };
        Ok(Self::Clones(Box::new([create("subject").await?, create("floor").await?])))
    }

    /// The claims of subject and floor.
    pub fn claims(&self) -> [Value; 2] {
        match self {
            Self::Default => [(); 2].map(|()| {
                json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": CLAIM_SIZE}}})
            }),
            Self::Clones(volumes) => volumes.each_ref().map(LoopVolume::claim),
        }
    }

    pub async fn delete(&self) -> anyhow::Result<()> {
        match self {
            Self::Default => Ok(()),
            Self::Clones(volumes) => {
                for volume in &**volumes {
                    volume.delete().await?;
                }
                Ok(())
            }
        }
    }
}
