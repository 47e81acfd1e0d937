//! The options of a request, from its fields and annotations alone.

use std::time::Duration;

use super::denial::Denial;
use super::duration::parse_go_duration;
use super::messages;
use crate::PostgresOpsRequest;
use crate::matrix::BaseOsChange;
use crate::names::{
    ANNOTATION_ALLOW_BASE_OS_CHANGE, ANNOTATION_CREATEROLE_GRANTS, ANNOTATION_DRY_RUN,
    ANNOTATION_KEEP_OLD_DATA, ANNOTATION_REINDEX, ANNOTATION_REPARTITION, ANNOTATION_TRANSFER_MODE,
};
use crate::plan::{CreateroleGrants, Reindex, Repartition, Scope, TransferMode};

/// The options of a request, parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestOptions {
    /// Whether the base system may change.
    pub base_os: BaseOsChange,
    /// The whole upgrade or a dry run.
    pub scope: Scope,
    /// How data is transferred, if the user chose.
    pub transfer_mode: Option<TransferMode>,
    /// How long the old data is kept after the upgrade, if the user chose.
    pub keep_old_data: Option<Duration>,
    /// What happens to indexes that the new image would sort differently.
    pub reindex: Reindex,
    /// What happens to rows that belong to another partition in the new order.
    pub repartition: Repartition,
    /// What happens to the rights of roles with `CREATEROLE`.
    pub createrole_grants: CreateroleGrants,
    /// Time limit of one step, at least a second; no limit if absent.
    pub timeout: Option<Duration>,
    /// How often a failed step is retried.
    pub max_retries: u32,
}

impl RequestOptions {
    /// The options of a request that is to be admitted: the first invalid one denies it.
    pub fn parse(request: &PostgresOpsRequest) -> Result<Self, Denial> {
        Ok(Self {
            timeout: timeout(request)?,
            max_retries: max_retries(request)?,
            transfer_mode: transfer_mode(request)?,
            keep_old_data: keep_old_data(request)?,
            reindex: reindex(request)?,
            repartition: repartition(request)?,
            createrole_grants: createrole_grants(request)?,
            base_os: base_os(request)?,
            scope: requested_scope(request)?,
        })
    }

    /// The options of a request that was admitted earlier: an annotation that has become invalid since must
    /// not keep an upgrade from completing, so it counts as absent.
    #[must_use]
    pub fn parse_lenient(request: &PostgresOpsRequest) -> Self {
        Self {
            timeout: timeout(request).unwrap_or_default(),
            max_retries: max_retries(request).unwrap_or_default(),
            transfer_mode: transfer_mode(request).unwrap_or_default(),
            keep_old_data: keep_old_data(request).unwrap_or_default(),
            reindex: reindex(request).unwrap_or_default(),
            repartition: repartition(request).unwrap_or_default(),
            createrole_grants: createrole_grants(request).unwrap_or_default(),
            base_os: base_os(request).unwrap_or(BaseOsChange::Refused),
            scope: request.scope(),
        }
    }
}

fn annotation<'a>(request: &'a PostgresOpsRequest, name: &str) -> Option<&'a str> {
    request.metadata.annotations.as_ref()?.get(name).map(String::as_str)
}

fn timeout(request: &PostgresOpsRequest) -> Result<Option<Duration>, Denial> {
    let Some(text) = request.spec.timeout.as_deref() else { return Ok(None) };
    match parse_go_duration(text) {
        Ok(timeout) if timeout >= Duration::from_secs(1) => Ok(Some(timeout)),
        Ok(_) => Err(messages::short_timeout(text)),
        Err(error) => Err(messages::invalid_timeout(&error)),
    }
}

fn max_retries(request: &PostgresOpsRequest) -> Result<u32, Denial> {
    let retries = request.spec.max_retries;
    u32::try_from(retries).map_err(|_| messages::negative_retries(retries))
}

fn transfer_mode(request: &PostgresOpsRequest) -> Result<Option<TransferMode>, Denial> {
    annotation(request, ANNOTATION_TRANSFER_MODE)
        .map(|text| TransferMode::parse(text).ok_or_else(|| messages::unknown_transfer_mode(text)))
        .transpose()
}

fn keep_old_data(request: &PostgresOpsRequest) -> Result<Option<Duration>, Denial> {
    annotation(request, ANNOTATION_KEEP_OLD_DATA)
        .map(|text| parse_go_duration(text).map_err(|error| messages::invalid_keep_old_data(&error)))
        .transpose()
}

fn reindex(request: &PostgresOpsRequest) -> Result<Reindex, Denial> {
    annotation(request, ANNOTATION_REINDEX).map_or(Ok(Reindex::default()), |text| {
        Reindex::parse(text).ok_or_else(|| messages::unknown_reindex(text))
    })
}

/// Rows can be moved only by indexes that are right: a unique index that misses rows would admit a duplicate.
fn repartition(request: &PostgresOpsRequest) -> Result<Repartition, Denial> {
    let Some(text) = annotation(request, ANNOTATION_REPARTITION) else { return Ok(Repartition::default()) };
    let repartition = Repartition::parse(text).ok_or_else(|| messages::unknown_repartition(text))?;
    match (repartition, annotation(request, ANNOTATION_REINDEX)) {
        (Repartition::Move, Some(reindex)) if Reindex::parse(reindex) != Some(Reindex::Affected) => {
            Err(messages::repartition_without_reindex(reindex))
        }
        _ => Ok(repartition),
    }
}

fn createrole_grants(request: &PostgresOpsRequest) -> Result<CreateroleGrants, Denial> {
    annotation(request, ANNOTATION_CREATEROLE_GRANTS).map_or(Ok(CreateroleGrants::default()), |text| {
        CreateroleGrants::parse(text).ok_or_else(|| messages::unknown_createrole_grants(text))
    })
}

fn base_os(request: &PostgresOpsRequest) -> Result<BaseOsChange, Denial> {
    match annotation(request, ANNOTATION_ALLOW_BASE_OS_CHANGE) {
        None | Some("false") => Ok(BaseOsChange::Refused),
        Some("true") => Ok(BaseOsChange::Accepted),
        Some(text) => Err(messages::unknown_base_os_change(text)),
    }
}

/// Whether the request's annotation requests the whole upgrade or a dry run.
pub fn requested_scope(request: &PostgresOpsRequest) -> Result<Scope, Denial> {
    match annotation(request, ANNOTATION_DRY_RUN) {
        None | Some("false") => Ok(Scope::Upgrade),
        Some("true") => Ok(Scope::DryRun),
        Some(text) => Err(messages::unknown_dry_run(text)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(annotations: &serde_json::Value) -> PostgresOpsRequest {
        serde_json::from_value(json!({
            "apiVersion": "ops.kubedb.com/v1alpha1",
            "kind": "PostgresOpsRequest",
            "metadata": { "name": "orders-17", "annotations": annotations },
            "spec": { "type": "UpdateVersion", "databaseRef": { "name": "orders" }, "timeout": "90s" },
        }))
        .unwrap()
    }

    #[test]
    fn valid_options_are_equal_in_both_modes() {
        let request = request(&json!({
            "pgops.dev/transfer-mode": "clone",
            "pgops.dev/keep-old-data": "72h",
            "pgops.dev/reindex": "affected",
            "pgops.dev/repartition": "move",
            "pgops.dev/createrole-grants": "carry",
            "pgops.dev/allow-base-os-change": "true",
        }));
        let options = RequestOptions::parse(&request).unwrap();
        assert_eq!(options, RequestOptions::parse_lenient(&request));
        assert_eq!(options.transfer_mode, Some(TransferMode::Clone));
        assert_eq!(options.keep_old_data, Some(Duration::from_hours(72)));
        assert_eq!((options.reindex, options.repartition), (Reindex::Affected, Repartition::Move));
        assert_eq!(options.createrole_grants, CreateroleGrants::Carry);
        assert_eq!(options.base_os, BaseOsChange::Accepted);
        assert_eq!(options.timeout, Some(Duration::from_secs(90)));
    }

    #[test]
    fn invalid_options_are_denied_first_and_ignored_later() {
        let request = request(&json!({ "pgops.dev/transfer-mode": "swap", "pgops.dev/reindex": "all" }));
        assert!(RequestOptions::parse(&request).unwrap_err().message.contains("transfer-mode"));
        let options = RequestOptions::parse_lenient(&request);
        assert_eq!((options.transfer_mode, options.reindex), (None, Reindex::Affected));
    }

    #[test]
    fn rows_are_moved_only_with_rebuilt_indexes() {
        let both =
            |reindex| request(&json!({ "pgops.dev/repartition": "move", "pgops.dev/reindex": reindex }));
        assert_eq!(RequestOptions::parse(&both("affected")).unwrap().repartition, Repartition::Move);
        for reindex in ["report", "none"] {
            let denial = RequestOptions::parse(&both(reindex)).unwrap_err();
            assert!(denial.message.contains("requires rebuilt indexes"), "{denial}");
            assert_eq!(RequestOptions::parse_lenient(&both(reindex)).repartition, Repartition::Report);
        }
    }
}
