//! Names of labels, annotations, child objects and containers that the components share.

use std::collections::BTreeMap;

use crate::tls::CertificateAlias;

mod standbys;
pub use standbys::{
    CONTAINER_PATRONI, CONTAINER_PATRONI_PROXY, LABEL_HA, PATRONI_PORT, REPLICATION_PASSWORD,
    REPLICATION_USER, REWIND_PASSWORD, REWIND_USER, SECRET_TYPE_HA, ha, ha_config, ha_config_maps,
    ha_failover, ha_leader, ha_scope, ha_sync, pod_host,
};

/// Prefix of labels, annotations and finalizers that only pgops uses.
pub const PREFIX: &str = "pgops.dev";

/// Finalizer on a `Postgres`, the same as `KubeDB`'s.
pub const POSTGRES_FINALIZER: &str = "kubedb.com";
/// Finalizer on a `PostgresOpsRequest` that has a Job, so that the Job is not deleted during the upgrade.
pub const REQUEST_FINALIZER: &str = "pgops.dev/runner";
/// Finalizer on the Job of a request, so that it does not vanish before its result is recorded.
pub const JOB_FINALIZER: &str = "pgops.dev/result";

/// Label with the resource name of the API, on every child of a `Postgres`.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Value of [`LABEL_NAME`].
pub const LABEL_NAME_VALUE: &str = "postgreses.kubedb.com";
/// Label with the name of the `Postgres`, on every child.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// Label with the manager of the child.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`LABEL_MANAGED_BY`].
pub const LABEL_MANAGED_BY_VALUE: &str = "kubedb.com";
/// Label of a pod with its role, primary or standby.
pub const LABEL_ROLE: &str = "kubedb.com/role";
/// [`LABEL_ROLE`] of the pod that accepts writes.
pub const ROLE_PRIMARY: &str = "primary";
/// [`LABEL_ROLE`] of a pod that replays WAL.
pub const ROLE_STANDBY: &str = "standby";
/// Label with the request's name, on the Job, its pods and its service account.
pub const LABEL_REQUEST: &str = "pgops.dev/request";
/// Label with the database's name, see [`label`], on the Job and its pods.
pub const LABEL_DATABASE: &str = "pgops.dev/database";

/// Value of [`LABEL_NAME`] of a pod that checks settings: no selector of the database's own pods finds it.
pub const LABEL_NAME_SETTINGS_CHECK: &str = "settings-check.pgops.dev";
/// Likewise of a pod that the API server is only asked about, and never stores.
pub const LABEL_NAME_POD_CHECK: &str = "pod-check.pgops.dev";

/// Label of a `Postgres`: whether pgops manages it, see [`ManagedDatabases`](crate::ManagedDatabases).
pub const LABEL_MANAGED: &str = "pgops.dev/managed";

/// Annotation of a request: `copy`, `copy-file-range`, `clone` or `link`.
pub const ANNOTATION_TRANSFER_MODE: &str = "pgops.dev/transfer-mode";
/// Annotation of a request: how long the old data is kept after the upgrade, such as `24h`.
pub const ANNOTATION_KEEP_OLD_DATA: &str = "pgops.dev/keep-old-data";
/// Annotation of a request: with `true` it is cancelled and rolled back, unless it has passed the point of no
/// return.
pub const ANNOTATION_CANCEL: &str = "pgops.dev/cancel";
/// Annotation of a failed request whose database is still paused by it: with `true` it resumes from its
/// journal. It is removed when the request resumes.
pub const ANNOTATION_RESUME: &str = "pgops.dev/carry-on";
/// Annotation of a request: `affected`, `report` or `none`.
pub const ANNOTATION_REINDEX: &str = "pgops.dev/reindex";
/// Annotation of a request: `report` or `move`.
pub const ANNOTATION_REPARTITION: &str = "pgops.dev/repartition";
/// Annotation of a request: `report` or `carry`.
pub const ANNOTATION_CREATEROLE_GRANTS: &str = "pgops.dev/createrole-grants";
/// Annotation of a request: with `true` the base system may change between systems with the GNU C library.
pub const ANNOTATION_ALLOW_BASE_OS_CHANGE: &str = "pgops.dev/allow-base-os-change";
/// Annotation of a request: with `true` only the preflight runs, and nothing is changed. Its value when the
/// request starts is decisive, see [`crate::opsrequest::CONDITION_DRY_RUN`].
pub const ANNOTATION_DRY_RUN: &str = "pgops.dev/dry-run";
/// Annotation of a `Postgres`, set once the first server has answered: its volume is never initialised again.
pub const ANNOTATION_INITIALIZED: &str = "pgops.dev/initialized";
/// Annotation of a `Postgres`: with [`BY_REQUEST`] a changed `spec.version` is not refused. It stays unchanged until a
/// request has changed it, so that one commit of a GitOps tool may have both.
pub const ANNOTATION_VERSION_CHANGE: &str = "pgops.dev/version-change";
/// Value of [`ANNOTATION_VERSION_CHANGE`].
pub const BY_REQUEST: &str = "by-request";
/// Annotation that lifts the guards of the object that has it, if it is `true`, see [`overrides_guards`]. Of a
/// `Postgres`: its version may be set by hand, it may be deleted during an upgrade, it gets the catalog's image, and
/// another Secret with settings without a check. Of a `PostgresVersion`: it may be changed while it is in use. Of a
/// volume claim: it may be deleted although its database uses it. Of a request: it may delete the data of an ephemeral
/// database.
pub const ANNOTATION_OVERRIDE: &str = "pgops.dev/override-guards";

/// Annotation of a `Postgres` with its claim as JSON: the request that upgrades it, and its one Job.
pub const ANNOTATION_CLAIM: &str = "pgops.dev/claim";

/// Annotation of a `Postgres` while a request changes its spec: what the request has replaced, as JSON, so that it can be put
/// back.
pub const ANNOTATION_REPLACED: &str = "pgops.dev/replaced";

/// Annotation of a `Postgres` with settings that its server is to check before a request makes them.
pub const ANNOTATION_CANDIDATE: &str = "pgops.dev/candidate-settings";

/// Annotation of a `Postgres` with the size of the volume that a request has set: an earlier manifest does not take it away.
pub const ANNOTATION_EXPANDED_TO: &str = "pgops.dev/expanded-to";

/// Name of the worker's container that executes the plan.
pub const CONTAINER_RUNNER: &str = "runner";
/// Name of the worker's container that runs programs on the volume.
pub const CONTAINER_PROGRAMS: &str = "programs";
/// Name of the worker's container that rehearses the schema.
pub const CONTAINER_REHEARSAL: &str = "rehearsal";
/// Annotation of a volume claim with the uid of the `Postgres` whose StatefulSet created it: a claim without it is not
/// deleted with a database.
pub const ANNOTATION_DATABASE_UID: &str = "pgops.dev/database-uid";
/// Annotation of a volume claim with the uid of the Secret that was created for its database: the next database of that
/// name, which uses both, deletes this Secret with its data.
pub const ANNOTATION_AUTH_SECRET_UID: &str = "pgops.dev/auth-secret-uid";
/// Annotation of a volume claim with the user that owns the data: the next database of that name runs as this user.
pub const ANNOTATION_RUN_AS_USER: &str = "pgops.dev/run-as-user";
/// Annotation of a StatefulSet with the name of the `PostgresVersion` that [`ANNOTATION_IMAGE`] was chosen for.
pub const ANNOTATION_VERSION: &str = "pgops.dev/version";
/// Annotation of a StatefulSet with the image that the provisioner chose for [`ANNOTATION_VERSION`]: the catalog may name
/// another one since.
pub const ANNOTATION_IMAGE: &str = "pgops.dev/image";
/// Annotation of a StatefulSet with the time when the provisioner last had its controller try again to create a pod that
/// was refused.
pub const ANNOTATION_POD_RETRY: &str = "pgops.dev/pod-retry";
/// Annotation of a pod that checks settings, which identifies what it checks.
pub const ANNOTATION_SETTINGS_CHECK: &str = "pgops.dev/settings-check";
/// Beginning of the name of each worker's service account. The chart's admission policies recognize workers by it, so a
/// worker without it would be restricted by its Role alone.
pub const WORKER_PREFIX: &str = "pgops-worker-";

/// Container of the server in a database's pod.
pub const CONTAINER_POSTGRES: &str = "postgres";
/// Container of the pod that checks settings.
pub const CONTAINER_SETTINGS_CHECK: &str = "check";
/// Volume of a database's pod with the Secret that `spec.configSecret` names.
pub const VOLUME_CONFIG: &str = "config";
/// Volume claim template of a database: volume claims are `data-<db>-<n>`.
pub const VOLUME_DATA: &str = "data";
/// Port of the server.
pub const POSTGRES_PORT: u16 = 5432;
/// Port on which the instance answers `/ready`, `/live`, `/status` and `/metrics`.
pub const INSTANCE_PORT: u16 = 8008;
/// Key of the user's settings in `spec.configSecret`.
pub const USER_CONF: &str = "user.conf";

/// Key of the settings in [`settings`], and name of their file.
pub const INLINE_CONF: &str = "inline.conf";
/// Key of settings that the server is to check before they are used, and name of their file.
pub const CANDIDATE_CONF: &str = "candidate.conf";

/// Key of the superuser's password in its Secret.
pub const PASSWORD: &str = "password";
/// Key of the password that the server is to get.
pub const NEXT_PASSWORD: &str = "password.next";
/// Key that identifies the password under [`NEXT_PASSWORD`], without telling it.
pub const NEXT_PASSWORD_ID: &str = "password.next-id";
/// Key that identifies the password under [`NEXT_PASSWORD`] if the server is not to get it any more: the instance does not see
/// this key.
pub const WITHDRAWN_PASSWORD_ID: &str = "password.withdrawn-id";
/// Key of the password that the server had before the present one.
pub const PREVIOUS_PASSWORD: &str = "password.prev";

/// Headless service that gives each pod its DNS name.
#[must_use]
pub fn pods_service(database: &str) -> String {
    format!("{database}-pods")
}

/// Name by which clients of the whole cluster reach the primary of a database.
#[must_use]
pub fn service_host(database: &str, namespace: &str) -> String {
    format!("{database}.{namespace}.svc")
}

/// Service of the standbys.
#[must_use]
pub fn standby_service(database: &str) -> String {
    format!("{database}-standby")
}

/// Secret with the superuser's name and password, unless `spec.authSecret` names another.
#[must_use]
pub fn auth_secret(database: &str) -> String {
    format!("{database}-auth")
}

/// `ConfigMap` with the settings that are in the `Postgres` itself.
#[must_use]
pub fn settings(database: &str) -> String {
    format!("{database}-settings")
}

/// Pod that checks the settings in a Secret before the database gets it.
#[must_use]
pub fn settings_check(database: &str) -> String {
    format!("{database}-settings-check")
}

/// Pod that the API server is asked about, and never stores, before the database's own is deleted.
#[must_use]
pub fn pod_check(database: &str) -> String {
    format!("{database}-pod-check")
}

/// Secret with a certificate, unless `spec.tls` names another, and the Certificate of cert-manager that issues it.
#[must_use]
pub fn certificate(database: &str, alias: CertificateAlias) -> String {
    format!("{database}-{}-cert", alias.as_str())
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

/// Name of the database and ordinal of the pod that a volume claim of this name belongs to: the inverse of [`claim`].
#[must_use]
pub fn parse_claim(name: &str) -> Option<(&str, u32)> {
    let (database, ordinal) = name.strip_prefix(VOLUME_DATA)?.strip_prefix('-')?.rsplit_once('-')?;
    let ordinal = ordinal.parse().ok()?;
    // Not `data-orders-00`: the StatefulSet does not use it.
    (!database.is_empty() && claim(database, ordinal) == name).then_some((database, ordinal))
}

/// Whether these annotations lift the guards of admission on their object.
#[must_use]
pub fn overrides_guards(annotations: Option<&BTreeMap<String, String>>) -> bool {
    annotations.and_then(|all| all.get(ANNOTATION_OVERRIDE)).is_some_and(|value| value == "true")
}

/// Length of the part of a uid that is in names.
const MAX_HASH: usize = 16;

/// The one Job of a request: its name is a function of the request, so two launchers cannot create two.
///
/// The uid distinguishes a request from an earlier one of the same name. The name fits a label (63
/// characters).
#[must_use]
pub fn job(request: &str, uid: &str) -> String {
    // That of an API server has eight digits before the first dash; the fixed length keeps the rest from overflowing.
    let hash: String = uid.split('-').next().unwrap_or(uid).chars().take(MAX_HASH).collect();
    let mut stem: String = request.chars().take(63 - 1 - hash.len()).collect();
    while stem.ends_with(['-', '.']) {
        stem.pop();
    }
    format!("{}-{hash}", stem.replace('.', "-"))
}

/// Service account of a request's worker, and the Role and the `RoleBinding` with its rights.
#[must_use]
pub fn worker(request: &str, uid: &str) -> String {
    format!("{WORKER_PREFIX}{}", job(request, uid))
}

/// User name of a worker at the API server: that of its service account.
#[must_use]
pub fn worker_user(namespace: &str, request: &str, uid: &str) -> String {
    format!("system:serviceaccount:{namespace}:{}", worker(request, uid))
}

/// Whether a user of the API server has the name of a worker of this namespace.
#[must_use]
pub fn is_worker_user(namespace: &str, user: &str) -> bool {
    let account = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.strip_prefix(namespace));
    account.and_then(|rest| rest.strip_prefix(':')).is_some_and(|name| name.starts_with(WORKER_PREFIX))
}

/// A name as the value of a label, which has at most 63 characters.
#[must_use]
pub fn label(name: &str) -> &str {
    let end = name.floor_char_boundary(63);
    name[..end].trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

/// The value of [`LABEL_REQUEST`]: the request's name, or its Job's name if that is too long.
#[must_use]
pub fn request_label(request: &str, uid: &str) -> String {
    if request.len() <= 63 { request.to_owned() } else { job(request, uid) }
}

/// `ConfigMap` with the report and the journal of a request, unless another object has that name.
#[must_use]
pub fn report(request: &str) -> String {
    let stem: String = request.chars().take(253 - "-report".len()).collect();
    // A long name may be cut at a dot, after which no part of a name begins with a hyphen.
    format!("{}-report", stem.trim_end_matches(['-', '.']))
}

/// The same, if the name [`report`] is taken: no other object can have been created for this uid by chance.
#[must_use]
pub fn report_by_uid(request: &str, uid: &str) -> String {
    format!("{}-report", job(request, uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worker_is_recognized_by_its_user_name() {
        assert_eq!(
            worker_user("demo", "orders-17", "3f9c21aa-1111"),
            "system:serviceaccount:demo:pgops-worker-orders-17-3f9c21aa"
        );
        assert!(is_worker_user("demo", &worker_user("demo", "orders-17", "3f9c21aa-1111")));
        assert!(!is_worker_user("dem", &worker_user("demo", "orders-17", "3f9c21aa-1111")));
        assert!(!is_worker_user("demo", "system:serviceaccount:demo:default"));
    }

    #[test]
    fn job_name_follows_its_request_and_fits_a_label() {
        let uid = "3f9c21aa-1111-2222-3333-444455556666";
        assert_eq!(job("orders-17", uid), "orders-17-3f9c21aa");
        assert_eq!(job("orders.v17", uid), "orders-v17-3f9c21aa");
        let long = "o".repeat(253);
        assert_eq!(job(&long, uid).len(), 63);
        assert_eq!(label("orders"), "orders");
        assert_eq!(label(&format!("{}-{long}", "d".repeat(62))), "d".repeat(62));
        assert_eq!(report_by_uid("orders-17", uid), "orders-17-3f9c21aa-report");
        assert_eq!(report("orders-17"), "orders-17-report");
        assert_eq!(report(&long).len(), 253);
        assert_eq!(report(&format!("{}.{long}", "o".repeat(245))), format!("{}-report", "o".repeat(245)));
        let dashed = format!("{}-{}", "o".repeat(53), "x".repeat(20));
        assert!(!job(&dashed, uid).contains("--"));
    }
    #[test]
    fn claim_names_its_database_and_ordinal() {
        assert_eq!(parse_claim(&claim("orders", 0)), Some(("orders", 0)));
        assert_eq!(parse_claim("data-orders-copy-11"), Some(("orders-copy", 11)));
        for foreign in [
            "data-orders-",
            "data-orders-00",
            "data--0",
            "data-0",
            "backup-orders-0",
            "orders-0",
            "data-orders-+1",
        ] {
            assert_eq!(parse_claim(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn guards_are_overridden_only_by_the_value_true() {
        let annotated = |value: &str| BTreeMap::from([(ANNOTATION_OVERRIDE.to_owned(), value.to_owned())]);
        assert!(overrides_guards(Some(&annotated("true"))));
        assert!(!overrides_guards(Some(&annotated("false"))) && !overrides_guards(None));
    }
}
