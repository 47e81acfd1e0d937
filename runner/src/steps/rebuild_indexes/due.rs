//! Indexes that release notes recommend to rebuild.

use pgops_api::plan::{Reindex, UpgradeKind};
use tokio_postgres::Client;

use super::rebuild::{Rebuild, named};
use crate::postgres::collation::indexes::Index;
use crate::postgres::duties::duty::{Action, Objects, release_notes};
use crate::postgres::duties::objects::{Sizes, indexes};
use crate::postgres::duties::{LARGEST_IN_MINOR_UPGRADES, due};
use crate::upgrade::StepError;

impl Rebuild<'_> {
    /// Looks for them in the database that `client` is connected to; returns those to be rebuilt, and remembers the others as
    /// left to the operator.
    pub async fn due(
        &mut self,
        client: &Client,
        database: &str,
        reindex: Reindex,
    ) -> Result<Vec<Index>, StepError> {
        let (old, new) = (self.upgrade.plan.from.pg_version()?, self.upgrade.plan.to.pg_version()?);
        let is_minor = self.upgrade.kind == UpgradeKind::Minor;
        let mut all = Vec::new();
        for (duty, release) in due(old, new) {
            let (Action::Rebuild, Objects::Indexes(rule)) = (duty.action, &duty.objects) else { continue };
            let found = indexes(client, rule, Sizes::Measured).await?;
            if found.is_empty() {
                continue;
            }
            let source = release_notes(release);
            self.note(format!("database \"{database}\": {} indexes: {} ({source})", found.len(), duty.what));
            let (rebuilt, left) = divide(found, reindex, is_minor);
            all.extend(rebuilt);
            if !left.is_empty() {
                self.add_follow_up(format!(
                    "database \"{database}\": {}; REINDEX INDEX CONCURRENTLY {} ({source})",
                    duty.what,
                    named(&left)
                ));
            }
        }
        all.sort();
        all.dedup_by(|one, other| one.qualified() == other.qualified());
        let (unsafe_to_rebuild, all) = self.divide(client, all).await?;
        self.leave(database, &unsafe_to_rebuild);
        Ok(all)
    }
}

/// Those that are rebuilt, and those that are left to the operator.
fn divide(found: Vec<Index>, reindex: Reindex, is_minor: bool) -> (Vec<Index>, Vec<Index>) {
    let is_small = |index: &Index| !is_minor || index.bytes <= LARGEST_IN_MINOR_UPGRADES;
    found.into_iter().partition(|index| reindex == Reindex::Affected && is_small(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str, bytes: u64) -> Index {
        Index {
            schema: "public".into(),
            name: name.into(),
            table: "public.codes".into(),
            table_oid: 16400,
            method: "btree".into(),
            bytes,
            excludes: false,
            is_system: false,
            oid: 16401,
        }
    }

    fn divided(reindex: Reindex, is_minor: bool) -> (usize, usize) {
        let found = vec![index("small", 8192), index("large", 1 << 30)];
        let (rebuilt, left) = divide(found, reindex, is_minor);
        (rebuilt.len(), left.len())
    }

    #[test]
    fn large_index_is_left_to_the_operator_where_the_space_is_not_known() {
        assert_eq!(divided(Reindex::Affected, true), (1, 1));
        assert_eq!(divided(Reindex::Affected, false), (2, 0));
    }

    #[test]
    fn due_index_is_only_named_if_nothing_is_to_be_rebuilt() {
        assert_eq!(divided(Reindex::Report, false), (0, 2));
    }
}
