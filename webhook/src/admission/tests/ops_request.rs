//! Reviews of `PostgresOpsRequest`s.

use super::*;
use insta::assert_snapshot;

#[tokio::test]
async fn upgrade_is_admitted_with_its_plan_as_warnings() {
    let warnings = Cluster::new().warnings(create(&opsrequest("17.11"))).await;
    assert_snapshot!(warnings.join("\n"), @"
    major upgrade 13.16 → 17.11 of demo/orders; it skips 14, 15 and 16: read the release notes of each
    demo/orders has no standby: reads and writes stop while pg_upgrade runs
    the image changes to registry.example/postgres:17.11: if its C library or ICU sorts text differently, indexes on text are rebuilt afterwards
    ");
    let minor = Cluster::new().warnings(create(&opsrequest("13.23"))).await;
    assert_snapshot!(minor.join("\n"), @"
    minor upgrade 13.16 → 13.23 of demo/orders: the data is unchanged, the server restarts
    demo/orders has no standby: reads and writes stop while the server restarts
    the image changes to registry.example/postgres:13.23: if its C library or ICU sorts text differently, indexes on text are rebuilt afterwards
    ");
}

#[tokio::test]
async fn kubectl_dry_run_gets_the_same_response() {
    let cluster = Cluster::new();
    let dry = with(create(&opsrequest("17.11")), "/dryRun", json!(true));
    assert_eq!(cluster.validate(dry).await, cluster.validate(create(&opsrequest("17.11"))).await);
}

#[tokio::test]
async fn target_outside_the_constraints_is_denied_with_a_path() {
    let text = Cluster::new().denial(create(&opsrequest("18.6"))).await;
    assert_snapshot!(text, @r#"
    403 Forbidden Constraints spec.updateVersion.targetVersion
    upgrade from version 13.16 to 18.6 is not supported: the constraints of 13.16 allow ">= 13.16, < 18". Allowed targets for demo/orders (13.16): 17.12, 17.11, 15.20, 13.23. In two upgrades: 13.16 → 17.12 → 18.6
    "#);
}

#[tokio::test]
async fn downgrade_is_denied() {
    let mut cluster = Cluster::new();
    cluster.databases = vec![with(database("orders"), "/spec/version", json!("17.11"))];
    assert_snapshot!(cluster.denial(create(&opsrequest("15.20"))).await, @"
    403 Forbidden Downgrade spec.updateVersion.targetVersion
    upgrade from version 17.11 to 15.20 is not supported: PostgreSQL cannot go back to an older major version (17 → 15); restore a backup taken on 15, or stay. Allowed targets for demo/orders (17.11): 18.6, 17.12
    ");
}

#[tokio::test]
async fn unknown_target_is_denied_with_suggestions() {
    assert_snapshot!(Cluster::new().denial(create(&opsrequest("17.1"))).await, @r#"
    403 Forbidden UnknownTarget spec.updateVersion.targetVersion
    upgrade from version 13.16 to 17.1 is not supported: there is no PostgresVersion "17.1"; did you mean 17.12 or 17.11? Allowed targets for demo/orders (13.16): 17.12, 17.11, 15.20, 13.23
    "#);
    assert_snapshot!(Cluster::new().denial(create(&opsrequest("broken"))).await, @r#"
    403 Forbidden UnknownTarget spec.updateVersion.targetVersion
    upgrade from version 13.16 to broken is not supported: PostgresVersion "broken" is ignored: "thirteen" is not a version: expected numbers such as "16.10"; correct its spec.version. Allowed targets for demo/orders (13.16): 17.12, 17.11, 15.20, 13.23
    "#);
}

#[tokio::test]
async fn other_base_system_and_distribution_are_denied() {
    assert_snapshot!(Cluster::new().denial(create(&opsrequest("17.12-alpine"))).await, @r#"
    403 Forbidden BaseOS spec.updateVersion.targetVersion
    upgrading between different base OS variants is not allowed: current version "13.16" uses baseOS "debian" but target version "17.12-alpine" uses baseOS "alpine": their C libraries (glibc and musl) sort text differently, so no index on text could be trusted; dump and restore into a new database instead. Allowed targets for demo/orders (13.16): 17.12, 17.11, 15.20, 13.23
    "#);
    assert_snapshot!(Cluster::new().denial(create(&opsrequest("15.20-gis"))).await, @r#"
    403 Forbidden Distribution spec.updateVersion.targetVersion
    upgrading between different distributions is not allowed: current version "13.16" uses distribution "Official" but target version "15.20-gis" uses distribution "PostGIS": choose a target of the same distribution, or dump and restore into a new database. Allowed targets for demo/orders (13.16): 17.12, 17.11, 15.20, 13.23
    "#);
}

#[tokio::test]
async fn database_of_an_unknown_version_is_denied() {
    let mut cluster = Cluster::new();
    cluster.databases = vec![with(database("orders"), "/spec/version", json!("12.4"))];
    assert_snapshot!(cluster.denial(create(&opsrequest("17.11"))).await, @r#"
    403 Forbidden UnknownSource spec.databaseRef.name
    upgrade from version 12.4 to 17.11 is not supported: the database's PostgresVersion "12.4" is not in the catalog, so its constraints are unknown; create that PostgresVersion, then try again
    "#);
}

#[tokio::test]
async fn unreadable_constraint_denies_the_upgrade() {
    let mut cluster = Cluster::new();
    cluster.versions[0]["spec"]["updateConstraints"]["allowlist"] = json!([">= 13", "seventeen"]);
    assert_snapshot!(cluster.denial(create(&opsrequest("17.11"))).await, @r#"
    403 Forbidden Constraints spec.updateVersion.targetVersion
    upgrade from version 13.16 to 17.11 is not supported: the allowlist of PostgresVersion "13.16" is invalid: "seventeen" is not a version constraint, see "seventeen": expected comparisons such as ">= 13.4, < 18"; correct its spec.updateConstraints.allowlist
    "#);
}

#[tokio::test]
async fn unknown_database_and_other_namespace_are_denied() {
    let elsewhere = with(opsrequest("17.11"), "/spec/databaseRef/name", json!("customers"));
    assert_snapshot!(Cluster::new().denial(create(&elsewhere)).await, @r#"
    403 Forbidden DatabaseNotFound spec.databaseRef.name
    spec.databaseRef demo/customers, is invalid or not found: there is no Postgres "customers" in namespace "demo"; create the request in its database's namespace (kubectl get pg -A lists all)
    "#);
    let mut cluster = Cluster::new();
    cluster.databases = vec![with(database("orders"), "/metadata/namespace", json!("other"))];
    assert!(cluster.denial(create(&opsrequest("17.11"))).await.contains("DatabaseNotFound"));
}

#[tokio::test]
async fn second_request_is_denied_and_names_the_first() {
    let mut cluster = Cluster::new();
    let mut first = with(opsrequest("15.20"), "/metadata/name", json!("orders-first"));
    first["status"] = json!({"phase": "Progressing"});
    cluster.requests = vec![first.clone()];
    assert_snapshot!(cluster.denial(create(&opsrequest("17.11"))).await, @"
    403 Forbidden RequestActive spec.databaseRef.name
    another request is active on demo/orders: PostgresOpsRequest orders-first (Progressing, to 15.20); wait until it ends (kubectl get pgops orders-first -n demo -w), or delete it if it has not started
    ");

    first["status"] = json!({"phase": "Successful"});
    let mut other = with(first.clone(), "/metadata/namespace", json!("other"));
    other["status"] = json!({"phase": "Progressing"});
    cluster.requests = vec![first, other];
    assert!(!cluster.warnings(create(&opsrequest("17.11"))).await.is_empty());
}

#[tokio::test]
async fn unsuitable_database_state_is_denied() {
    let denial = async |path: &str, value: Value| {
        let mut cluster = Cluster::new();
        cluster.databases = vec![with(database("orders"), path, value)];
        cluster.denial(create(&opsrequest("17.11"))).await
    };
    assert_snapshot!(denial("/status/phase", json!("NotReady")).await, @"
    403 Forbidden DatabaseNotReady spec.databaseRef.name
    demo/orders is NotReady, and a request with apply: IfReady starts only when it is Ready: wait for that (kubectl get pg orders -n demo -w), or set spec.apply: Always
    ");
    assert_snapshot!(denial("/spec/halted", json!(true)).await, @"
    403 Forbidden DatabaseHalted spec.databaseRef.name
    demo/orders is halted: set spec.halted: false, wait until it is Ready, then apply the request again
    ");
    assert_snapshot!(denial("/spec/storageType", json!("Ephemeral")).await, @"
    403 Forbidden EphemeralStorage spec.databaseRef.name
    demo/orders has storageType Ephemeral: its data is deleted with its pod, so there is nothing to upgrade; create a database of the target version instead
    ");
    assert_snapshot!(denial("/spec/replicas", json!(3)).await, @"
    403 Forbidden ReplicasUnsupported spec.databaseRef.name
    demo/orders has 3 replicas, and pgops upgrades only databases with one server: set spec.replicas: 1 first
    ");
    assert_snapshot!(denial("/metadata/deletionTimestamp", json!("2026-11-20T10:00:00Z")).await, @"
    403 Forbidden DatabaseDeleting spec.databaseRef.name
    demo/orders is being deleted and can no longer be upgraded; once it is deleted, create it again with the version you want
    ");
    let paused = json!([{"type": "Paused", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z", "message": "by hand, Ada"}]);
    assert_snapshot!(denial("/status/conditions", paused).await, @r#"
    403 Forbidden DatabasePaused spec.databaseRef.name
    demo/orders is paused ("by hand, Ada"): wait until the pause is lifted; if it is no longer needed, remove the condition Paused from the database's status
    "#);
}

#[tokio::test]
async fn invalid_field_is_denied_and_named_once() {
    let denial = async |object: Value| Cluster::new().denial(create(&object)).await;
    assert_snapshot!(denial(without(opsrequest("17.11"), "/spec/updateVersion")).await, @"
    422 Invalid MissingTarget spec.updateVersion.targetVersion
    `spec.updateVersion` nil not supported in UpdateVersion type: name the PostgresVersion to move to in spec.updateVersion.targetVersion
    ");
    assert_snapshot!(denial(with(opsrequest("17.11"), "/spec/timeout", json!("5 minutes"))).await, @r#"
    422 Invalid InvalidTimeout spec.timeout
    spec.timeout: "5 minutes" is not a duration: expected numbers with units, such as "5m" or "1h30m"
    "#);
    assert_snapshot!(denial(with(opsrequest("17.11"), "/spec/maxRetries", json!(-1))).await, @"
    422 Invalid InvalidRetries spec.maxRetries
    spec.maxRetries: -1 is negative: set 0 for a single attempt
    ");
    let mode = json!({"pgops.dev/transfer-mode": "move"});
    assert_snapshot!(denial(with(opsrequest("17.11"), "/metadata/annotations", mode)).await, @r#"
    422 Invalid InvalidTransferMode metadata.annotations[pgops.dev/transfer-mode]
    annotation pgops.dev/transfer-mode: "move" is not one of copy, copy-file-range, clone and link: omit it to let pgops choose
    "#);
    assert_snapshot!(denial(with(opsrequest("17.11"), "/spec/apply", json!("Soon"))).await, @"
    422 Invalid Unreadable spec
    failed to read the PostgresOpsRequest: spec.apply: unknown variant `Soon`, expected `IfReady` or `Always`
    ");

    let bad = with(opsrequest("17.11"), "/spec/maxRetries", json!(-1));
    let response = Cluster::new().validate(create(&bad)).await;
    assert_eq!(
        response["status"]["details"]["causes"][0]["message"],
        "-1 is negative: set 0 for a single attempt"
    );
    assert_eq!(response["status"]["details"]["kind"], "PostgresOpsRequest");
    assert_eq!(response["status"]["details"]["name"], "orders-up");
}

#[tokio::test]
async fn other_request_types_pass_with_a_warning() {
    let other = with(opsrequest("x"), "/spec/type", json!("HorizontalScaling"));
    assert_snapshot!(Cluster::new().warnings(create(&other)).await.join("\n"), @"pgops executes requests of type UpdateVersion, Restart, VerticalScaling, VolumeExpansion, Reconfigure and RotateAuth; it ignores this one of type HorizontalScaling");
    let newer = with(opsrequest("x"), "/spec/type", json!("Teleport"));
    assert!(Cluster::new().warnings(create(&newer)).await[0].ends_with("Teleport"));
}

/// A request of another operation on demo/orders.
fn day_two(spec: Value) -> Value {
    let mut all = spec;
    all["databaseRef"] = json!({"name": "orders"});
    with(opsrequest("x"), "/spec", all)
}

#[tokio::test]
async fn restart_is_admitted_with_what_it_does() {
    let restart =
        day_two(json!({"type": "Restart", "restart": {}, "updateVersion": {"targetVersion": "17.11"}}));
    assert_snapshot!(Cluster::new().warnings(create(&restart)).await.join("\n"), @"
    demo/orders has no standby: reads and writes stop while its pod is replaced
    spec.updateVersion has no effect on a request of type Restart
    ");
    let changed = with(restart.clone(), "/spec/timeout", json!("1m"));
    let denial = Cluster::new().denial(review("UPDATE", Some(&changed), Some(&restart))).await;
    assert!(denial.contains("Immutable"), "{denial}");
}

#[tokio::test]
async fn requests_of_all_types_that_are_executed_exclude_each_other() {
    let mut cluster = Cluster::new();
    let restart = with(day_two(json!({"type": "Restart"})), "/metadata/name", json!("first"));
    cluster.requests = vec![with(restart.clone(), "/status", json!({"phase": "Progressing"}))];
    assert_snapshot!(cluster.denial(create(&opsrequest("17.11"))).await, @"
    403 Forbidden RequestActive spec.databaseRef.name
    another request is active on demo/orders: PostgresOpsRequest first (Progressing); wait until it ends (kubectl get pgops first -n demo -w), or delete it if it has not started
    ");
    // It converts no data.
    let deletion = review("DELETE", None, Some(&database("orders")));
    assert!(cluster.warnings(deletion).await.is_empty());
    let newer = with(database("orders"), "/spec/version", json!("17.11"));
    let change = review("UPDATE", Some(&newer), Some(&database("orders")));
    assert!(cluster.denial(change).await.contains("VersionGuarded"));
    // No worker can belong to it, even if a user has made an account of that name.
    let account = pgops_api::names::worker_user("demo", "first", "uid-of-orders-up");
    let change =
        with(review("UPDATE", Some(&newer), Some(&database("orders"))), "/userInfo/username", json!(account));
    assert!(cluster.denial(change).await.contains("VersionGuarded"));
}

#[tokio::test]
async fn wrong_fields_of_an_operation_are_denied_as_those_of_a_postgres() {
    let resources = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}});
    let scaling =
        json!({"type": "VerticalScaling", "verticalScaling": {"postgres": {"resources": resources}}});
    assert_snapshot!(Cluster::new().denial(create(&day_two(scaling))).await, @r#"
    422 Invalid InvalidResources spec.verticalScaling.postgres.resources
    spec.verticalScaling.postgres.resources.requests.memory: "2Gi" is more than the limit "1Gi": lower the request or raise the limit
    "#);
    let settings = json!({"type": "Reconfigure", "configuration": {"applyConfig": {"user.conf": "hba_file = '/tmp/x'"}}});
    assert_snapshot!(Cluster::new().denial(create(&day_two(settings))).await, @"
    422 Invalid InvalidConfiguration spec.configuration.applyConfig
    spec.configuration.applyConfig: line 1 sets hba_file, which pgops sets itself: remove it
    ");
}

/// The caches lack the size and the Secret of a database: the API server has them.
#[tokio::test]
async fn request_is_decided_with_the_whole_database() {
    let api_server = FakeApiServer::new("demo");
    let cluster = Cluster { api_server: Some(api_server.clone()), ..Cluster::new() };
    let expansion =
        |size: &str| day_two(json!({"type": "VolumeExpansion", "volumeExpansion": {"postgres": size}}));
    assert!(
        !cluster.warnings(create(&expansion("1Gi"))).await.is_empty(),
        "the API server knows no such database"
    );
    let named = with(database("orders"), "/spec/authSecret", json!({"name": "mine"}));
    api_server.put(&serde_json::from_value::<pgops_api::Postgres>(named).unwrap());
    assert_snapshot!(cluster.denial(create(&expansion("1Gi"))).await, @"
    403 Forbidden StorageNotLarger spec.volumeExpansion.postgres
    the volume of demo/orders has 1Gi, and 1Gi is not larger: a volume can only grow, so set more than 1Gi
    ");
    assert!(!cluster.warnings(create(&expansion("2Gi"))).await.is_empty());
    let rotation = day_two(json!({"type": "RotateAuth"}));
    assert_snapshot!(cluster.denial(create(&rotation)).await, @"
    403 Forbidden AuthSecretNamed spec.databaseRef.name
    demo/orders has its password in Secret mine, which spec.authSecret names and pgops never changes: set the new password in the server (ALTER ROLE … PASSWORD) and in that Secret
    ");
}

#[tokio::test]
async fn unchanged_spec_is_never_blocked() {
    let mut cluster = Cluster::new();
    cluster.databases.clear();
    let old = opsrequest("17.11");
    let finalized = with(old.clone(), "/metadata/finalizers", json!([]));
    let phase = with(old.clone(), "/status", json!({"phase": "Failed"}));
    let defaulted = with(with(old.clone(), "/spec/apply", json!("IfReady")), "/spec/maxRetries", json!(1));
    for new in [&finalized, &phase, &defaulted] {
        assert!(cluster.warnings(review("UPDATE", Some(new), Some(&old))).await.is_empty());
    }
    let status = with(review("UPDATE", Some(&phase), Some(&old)), "/subResource", json!("status"));
    assert!(cluster.warnings(status).await.is_empty());
    assert!(cluster.warnings(review("DELETE", None, Some(&old))).await.is_empty());
}

#[tokio::test]
async fn spec_of_a_stored_request_is_immutable() {
    let old = opsrequest("17.11");
    let new = opsrequest("17.12");
    assert_snapshot!(Cluster::new().denial(review("UPDATE", Some(&new), Some(&old))).await, @"
    422 Invalid Immutable spec
    spec is immutable: create a new PostgresOpsRequest instead
    ");
    let leaving = with(new, "/metadata/deletionTimestamp", json!("2026-11-20T10:00:00Z"));
    assert!(Cluster::new().warnings(review("UPDATE", Some(&leaving), Some(&old))).await.is_empty());
    let scaling = with(opsrequest("x"), "/spec/type", json!("HorizontalScaling"));
    let scaled = with(scaling.clone(), "/spec/timeout", json!("1m"));
    assert!(Cluster::new().warnings(review("UPDATE", Some(&scaled), Some(&scaling))).await.is_empty());
    assert!(Cluster::new().denial(review("UPDATE", Some(&scaling), Some(&old))).await.contains("Immutable"));
}

/// The request in the deprecated form.
fn deprecated(target: &str) -> Value {
    let spec =
        json!({"type": "Upgrade", "databaseRef": {"name": "orders"}, "upgrade": {"targetVersion": target}});
    with(opsrequest(target), "/spec", spec)
}

#[tokio::test]
async fn deprecated_form_is_decided_if_not_converted() {
    let cluster = Cluster::new();
    let warnings = cluster.warnings(create(&deprecated("17.11"))).await;
    assert_eq!(warnings[1..], cluster.warnings(create(&opsrequest("17.11"))).await);
    assert_snapshot!(warnings[0], @"type Upgrade with upgrade.targetVersion is deprecated and treated as type UpdateVersion with updateVersion.targetVersion: update the manifest");
    assert!(cluster.denial(create(&deprecated("18.6"))).await.contains("403 Forbidden Constraints"));
    assert!(
        cluster.denial(create(&without(deprecated("18.6"), "/spec/upgrade"))).await.contains("MissingTarget")
    );
    let changed = review("UPDATE", Some(&deprecated("17.12")), Some(&deprecated("17.11")));
    assert!(cluster.denial(changed).await.contains("Immutable"));

    let mut busy = Cluster::new();
    busy.requests = vec![with(deprecated("15.20"), "/metadata/name", json!("first"))];
    let text = busy.denial(create(&opsrequest("17.11"))).await;
    assert!(text.contains("PostgresOpsRequest first (Pending, to 15.20)"), "{text}");
}

#[tokio::test]
async fn two_different_targets_are_denied() {
    let both = with(opsrequest("17.11"), "/spec/upgrade", json!({"targetVersion": "15.20"}));
    assert_snapshot!(Cluster::new().denial(create(&both)).await, @"
    422 Invalid TwoTargets spec.upgrade
    spec.upgrade: this is a deprecated alias of spec.updateVersion, and the two name different targets: keep only spec.updateVersion
    ");
    let same = with(opsrequest("17.11"), "/spec/upgrade", json!({"targetVersion": "17.11"}));
    assert!(Cluster::new().warnings(create(&same)).await[0].contains("is deprecated"));
}

#[tokio::test]
async fn unchanged_deprecated_request_is_never_blocked() {
    let old = deprecated("17.11");
    let finalized = with(old.clone(), "/metadata/finalizers", json!([]));
    let update = review("UPDATE", Some(&finalized), Some(&old));
    assert!(Cluster::new().warnings(update.clone()).await.is_empty());
    // Converting it now would change its immutable spec.
    assert!(Cluster::new().review("/mutate", update).await.get("patch").is_none());
    assert!(Cluster::new().warnings(review("DELETE", None, Some(&old))).await.is_empty());
}
