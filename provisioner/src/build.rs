//! Builds the children of a `Postgres`.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, ResourceExt};
use pgops_api::{Owner, Postgres};
use pgops_kube::ApiError;

use crate::apply::{ApplyError, apply};
use crate::build_error::BuildError;
use crate::builds::{BuildState, Inputs};
use crate::catalog;
use crate::check_pod;
use crate::children::{Children, StandbyChildren, children};
use crate::claims::ExistingData;
use crate::context::Context;
use crate::design::design;
use crate::image::ImageChoice;
use crate::lost_children::all_exist;
use crate::rewritten_image::as_applied;
use crate::secret;
use crate::settings_check::SettingsCheck;
use crate::standby_secret;
use crate::volume_hold::ensure_halt_keeps_volume;

/// What was built.
pub struct Built {
    /// The workload as it then is.
    pub workload: StatefulSet,
    /// Its image, which need not be the catalog's.
    pub image: ImageChoice,
    /// What is known of the Secret with settings.
    pub settings: SettingsCheck,
}

/// Builds the children, unless they were just built from the same. The workload is written only in the version that was
/// read, and the database becomes the one with the record of its new Secret, if one was created.
pub async fn build(
    context: &Context,
    database: &mut Postgres,
    workload: Option<&StatefulSet>,
) -> Result<Built, ApplyError> {
    if let Some(workload) = workload {
        Owner::of(&*database).require(workload).map_err(BuildError::Taken)?;
        ensure_halt_keeps_volume(context, database, workload).await?;
    }
    let version = catalog::entry(context, &database.spec.version).await?;
    let client = &context.client;
    let data = if workload.is_some() && database.was_initialized() {
        ExistingData::default()
    } else {
        ExistingData::find(client, database).await?
    };
    let applied = match (&version, workload) {
        (Some(entry), Some(workload)) => Some(as_applied(client, database, entry, workload).await),
        _ => None,
    };
    let patroni = context.images.patroni.as_deref();
    let mut design = design(database, version.as_ref(), applied.as_ref(), &data, patroni)?;
    // Before the workload, whose claims record the Secret.
    secret::ensure(client, database, &data).await?;
    let database = &*database;
    if design.standbys.is_some() {
        standby_secret::ensure(client, database).await?;
    }
    let settings = Box::pin(check_pod::choose(context, database, &mut design, workload)).await?;
    let mut children = children(database, &design, &context.images);
    let inputs = |workload: &StatefulSet| Inputs::new(database, version.as_ref(), Some(workload), &design);
    if let Some(workload) = workload
        && is_current(context, database, &inputs(workload), &children).await?
    {
        return Ok(Built { workload: workload.clone(), image: design.image, settings });
    }
    children.workload.metadata.resource_version = workload.and_then(ResourceExt::resource_version);
    apply(client, database, &children.account).await?;
    apply(client, database, &children.role).await?;
    apply(client, database, &children.binding).await?;
    for service in &mut children.services {
        set_ip_families(context, service).await?;
        apply(client, database, service).await?;
    }
    apply(client, database, &children.budget).await?;
    apply(client, database, &children.settings).await?;
    if let Some(standbys) = &children.standbys {
        apply_standbys(client, database, standbys).await?;
    }
    let workload = apply(client, database, &children.workload).await?;
    context.builds.record(database, inputs(&workload));
    Ok(Built { workload, image: design.image, settings })
}

/// Before the workload, whose pods need all of them.
async fn apply_standbys(
    client: &Client,
    database: &Postgres,
    standbys: &StandbyChildren,
) -> Result<(), ApplyError> {
    let StandbyChildren { account, role, binding, config_maps } = standbys;
    apply(client, database, account).await?;
    apply(client, database, role).await?;
    apply(client, database, binding).await?;
    for config_map in config_maps {
        apply(client, database, config_map).await?;
    }
    Ok(())
}

/// Whether the children were built from the same not long ago, and none was deleted since.
async fn is_current(
    context: &Context,
    database: &Postgres,
    inputs: &Inputs,
    children: &Children,
) -> Result<bool, ApiError> {
    match context.builds.state(database, inputs) {
        BuildState::Outdated => Ok(false),
        BuildState::Current => Ok(true),
        BuildState::Unchecked => {
            let exist = all_exist(&context.client, database, children).await?;
            if exist {
                context.builds.record_check(database);
            }
            Ok(exist)
        }
    }
}

async fn set_ip_families(context: &Context, service: &mut Service) -> Result<(), ApiError> {
    let name = service.name_any();
    let mut existing = None;
    if context.ip_families.depend_on_existing() {
        let namespace = service.namespace().unwrap_or_default();
        let services: Api<Service> = Api::namespaced(context.client.clone(), &namespace);
        existing = services.get_opt(&name).await.map_err(ApiError::on::<Service>("read", name))?;
    }
    if let Some(spec) = &mut service.spec {
        context.ip_families.set(spec, existing.as_ref().and_then(|existing| existing.spec.as_ref()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{self, database, version};
    use k8s_openapi::NamespaceResourceScope;
    use k8s_openapi::api::core::v1::{ConfigMap, Secret};
    use k8s_openapi::api::rbac::v1::RoleBinding;
    use kube::Resource;
    use kube::api::DeleteParams;
    use pgops_testing::fake_api_server::FakeApiServer;
    use serde::de::DeserializeOwned;
    use serde_json::json;
    use std::fmt::Debug;
    use std::time::Duration;

    async fn delete<K>(server: &FakeApiServer, name: &str)
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let api: Api<K> = Api::default_namespaced(server.client());
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn deleted_child_is_created_again_within_a_minute() {
        let server = FakeApiServer::new("demo");
        server.put(&version("13.16", "13.16", None));
        server.put(&database(json!({})));
        let context = fixtures::context(&server);
        let mut database = server.get::<Postgres>("orders").unwrap();
        Box::pin(build(&context, &mut database, None)).await.unwrap();
        let mut build_a_minute_later = async || {
            tokio::time::advance(Duration::from_mins(1)).await;
            let workload = server.get::<StatefulSet>("orders").unwrap();
            Box::pin(build(&context, &mut database, Some(&workload))).await.unwrap();
        };

        delete::<Service>(&server, "orders").await;
        build_a_minute_later().await;
        assert!(server.get::<Service>("orders").is_some());
        delete::<ConfigMap>(&server, "orders-settings").await;
        build_a_minute_later().await;
        assert!(server.get::<ConfigMap>("orders-settings").is_some());
        delete::<RoleBinding>(&server, "orders").await;
        build_a_minute_later().await;
        assert!(server.get::<RoleBinding>("orders").is_some());

        let settled = server.version();
        build_a_minute_later().await;
        assert_eq!(server.version(), settled, "nothing is written while all of them exist");
    }

    #[tokio::test]
    async fn standbys_have_all_their_objects_before_their_workload() {
        let server = FakeApiServer::new("demo");
        server.put(&version("13.16", "13.16", None));
        server.put(&database(json!({ "replicas": 3 })));
        let mut context = fixtures::context(&server);
        context.images.patroni = Some("registry.example/patroni:1".to_owned());
        let mut database = server.get::<Postgres>("orders").unwrap();
        server.refuse_to_create::<StatefulSet>(Some("exceeded quota"));
        assert!(Box::pin(build(&context, &mut database, None)).await.is_err());
        for name in ["config", "leader", "sync", "failover"] {
            assert!(server.get::<ConfigMap>(&format!("orders-ha-13-{name}")).is_some(), "{name}");
        }
        assert!(server.get::<Secret>("orders-ha").is_some());
        assert!(server.get::<RoleBinding>("orders-ha").is_some());
    }

    /// Patroni writes its state into the same objects.
    #[tokio::test]
    async fn state_of_patroni_survives_another_build() {
        let server = FakeApiServer::new("demo");
        server.put(&version("13.16", "13.16", None));
        server.put(&database(json!({ "replicas": 3 })));
        let mut context = fixtures::context(&server);
        context.images.patroni = Some("registry.example/patroni:1".to_owned());
        let mut database = server.get::<Postgres>("orders").unwrap();
        Box::pin(build(&context, &mut database, None)).await.unwrap();
        server.change::<ConfigMap>("orders-ha-13-leader", |it| {
            it["metadata"]["annotations"] = json!({ "leader": "orders-1" });
        });
        context.builds.forget(&database);
        let workload = server.get::<StatefulSet>("orders").unwrap();
        Box::pin(build(&context, &mut database, Some(&workload))).await.unwrap();
        let leader = server.get::<ConfigMap>("orders-ha-13-leader").unwrap();
        assert_eq!(leader.annotations()["leader"], "orders-1");
    }
}
