//! Has a pod check the settings of a Secret that the spec newly names, and removes that pod when it is not needed any more. All
//! that is known is in the pod itself, so that the provisioner may be stopped at any time.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DeleteParams, PostParams, Preconditions};
use kube::{Api, ResourceExt};
use pgops_api::{Owner, Postgres, condition, layout, names};
use pgops_kube::ApiError;

use crate::apply::MANAGER;
use crate::check_state::{CheckState, check_state};
use crate::children::check_pod;
use crate::condition_types::{CONDITION_SETTINGS_REJECTED, REASONS_OF_CHECK};
use crate::context::Context;
use crate::design::Design;
use crate::observe;
use crate::settings_check::{SettingsCheck, Situation, Subject};

/// Chooses the Secret with settings that the next pod mounts, and says what is known of the one that the spec names.
pub async fn choose(
    context: &Context,
    database: &Postgres,
    design: &mut Design,
    workload: Option<&StatefulSet>,
) -> Result<SettingsCheck, ApiError> {
    let Some(workload) = workload else { return Ok(SettingsCheck::NotNeeded) };
    let wanted = database.settings_secret();
    let template = workload.spec.as_ref().and_then(|spec| mounted(spec.template.spec.as_ref()));
    if wanted.is_none() && template.is_none() && !has_reported(database) {
        return Ok(SettingsCheck::NotNeeded);
    }
    let pod = observe::pod(context, database, workload).await?;
    let in_use = pod.as_ref().map_or(template, |pod| mounted(pod.spec.as_ref()));
    let situation = Situation { wanted, template, in_use, subject: subject(database) };
    let check = if let Some(secret) = situation.unchecked() {
        situation.report(check(context, database, design, secret).await?)
    } else {
        remove(context, database).await?;
        SettingsCheck::NotNeeded
    };
    design.settings_secret = situation.choose(&check).map(ToOwned::to_owned);
    Ok(check)
}

fn mounted(pod: Option<&PodSpec>) -> Option<&str> {
    layout::mounted_settings_secret(pod?)
}

/// Whether a check was reported, so that its pod may be left.
fn has_reported(database: &Postgres) -> bool {
    let found = condition::find(database.conditions(), CONDITION_SETTINGS_REJECTED);
    found.and_then(|found| found.reason.as_deref()).is_some_and(|reason| REASONS_OF_CHECK.contains(&reason))
}

fn subject(database: &Postgres) -> Subject {
    let is_unguarded = names::overrides_guards(database.metadata.annotations.as_ref());
    if database.was_initialized() && !is_unguarded { Subject::Initialized } else { Subject::Unguarded }
}

/// What the pod says that checks the Secret; creates it if there is none for it.
async fn check(
    context: &Context,
    database: &Postgres,
    design: &Design,
    secret: &str,
) -> Result<SettingsCheck, ApiError> {
    let wanted = check_pod(database, design, &context.images, secret);
    let Some(found) = read(context, database).await? else { return create(context, database, &wanted).await };
    if let Err(foreign) = Owner::of(database).require(&found) {
        return Ok(SettingsCheck::Blocked(foreign.to_string()));
    }
    let what = |pod: &Pod| pod.annotations().get(names::ANNOTATION_SETTINGS_CHECK).cloned();
    if what(&found) == what(&wanted) && found.metadata.deletion_timestamp.is_none() {
        // Once a container has started, its state says everything.
        let is_pending = found.status.as_ref().and_then(|it| it.phase.as_deref()) == Some("Pending");
        let events =
            if is_pending { observe::events(context, database, &found.metadata).await? } else { Vec::new() };
        if let CheckState::Known(check) = check_state(&found, &events, Timestamp::now()) {
            return Ok(check);
        }
    }
    match delete(context, database, &found).await {
        Ok(()) => create(context, database, &wanted).await,
        Err(error) if error.is_refused() => Ok(refused(&error)),
        Err(error) => Err(error),
    }
}

fn refused(error: &ApiError) -> SettingsCheck {
    SettingsCheck::Blocked(format!("{error}: the API server refuses it: {}", error.cause()))
}

async fn create(context: &Context, database: &Postgres, pod: &Pod) -> Result<SettingsCheck, ApiError> {
    let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    let created = pods(context, database).create(&params, pod).await;
    match created.map_err(ApiError::on::<Pod>("create", pod.name_any())) {
        Ok(_) => {
            let (namespace, name) = (database.namespace().unwrap_or_default(), database.name_any());
            tracing::info!(
                namespace,
                database = name,
                pod = pod.name_any(),
                "created a pod that checks settings"
            );
            Ok(SettingsCheck::Running)
        }
        Err(error) if error.is_already_exists() => Ok(SettingsCheck::Running),
        Err(error) if error.is_refused() => Ok(refused(&error)),
        Err(error) => Err(error),
    }
}

/// Removes the pod, unless it is another owner's.
async fn remove(context: &Context, database: &Postgres) -> Result<(), ApiError> {
    let Some(found) = read(context, database).await? else { return Ok(()) };
    if !Owner::of(database).owns(&found.metadata) || found.metadata.deletion_timestamp.is_some() {
        return Ok(());
    }
    match delete(context, database, &found).await {
        // It harms nothing, and is deleted with the database.
        Err(error) if error.is_refused() => {
            let (namespace, name) = (database.namespace().unwrap_or_default(), database.name_any());
            tracing::warn!(namespace, database = name, cause = error.cause(), "{error}");
            Ok(())
        }
        deleted => deleted,
    }
}

/// At once, whether its node answers or not: what runs in it changes nothing.
async fn delete(context: &Context, database: &Postgres, pod: &Pod) -> Result<(), ApiError> {
    let this = Preconditions { uid: pod.uid(), resource_version: None };
    let params =
        DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() }.preconditions(this);
    let name = pod.name_any();
    let deleted = pods(context, database).delete(&name, &params).await;
    match deleted.map_err(ApiError::on::<Pod>("delete", name)) {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

async fn read(context: &Context, database: &Postgres) -> Result<Option<Pod>, ApiError> {
    let name = names::settings_check(&database.name_any());
    let found = pods(context, database).get_opt(&name).await;
    found.map_err(ApiError::on::<Pod>("read", name))
}

fn pods(context: &Context, database: &Postgres) -> Api<Pod> {
    Api::namespaced(context.client.clone(), &database.namespace().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::ExistingData;
    use crate::design::design;
    use crate::fixtures::{self, built, version};
    use pgops_testing::fake_api_server::FakeApiServer;
    use serde_json::{Value, json};

    /// A database that runs without a Secret.
    struct Scene {
        server: FakeApiServer,
        workload: StatefulSet,
    }

    fn database(change: Value) -> Postgres {
        let mut database = fixtures::database(change);
        let annotation = (names::ANNOTATION_INITIALIZED.to_owned(), "2026-11-20T10:00:00Z".to_owned());
        database.metadata.annotations = Some([annotation].into());
        database
    }

    fn named(secret: &str) -> Postgres {
        database(json!({ "configSecret": { "name": secret } }))
    }

    impl Scene {
        fn new() -> Self {
            let mut workload = built(&database(json!({})), &version("13.16", "13.16", None)).workload;
            workload.metadata.uid = Some("w".to_owned());
            let server = FakeApiServer::new("demo");
            let owner =
                json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "orders", "uid": "w" });
            let pod: Pod = serde_json::from_value(json!({
                "metadata": { "name": "orders-0", "ownerReferences": [owner] },
                "spec": workload.spec.as_ref().unwrap().template.spec,
            }))
            .unwrap();
            server.put(&pod);
            Self { server, workload }
        }

        /// What is known, and the Secret that the next pod mounts.
        async fn choose(&self, database: &Postgres) -> (SettingsCheck, Option<String>) {
            let version = version("13.16", "13.16", None);
            let mut design = design(database, Some(&version), None, &ExistingData::default(), None).unwrap();
            let context = fixtures::context(&self.server);
            let check = choose(&context, database, &mut design, Some(&self.workload)).await.unwrap();
            (check, design.settings_secret)
        }

        fn pod(&self) -> Option<Pod> {
            self.server.get("orders-settings-check")
        }

        /// The pod of the database has this Secret.
        fn mount(&self, secret: &str) {
            self.server.change::<Pod>("orders-0", |it| {
                it["spec"]["volumes"] = json!([{ "name": "config", "secret": { "secretName": secret } }]);
            });
        }

        fn end(&self, code: i32, message: &str) {
            let ended =
                json!({ "exitCode": code, "message": message, "finishedAt": Timestamp::now().to_string() });
            let container = json!({
                "name": "check", "image": "pg", "imageID": "", "ready": false, "restartCount": 0,
                "state": { "terminated": ended },
            });
            self.server.change::<Pod>("orders-settings-check", |it| {
                it["status"] = json!({ "phase": "Running", "containerStatuses": [container] });
            });
        }
    }

    #[tokio::test]
    async fn secret_is_mounted_when_the_server_accepts_its_settings() {
        let scene = Scene::new();
        let new = named("new");
        assert_eq!(scene.choose(&new).await, (SettingsCheck::Running, None));
        assert_eq!(layout::mounted_settings_secret(&scene.pod().unwrap().spec.unwrap()), Some("new"));
        let before = scene.server.version();
        assert_eq!(scene.choose(&new).await, (SettingsCheck::Running, None));
        assert_eq!(scene.server.version(), before, "one pod is enough");
        scene.end(3, "no such value");
        assert_eq!(scene.choose(&new).await, (SettingsCheck::Rejected("no such value".to_owned()), None));
        scene.end(0, "");
        assert_eq!(scene.choose(&new).await, (SettingsCheck::Accepted, Some("new".to_owned())));
        // The pod of the database has been replaced.
        scene.mount("new");
        assert_eq!(scene.choose(&new).await, (SettingsCheck::NotNeeded, Some("new".to_owned())));
        assert_eq!(scene.pod(), None);
    }

    #[tokio::test]
    async fn another_secret_is_checked_by_another_pod() {
        let scene = Scene::new();
        scene.choose(&named("new")).await;
        scene.end(3, "no such value");
        assert_eq!(scene.choose(&named("newer")).await, (SettingsCheck::Running, None));
        assert_eq!(layout::mounted_settings_secret(&scene.pod().unwrap().spec.unwrap()), Some("newer"));
    }

    #[tokio::test]
    async fn pod_of_a_check_is_removed_with_the_name_in_the_spec() {
        let scene = Scene::new();
        scene.choose(&named("new")).await;
        let mut removed = database(json!({}));
        let reported = json!({ "conditions": [{
            "type": "SettingsRejected", "status": "False", "reason": "SettingsBeingChecked",
            "lastTransitionTime": "2026-11-20T10:00:00Z",
        }] });
        removed.status = serde_json::from_value(reported).unwrap();
        assert_eq!(scene.choose(&removed).await, (SettingsCheck::NotNeeded, None));
        assert_eq!(scene.pod(), None);
    }

    #[tokio::test]
    async fn refused_pod_is_told_and_tried_again() {
        let scene = Scene::new();
        scene.server.refuse_to_create::<Pod>(Some("exceeded quota: pods=1"));
        let (check, secret) = scene.choose(&named("new")).await;
        let SettingsCheck::Blocked(words) = check else { panic!("{check:?}") };
        assert!(words.contains("orders-settings-check") && words.contains("exceeded quota"), "{words}");
        assert_eq!(secret, None);
        scene.server.refuse_to_create::<Pod>(None);
        assert_eq!(scene.choose(&named("new")).await.0, SettingsCheck::Running);
    }

    #[tokio::test]
    async fn pod_of_another_owner_is_told_and_left_alone() {
        let scene = Scene::new();
        let metadata = json!({ "metadata": { "name": "orders-settings-check" } });
        scene.server.put(&serde_json::from_value::<Pod>(metadata).unwrap());
        let (check, _) = scene.choose(&named("new")).await;
        assert!(matches!(check, SettingsCheck::Blocked(_)), "{check:?}");
        scene.mount("new");
        assert_eq!(scene.choose(&named("new")).await.0, SettingsCheck::NotNeeded);
        assert!(scene.pod().is_some());
    }

    #[tokio::test]
    async fn nothing_is_checked_for_a_database_without_data_or_guards() {
        let scene = Scene::new();
        let new = fixtures::database(json!({ "configSecret": { "name": "new" } }));
        assert_eq!(scene.choose(&new).await, (SettingsCheck::NotNeeded, Some("new".to_owned())));
        let mut unguarded = named("new");
        unguarded.annotations_mut().insert(names::ANNOTATION_OVERRIDE.to_owned(), "true".to_owned());
        assert_eq!(scene.choose(&unguarded).await, (SettingsCheck::NotNeeded, Some("new".to_owned())));
        assert_eq!(scene.pod(), None);
    }
}
