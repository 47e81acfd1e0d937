//! Whether a database's volume claim has to become larger, and how far that is: one pure decision on the claim and its class.

use std::fmt;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::api::resource;
use kube::ResourceExt;
use pgops_api::Postgres;
use pgops_api::quantity::Quantity;

/// Reason: the API server refuses to change the claim.
const REFUSED: &str = "ExpansionRefused";

/// What becomes of a volume claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expansion {
    /// It is as large as requested.
    Done,
    /// Its request has to be raised to this size.
    Raise(String),
    /// Kubernetes expands it.
    InProgress(ExpansionState),
    /// It stays as large as it is until an operator does something.
    Blocked(ExpansionState),
}

/// How far the expansion is, or why it does not continue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExpansionState {
    /// Reason of a condition.
    pub reason: &'static str,
    claim: String,
    /// How claim and spec differ.
    difference: String,
    detail: String,
}

impl ExpansionState {
    fn smaller(reason: &'static str, claim: &PersistentVolumeClaim, requested: &str, detail: String) -> Self {
        let difference = format!("is smaller than spec.storage requests ({requested})");
        Self { reason, claim: claim.name_any(), difference, detail }
    }
}

impl fmt::Display for ExpansionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claim, difference, detail, .. } = self;
        write!(f, "volume claim {claim} {difference}: {detail}")
    }
}

/// The size that a database requests.
pub fn requested(database: &Postgres) -> Option<&str> {
    let requests = database.spec.storage.as_ref()?.resources.as_ref()?.requests.as_ref()?;
    requests.get("storage").map(|size| size.0.as_str())
}

/// Decides what becomes of a claim. Sizes that cannot be parsed are left for the API server to refuse.
pub fn decide(requested: &str, claim: &PersistentVolumeClaim, class: Option<&StorageClass>) -> Expansion {
    let Ok(size) = requested.parse::<Quantity>() else { return Expansion::Done };
    let status = claim.status.as_ref();
    let capacity = capacity(claim);
    if capacity.is_some_and(|capacity| capacity >= size) {
        return Expansion::Done;
    }
    let state = |reason, detail: String| ExpansionState::smaller(reason, claim, requested, detail);
    if parse(claim_request(claim)).is_some_and(|current| current >= size) {
        // A new claim is not smaller than requested, it has no volume yet.
        return if capacity.is_none() { Expansion::Done } else { progress(claim, state) };
    }
    if status.and_then(|status| status.phase.as_deref()) != Some("Bound") {
        return Expansion::InProgress(state("NotBound", "it is not bound to a volume yet".to_owned()));
    }
    let name = claim.spec.as_ref().and_then(|spec| spec.storage_class_name.as_deref()).unwrap_or_default();
    match class {
        Some(class) if class.allow_volume_expansion == Some(true) => Expansion::Raise(requested.to_owned()),
        Some(_) => Expansion::Blocked(state(
            "ExpansionNotAllowed",
            format!(
                "StorageClass {name} does not allow volume expansion: if its driver can expand volumes, set \
                 allowVolumeExpansion to true there; otherwise copy the data to a new database"
            ),
        )),
        None => Expansion::Blocked(state(
            "ExpansionNotAllowed",
            format!(
                "its StorageClass \"{name}\" does not exist, so the API server does not let it be expanded: create that \
                 class with allowVolumeExpansion, or copy the data to a new database"
            ),
        )),
    }
}

/// The size that the request of a claim is lowered to: its volume cannot become as large, and its database no longer requests
/// that. Without it the driver would try for ever. Kubernetes accepts only more than the volume has.
pub fn lowered(requested: &str, claim: &PersistentVolumeClaim) -> Option<String> {
    failure(claim)?;
    let (size, capacity) = (requested.parse::<Quantity>().ok()?, capacity(claim)?);
    let target =
        if size > capacity { requested.to_owned() } else { format!("{}Mi", capacity.next_mebibyte()) };
    (parse(claim_request(claim))? > target.parse::<Quantity>().ok()?).then_some(target)
}

/// The API server has refused to raise the request.
pub fn refused(requested: &str, claim: &PersistentVolumeClaim, cause: &str) -> Expansion {
    let detail = format!("the API server refuses the change: {cause}");
    Expansion::Blocked(ExpansionState::smaller(REFUSED, claim, requested, detail))
}

/// The API server has refused to lower the request.
pub fn lowering_refused(requested: &str, claim: &PersistentVolumeClaim, cause: &str) -> Expansion {
    let request = claim_request(claim).map_or("", |size| size.0.as_str());
    Expansion::Blocked(ExpansionState {
        reason: REFUSED,
        claim: claim.name_any(),
        difference: format!("still requests {request}, and spec.storage {requested}"),
        detail: format!("the API server refuses the change: {cause}"),
    })
}

/// What the volume's controllers report.
fn progress(
    claim: &PersistentVolumeClaim,
    state: impl Fn(&'static str, String) -> ExpansionState,
) -> Expansion {
    const ACTIVE: [&str; 2] = ["FileSystemResizePending", "Resizing"];
    if let Some(words) = failure(claim) {
        return Expansion::Blocked(state("ExpansionFailed", words));
    }
    let active = ACTIVE.into_iter().find_map(|type_| Some(state(type_, reported(claim, type_)?)));
    Expansion::InProgress(
        active.unwrap_or_else(|| state("Resizing", "it waits for the volume's driver".to_owned())),
    )
}

/// Why the volume does not become larger, if a controller reports that.
fn failure(claim: &PersistentVolumeClaim) -> Option<String> {
    const FAILED: [&str; 2] = ["ControllerResizeError", "NodeResizeError"];
    let resources = claim.status.as_ref().and_then(|status| status.allocated_resource_statuses.as_ref());
    let infeasible = resources.and_then(|all| all.get("storage")).filter(|text| text.ends_with("Infeasible"));
    FAILED
        .into_iter()
        .find_map(|type_| reported(claim, type_))
        .or_else(|| Some(format!("its driver reports {}", infeasible?)))
}

/// The message of a condition that is true.
fn reported(claim: &PersistentVolumeClaim, type_: &str) -> Option<String> {
    let mut conditions = claim.status.as_ref()?.conditions.iter().flatten();
    let found = conditions.find(|it| it.type_ == type_ && it.status == "True")?;
    let message = found.message.as_deref().filter(|text| !text.is_empty()).unwrap_or(type_);
    Some(pgops_api::bounded(message, 1024, ""))
}

/// The size of the volume.
fn capacity(claim: &PersistentVolumeClaim) -> Option<Quantity> {
    parse(claim.status.as_ref()?.capacity.as_ref()?.get("storage"))
}

/// The size that the claim requests.
fn claim_request(claim: &PersistentVolumeClaim) -> Option<&resource::Quantity> {
    claim.spec.as_ref()?.resources.as_ref()?.requests.as_ref()?.get("storage")
}

fn parse(size: Option<&resource::Quantity>) -> Option<Quantity> {
    size?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{Value, json};

    fn claim(requested: &str, capacity: Option<&str>, status: &Value) -> PersistentVolumeClaim {
        let mut claim = json!({
            "metadata": { "name": "data-orders-0" },
            "spec": { "storageClassName": "fast", "resources": { "requests": { "storage": requested } } },
            "status": status,
        });
        claim["status"]["phase"] = json!(if capacity.is_some() { "Bound" } else { "Pending" });
        if let Some(capacity) = capacity {
            claim["status"]["capacity"] = json!({ "storage": capacity });
        }
        serde_json::from_value(claim).unwrap()
    }

    fn class(allows: Option<bool>) -> StorageClass {
        serde_json::from_value(json!({ "provisioner": "p", "allowVolumeExpansion": allows })).unwrap()
    }

    fn state(expansion: Expansion) -> (&'static str, String) {
        match expansion {
            Expansion::InProgress(state) | Expansion::Blocked(state) => (state.reason, state.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[rstest]
    #[case::as_requested("1Gi", "1Gi", Some("1Gi"))]
    #[case::written_otherwise("1024Mi", "1Gi", Some("1Gi"))]
    #[case::larger_volume("2Gi", "1Gi", Some("10Gi"))]
    #[case::enlarged_by_hand("1Gi", "2Gi", Some("2Gi"))]
    #[case::new_claim("1Gi", "1Gi", None)]
    #[case::not_a_quantity("1GiB", "1Gi", Some("1Gi"))]
    fn claim_that_is_large_enough_is_left_alone(
        #[case] requested: &str,
        #[case] request: &str,
        #[case] capacity: Option<&str>,
    ) {
        let claim = claim(request, capacity, &json!({}));
        assert_eq!(decide(requested, &claim, Some(&class(Some(true)))), Expansion::Done);
    }

    #[test]
    fn claim_is_expanded_only_if_its_class_allows_it() {
        let claim = claim("1Gi", Some("1Gi"), &json!({}));
        let decide = |class: Option<StorageClass>| decide("2Gi", &claim, class.as_ref());
        assert_eq!(decide(Some(class(Some(true)))), Expansion::Raise("2Gi".to_owned()));
        for unsupported in [Some(class(Some(false))), Some(class(None)), None] {
            let (reason, message) = state(decide(unsupported));
            assert_eq!(reason, "ExpansionNotAllowed");
            assert!(
                message.contains("data-orders-0 is smaller than spec.storage requests (2Gi)"),
                "{message}"
            );
            assert!(message.contains("fast") && message.contains("new database"), "{message}");
        }
    }

    #[test]
    fn claim_without_a_volume_is_not_expanded_yet() {
        let (reason, _) = state(decide("2Gi", &claim("1Gi", None, &json!({})), Some(&class(Some(true)))));
        assert_eq!(reason, "NotBound");
    }

    #[rstest]
    #[case::just_requested(json!({}), "Resizing", "waits for the volume's driver", false)]
    #[case::resizing(condition("Resizing", ""), "Resizing", "Resizing", false)]
    #[case::file_system(
        condition(
            "FileSystemResizePending",
            "Waiting for user to (re-)start a pod to finish file system resize"
        ),
        "FileSystemResizePending",
        "(re-)start a pod",
        false
    )]
    #[case::failed(
        condition("ControllerResizeError", "quota of the project exceeded"),
        "ExpansionFailed",
        "quota of",
        true
    )]
    #[case::infeasible(
        json!({ "allocatedResourceStatuses": { "storage": "NodeResizeInfeasible" } }),
        "ExpansionFailed", "NodeResizeInfeasible", true
    )]
    fn expansion_is_reported_as_its_controllers_report_it(
        #[case] status: Value,
        #[case] reason: &str,
        #[case] detail: &str,
        #[case] is_blocked: bool,
    ) {
        let expansion = decide("2Gi", &claim("2Gi", Some("1Gi"), &status), None);
        assert_eq!(matches!(expansion, Expansion::Blocked(_)), is_blocked);
        let (found, message) = state(expansion);
        assert_eq!(found, reason);
        assert!(message.contains(detail), "{message}");
    }

    #[rstest]
    #[case::to_the_spec("2Gi", "100Ti", Some("2Gi"))]
    #[case::to_a_little_more_than_the_volume("1Gi", "100Ti", Some("1025Mi"))]
    #[case::lowered_already("1Gi", "1025Mi", None)]
    #[case::still_requested("100Ti", "100Ti", None)]
    fn request_is_lowered_if_its_expansion_failed_and_is_no_longer_requested(
        #[case] requested: &str,
        #[case] request: &str,
        #[case] expected: Option<&str>,
    ) {
        let failed = claim(request, Some("1Gi"), &condition("ControllerResizeError", "quota exceeded"));
        assert_eq!(lowered(requested, &failed).as_deref(), expected);
        let resizing = claim(request, Some("1Gi"), &condition("Resizing", ""));
        assert_eq!(lowered(requested, &resizing), None, "a user may have enlarged it by hand");
    }

    #[test]
    fn refusal_to_lower_a_request_names_both_sizes() {
        let claim = claim("100Ti", Some("1Gi"), &json!({}));
        let (reason, message) =
            state(lowering_refused("1Gi", &claim, "field can not be less than previous value"));
        assert_eq!(reason, "ExpansionRefused");
        assert!(
            message.starts_with("volume claim data-orders-0 still requests 100Ti, and spec.storage 1Gi: ")
        );
        assert!(message.ends_with("previous value"), "{message}");
    }

    fn condition(type_: &str, message: &str) -> Value {
        json!({ "conditions": [{ "type": type_, "status": "True", "message": message }] })
    }
}
