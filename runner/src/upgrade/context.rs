//! The state of one upgrade.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pgops_api::layout::{self, PROGRAMS_DIR};
use pgops_api::plan::{NODE_VARIABLE, UpgradeKind, UpgradePlan};
use pgops_volume::{Interlock, Volume};

use super::direction::Direction;
use super::error::StepError;
use super::facts::Facts;
use super::stored_digests::StoredDigests;
use crate::agent::Agents;
use crate::cancel::Cancel;
use crate::cluster::Cluster;
use crate::postgres::client::session::Superuser;
use crate::postgres::client::tls::DatabaseTls;
use crate::postgres::extension::knowledge::Knowledge;
use crate::postgres::program::programs::Programs;
use crate::postgres::proxy::Proxy;
use crate::postgres::volume::work_dir::WorkDir;
use crate::report::Reporter;

/// Everything that the steps of one upgrade act on.
pub struct UpgradeContext {
    pub plan: UpgradePlan,
    pub kind: UpgradeKind,
    pub old_major: u32,
    pub new_major: u32,
    pub cluster: Cluster,
    pub volume: Volume,
    pub work_dir: WorkDir,
    pub superuser: Superuser,
    pub agents: Agents,
    /// What is known of extensions.
    pub extensions: Knowledge,
    /// `None` until the preflight has stored them, and in minor upgrades.
    pub facts: Option<Facts>,
    /// Those of what the preflight has stored. `None` before it, and if it was one of an earlier pgops.
    pub digests: Option<StoredDigests>,
    /// What the preflight of a minor upgrade reported to users; that of a major one stores it with its facts.
    pub minor_lines: Vec<String>,
    pub reporter: Reporter,
    pub cancel: Cancel,
    /// Whether this runner has made the checkpoints that shorten the outage.
    pub has_made_checkpoints: bool,
    /// Where the upgrade is going.
    pub direction: Direction,
    /// How often the step, or its undo, may be tried again.
    pub attempts_left: u32,
    /// Since when the server that this runner has waited for has served clients.
    pub serving_since: Option<Timestamp>,
    /// Held from `fence` until a database's server is started.
    pub(super) interlock: Option<Interlock>,
    /// Whether this runner has required the worker's node for the database's next pod.
    pub(super) requires_node: bool,
    node: Option<String>,
}

impl UpgradeContext {
    /// The upgrade of a plan, from wherever an earlier runner left it.
    pub fn new(plan: UpgradePlan, cluster: Cluster, agents: Agents) -> Result<Self, StepError> {
        let kind = plan.kind()?;
        let volume = Volume::at(layout::VOLUME_ROOT);
        let work_dir = WorkDir::new(&volume, &plan.request_uid);
        let facts = Facts::load(&work_dir)?;
        let old_major = plan.from.pg_version()?.major;
        Ok(Self {
            old_major,
            new_major: plan.to.pg_version()?.major,
            reporter: Reporter::new(cluster.clone(), kind, plan.scope),
            cancel: Cancel::watch(cluster.clone()),
            superuser: Superuser::read(old_major, DatabaseTls::of_this_pod(&plan.namespace, &plan.database))?,
            agents,
            extensions: Knowledge::new(&plan.extensions),
            has_made_checkpoints: false,
            direction: Direction::Forward,
            attempts_left: 0,
            serving_since: None,
            interlock: None,
            requires_node: false,
            node: std::env::var(NODE_VARIABLE).ok(),
            plan,
            kind,
            cluster,
            volume,
            work_dir,
            facts,
            digests: None,
            minor_lines: Vec::new(),
        })
    }

    /// Ends the work on the database, and keeps what is needed to report it.
    #[must_use]
    pub fn into_reporter(self) -> Reporter {
        self.reporter
    }

    /// What the preflight found out.
    pub fn facts(&self) -> Result<&Facts, StepError> {
        self.facts.as_ref().ok_or_else(|| StepError::FactsMissing(self.work_dir.path().to_owned()))
    }

    /// What the preflight reported to users, as far as it got.
    #[must_use]
    pub fn preflight_lines(&self) -> &[String] {
        self.facts.as_ref().map_or(&self.minor_lines, |facts| &facts.lines)
    }

    /// The target's programs.
    pub async fn new_programs(&self) -> Result<Programs, StepError> {
        Ok(Programs::find(&self.agents.programs, Path::new("/"), self.new_major).await?)
    }

    /// The old version's programs, staged.
    pub async fn old_programs(&self) -> Result<Programs, StepError> {
        Ok(Programs::find(&self.agents.programs, Path::new(layout::OLD_DIR), self.old_major).await?)
    }

    /// The target's programs where the schema is rehearsed.
    pub async fn rehearsal_programs(&self) -> Result<Programs, StepError> {
        Ok(Programs::find(self.agents.rehearsal()?, Path::new("/"), self.new_major).await?)
    }

    /// Leads programs to the server at `ip` while it is kept. Nothing that earlier programs have left running may use
    /// it: `pg_upgrade` runs code of users.
    pub async fn proxy(&self, ip: &str) -> Result<Proxy, StepError> {
        self.agents.programs.kill_all().await?;
        Ok(Proxy::start(&Path::new(PROGRAMS_DIR).join("database"), ip, &self.superuser)?)
    }

    /// A directory of an agent's container for logs and generated files, deleted with the worker.
    #[must_use]
    pub fn scratch() -> PathBuf {
        PathBuf::from("/tmp/pgops")
    }

    /// Node of this worker, and so of a volume that one node at a time may attach.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref().filter(|_| self.kind == UpgradeKind::Major)
    }
}
