//! From what was observed to what the worker is told.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use kube::ResourceExt;
use pgops_api::admission::{AdmittedUpgrade, RequestOptions};
use pgops_api::names::CONTAINER_POSTGRES;
use pgops_api::plan::{UpgradeKind, VersionRef};
use pgops_api::{Postgres, UpgradePlan, layout};

use super::worker::{Place, User, Worker};
use super::world::World;

/// Why no worker can be made.
#[derive(Debug, PartialEq)]
pub struct Refused {
    /// One `CamelCase` word.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// The worker of a request that was just admitted. The old image is the one that really runs.
pub fn first(world: &World, mut upgrade: AdmittedUpgrade) -> Result<Worker, Refused> {
    let (database, pod) = workload(world)?;
    if let Some(running) = server(pod).and_then(|container| container.image.clone()) {
        upgrade.from.image = running;
    }
    Ok(worker(world, database, pod, upgrade))
}

/// The worker of a request whose Job was deleted at work: the same plan, made again.
///
/// The matrix is not asked again, and the version that it starts from is the one that the status
/// names: the database may be anywhere in between.
pub fn again(world: &World) -> Result<Worker, Refused> {
    let (database, pod) = workload(world)?;
    let lost = |message: String| Refused { reason: "PlanLost", message };
    let side = |name: Option<&str>| {
        let name = name.unwrap_or_default();
        let entry = world.catalog.get(name).map(|entry| entry.version_ref.clone());
        entry.ok_or_else(|| {
            lost(format!(
                "the Job of this request cannot be made again: PostgresVersion \"{name}\" does not \
                 exist; create it again"
            ))
        })
    };
    let request = &world.request;
    let mut from = side(request.status.as_ref().and_then(|status| status.from.as_deref()))?;
    let to = side(request.target())?;
    let major =
        |side: &VersionRef| side.pg_version().map(|version| version.major).map_err(|it| lost(it.to_string()));
    // Once the workload has the new image, only the catalog knows the old one. The data directory tells which it has
    // where the catalog has got another reference of the new one since.
    let old = major(&from)?;
    let has_old_data = layout::pgdata_major(pod).is_none_or(|has| has == old);
    let image = server(pod).and_then(|server| server.image.as_ref());
    if let Some(running) = image.filter(|image| has_old_data && **image != to.image) {
        from.image.clone_from(running);
    }
    let kind = if major(&from)? == major(&to)? { UpgradeKind::Minor } else { UpgradeKind::Major };
    let options = RequestOptions::parse_lenient(request);
    let upgrade = AdmittedUpgrade {
        from,
        to,
        kind,
        scope: options.scope,
        transfer_mode: options.transfer_mode,
        keep_old_data: options.keep_old_data,
        reindex: options.reindex,
        timeout: options.timeout,
        max_retries: options.max_retries,
    };
    Ok(worker(world, database, pod, upgrade))
}

/// The database and the pods that it is made of.
fn workload(world: &World) -> Result<(&Postgres, &PodSpec), Refused> {
    let refused = |message| Refused { reason: "NotProvisioned", message };
    let place = world.place();
    let none = || format!("{place} was not provisioned by pgops: there is no StatefulSet {place}");
    let other = || {
        format!(
            "{place} was not provisioned by pgops: StatefulSet {place} has no container \"{CONTAINER_POSTGRES}\""
        )
    };
    let database = world.database.as_ref().ok_or_else(|| refused(none()))?;
    let workload = world.workload.as_ref().ok_or_else(|| refused(none()))?;
    let pod = workload.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let pod = pod.filter(|pod| server(pod).is_some()).ok_or_else(|| refused(other()))?;
    Ok((database, pod))
}

fn server(pod: &PodSpec) -> Option<&Container> {
    pod.containers.iter().find(|container| container.name == CONTAINER_POSTGRES)
}

fn worker(world: &World, database: &Postgres, pod: &PodSpec, upgrade: AdmittedUpgrade) -> Worker {
    let request = &world.request;
    let security = pod.security_context.clone().unwrap_or_default();
    let own = server(pod).and_then(|container| container.security_context.clone()).unwrap_or_default();
    let user = own.run_as_user.or(security.run_as_user);
    Worker {
        kind: upgrade.kind,
        plan: UpgradePlan {
            namespace: request.namespace().unwrap_or_default(),
            request: request.name_any(),
            request_uid: request.uid().unwrap_or_default(),
            database: request.spec.database_ref.name.clone(),
            from: upgrade.from,
            to: upgrade.to,
            // Not what the annotation says now.
            scope: request.scope(),
            transfer_mode: upgrade.transfer_mode,
            keep_old_data_seconds: upgrade.keep_old_data.map(|time| time.as_secs()),
            reindex: upgrade.reindex,
            // Part of a second would be lost: none may be none.
            timeout_seconds: upgrade.timeout.map(|timeout| timeout.as_secs().max(1)),
            max_retries: upgrade.max_retries,
        },
        replicas: u32::try_from(database.replicas()).unwrap_or(1),
        auth_secret: database.auth_secret(),
        config_secret: database
            .spec
            .config_secret
            .as_ref()
            .map(|it| it.name.clone())
            .filter(|it| !it.is_empty()),
        client_auth_mode: database.spec.client_auth_mode,
        user: User {
            id: user.unwrap_or(pgops_api::postgresversion::DEFAULT_RUN_AS_USER),
            group: own.run_as_group.or(security.run_as_group),
            fs_group: security.fs_group,
            supplemental_groups: security.supplemental_groups,
            se_linux: own.se_linux_options.or(security.se_linux_options),
        },
        place: Place {
            node: world.node.clone(),
            node_selector: pod.node_selector.clone(),
            tolerations: pod.tolerations.clone(),
            image_pull_secrets: pod.image_pull_secrets.clone(),
            priority_class: pod.priority_class_name.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::fixtures::{parse, world};
    use rstest::rstest;
    use serde_json::json;

    // The catalog says postgres:13.16 and postgres:17.11.
    #[rstest]
    #[case::old_as_it_was_patched(
        "registry/13.16-patched",
        Some("/var/pv/13/data"),
        "registry/13.16-patched"
    )]
    #[case::new("postgres:17.11", Some("/var/pv/17/data"), "postgres:13.16")]
    #[case::new_by_a_reference_that_was_mended_since("lost/17.11", Some("/var/pv/17/data"), "postgres:13.16")]
    #[case::of_no_known_data_directory("registry/13.16-patched", None, "registry/13.16-patched")]
    fn the_old_image_is_the_one_that_had_the_old_data(
        #[case] runs: &str,
        #[case] pgdata: Option<&str>,
        #[case] old: &str,
    ) {
        let mut world = world();
        let pod = world.workload.as_mut().unwrap().spec.as_mut().unwrap().template.spec.as_mut().unwrap();
        let env = pgdata.map(|value| json!({ "name": "PGDATA", "value": value }));
        pod.containers = vec![parse(json!({
            "name": "postgres", "image": runs, "env": env.into_iter().collect::<Vec<_>>(),
        }))];
        let plan = again(&world).unwrap().plan;
        assert_eq!((plan.from.image.as_str(), plan.to.image.as_str()), (old, "postgres:17.11"));
    }
}
