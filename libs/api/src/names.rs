//! Names of labels, annotations, child objects and containers: the words that the rooms share.

/// Prefix of everything that is ours alone.
pub const PREFIX: &str = "pgops.dev";

/// Finalizer on a `Postgres`, the one that `KubeDB` uses.
pub const POSTGRES_FINALIZER: &str = "kubedb.com";
/// Finalizer on a `PostgresOpsRequest` whose Job was made: the Job must not vanish half way.
pub const REQUEST_FINALIZER: &str = "pgops.dev/runner";

/// Label with the API's plural name, on every child of a `Postgres`.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Value of [`LABEL_NAME`].
pub const LABEL_NAME_VALUE: &str = "postgreses.kubedb.com";
/// Label with the name of the `Postgres`, on every child.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// Label with who manages the child.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`LABEL_MANAGED_BY`].
pub const LABEL_MANAGED_BY_VALUE: &str = "kubedb.com";
/// Label of a pod that says whether it is the primary or a standby.
pub const LABEL_ROLE: &str = "kubedb.com/role";
/// [`LABEL_ROLE`] of the pod that takes writes.
pub const ROLE_PRIMARY: &str = "primary";
/// [`LABEL_ROLE`] of a pod that replays.
pub const ROLE_STANDBY: &str = "standby";
/// Label with the request's name, on the Job, its pods and its service account.
pub const LABEL_REQUEST: &str = "pgops.dev/request";
/// Label with the database's name, see [`label`], on the Job and its pods.
pub const LABEL_DATABASE: &str = "pgops.dev/database";

/// Annotation of a request: `copy`, `copy-file-range`, `clone` or `link`.
pub const ANNOTATION_TRANSFER_MODE: &str = "pgops.dev/transfer-mode";
/// Annotation of a request: how long the old data is kept after the upgrade, such as `24h`.
pub const ANNOTATION_KEEP_OLD_DATA: &str = "pgops.dev/keep-old-data";
/// Annotation of a request: with `true` it stops, and what it did is taken back, as long as there is a way back.
pub const ANNOTATION_CANCEL: &str = "pgops.dev/cancel";
/// Annotation of a request that has failed while its database is paused by it: with `true` it goes on where its
/// journal ends. It is taken off when it was heard.
pub const ANNOTATION_RESUME: &str = "pgops.dev/carry-on";
/// Annotation of a request: `affected`, `report` or `none`.
pub const ANNOTATION_REINDEX: &str = "pgops.dev/reindex";
/// Annotation of a request: with `true` the base system may change between systems of the GNU C library.
pub const ANNOTATION_ALLOW_BASE_OS_CHANGE: &str = "pgops.dev/allow-base-os-change";
/// Annotation of a request: with `true` nothing but the preflight runs, and nothing is changed. It counts as it
/// is when the request is taken up, see [`crate::opsrequest::CONDITION_DRY_RUN`].
pub const ANNOTATION_DRY_RUN: &str = "pgops.dev/dry-run";
/// Annotation of a `Postgres`, written once the first server answered: it is never initialised again.
pub const ANNOTATION_INITIALIZED: &str = "pgops.dev/initialized";
/// Annotation of a `Postgres`: `"true"` lets its version be set by hand, and lets it be deleted while it is
/// being upgraded.
pub const ANNOTATION_OVERRIDE: &str = "pgops.dev/override-guards";

/// Annotation of a `Postgres`, as JSON: the request that upgrades it, and the one Job that may work.
pub const ANNOTATION_CLAIM: &str = "pgops.dev/claim";

/// Container of the server in a database pod.
pub const CONTAINER_POSTGRES: &str = "postgres";
/// Volume claim template of a database: claims are `data-<db>-<n>`.
pub const VOLUME_DATA: &str = "data";
/// Port of the server.
pub const POSTGRES_PORT: u16 = 5432;
/// Port on which the instance answers `/ready` and `/live`.
pub const INSTANCE_PORT: u16 = 8008;
/// Key of the user's settings in `spec.configSecret`.
pub const USER_CONF: &str = "user.conf";

/// Headless service that gives each pod its DNS name.
#[must_use]
pub fn pods_service(database: &str) -> String {
    format!("{database}-pods")
}

/// Service that reaches the standbys.
#[must_use]
pub fn standby_service(database: &str) -> String {
    format!("{database}-standby")
}

/// Secret with the superuser's name and password, unless `spec.authSecret` names another.
#[must_use]
pub fn auth_secret(database: &str) -> String {
    format!("{database}-auth")
}

/// Pod number `ordinal` of a database.
#[must_use]
pub fn pod(database: &str, ordinal: u32) -> String {
    format!("{database}-{ordinal}")
}

/// Volume claim of pod number `ordinal` of a database.
#[must_use]
pub fn claim(database: &str, ordinal: u32) -> String {
    format!("{VOLUME_DATA}-{database}-{ordinal}")
}

/// The one Job of a request: its name is a function of the request, so two launchers cannot make two.
///
/// The uid keeps a request apart from an earlier one of the same name. The name fits a label (63).
#[must_use]
pub fn job(request: &str, uid: &str) -> String {
    let hash = uid.split('-').next().unwrap_or(uid);
    let mut stem: String = request.chars().take(63 - 1 - hash.len()).collect();
    while stem.ends_with(['-', '.']) {
        stem.pop();
    }
    format!("{}-{hash}", stem.replace('.', "-"))
}

/// Who the worker of a request is to the API server: the user name of its service account.
#[must_use]
pub fn worker_user(namespace: &str, request: &str, uid: &str) -> String {
    format!("system:serviceaccount:{namespace}:{}", job(request, uid))
}

/// A name as the value of a label, which holds no more than 63 characters.
#[must_use]
pub fn label(name: &str) -> &str {
    let end = name.floor_char_boundary(63);
    name[..end].trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

/// The value of [`LABEL_REQUEST`]: the request's name, or its Job's where that is too long.
#[must_use]
pub fn request_label(request: &str, uid: &str) -> String {
    if request.len() <= 63 { request.to_owned() } else { job(request, uid) }
}

/// `ConfigMap` with the report and the journal of a request.
#[must_use]
pub fn report(request: &str) -> String {
    let stem: String = request.chars().take(253 - "-report".len()).collect();
    format!("{stem}-report")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_after_its_request_and_fits_a_label() {
        let uid = "3f9c21aa-1111-2222-3333-444455556666";
        assert_eq!(job("orders-17", uid), "orders-17-3f9c21aa");
        assert_eq!(job("orders.v17", uid), "orders-v17-3f9c21aa");
        let long = "o".repeat(253);
        assert_eq!(job(&long, uid).len(), 63);
        assert_eq!(label("orders"), "orders");
        assert_eq!(label(&format!("{}-{long}", "d".repeat(62))), "d".repeat(62));
        let dashed = format!("{}-{}", "o".repeat(53), "x".repeat(20));
        assert!(!job(&dashed, uid).contains("--"));
    }
}
