use super::*;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::json;

fn secret(name: &str) -> Secret {
    let mut secret = Secret::default();
    secret.metadata.name = Some(name.to_owned());
    secret
}

fn secrets(server: &FakeApiServer) -> Api<Secret> {
    Api::default_namespaced(server.client())
}

fn code<T>(result: kube::Result<T>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        Err(error) => panic!("{error}"),
        Ok(_) => 200,
    }
}

#[tokio::test]
async fn write_conditioned_on_an_older_version_is_refused() {
    let server = FakeApiServer::new("demo");
    let secrets = secrets(&server);
    let first = secrets.create(&PostParams::default(), &secret("a")).await.unwrap();
    let label = |version: Option<&String>| {
        Patch::Merge(json!({ "metadata": { "resourceVersion": version, "labels": { "x": "y" } } }))
    };
    let observed = label(first.metadata.resource_version.as_ref());
    assert_eq!(code(secrets.patch("a", &PatchParams::default(), &observed).await), 200);
    assert_eq!(code(secrets.patch("a", &PatchParams::default(), &observed).await), 409);
    assert_eq!(code(secrets.replace("a", &PostParams::default(), &first).await), 409);
    assert_eq!(code(secrets.patch("a", &PatchParams::default(), &label(None)).await), 200);
    let observed = Preconditions { uid: None, resource_version: first.metadata.resource_version };
    assert_eq!(code(secrets.delete("a", &DeleteParams::default().preconditions(observed)).await), 409);
    assert_eq!(code(secrets.delete("a", &DeleteParams::default()).await), 200);
    assert_eq!(code(secrets.get("a").await), 404);
}

#[tokio::test]
async fn object_is_created_once() {
    let server = FakeApiServer::new("demo");
    let secrets = secrets(&server);
    assert_eq!(code(secrets.create(&PostParams::default(), &secret("a")).await), 200);
    assert_eq!(code(secrets.create(&PostParams::default(), &secret("a")).await), 409);
    assert_eq!(server.all::<Secret>().len(), 1);
    let elsewhere: Api<Secret> = Api::namespaced(server.client(), "other");
    assert_eq!(code(elsewhere.get("a").await), 404);
}

#[tokio::test]
async fn write_to_another_uid_is_refused() {
    let server = FakeApiServer::new("demo");
    let secrets = secrets(&server);
    let first = secrets.create(&PostParams::default(), &secret("a")).await.unwrap();
    let label = |uid: &str| Patch::Merge(json!({ "metadata": { "uid": uid, "labels": { "x": "y" } } }));
    assert_eq!(code(secrets.patch("a", &PatchParams::default(), &label("another")).await), 422);
    assert_eq!(
        code(secrets.patch("a", &PatchParams::default(), &label(&first.metadata.uid.unwrap())).await),
        200
    );
}

#[tokio::test]
async fn creation_is_refused_with_the_words_of_the_test() {
    let server = FakeApiServer::new("demo");
    server.refuse_to_create::<Secret>(Some("exceeded quota"));
    let refused = secrets(&server).create(&PostParams::default(), &secret("a")).await.unwrap_err();
    assert!(refused.to_string().contains("exceeded quota"), "{refused}");
    server.refuse_to_create::<Secret>(None);
    assert_eq!(code(secrets(&server).create(&PostParams::default(), &secret("a")).await), 200);
}

#[tokio::test]
async fn changes_and_deletions_of_existing_objects_are_refused_with_the_words_of_the_test() {
    let server = FakeApiServer::new("demo");
    server.put(&secret("a"));
    server.refuse_to_change::<Secret>(Some("denied by a policy"));
    server.refuse_to_delete::<Secret>(Some("held by a policy"));
    let secrets = secrets(&server);
    let nothing = Patch::Merge(json!({}));
    let dry_run = PatchParams { dry_run: true, ..PatchParams::default() };
    let refused = secrets.patch("a", &dry_run, &nothing).await.unwrap_err();
    assert!(refused.to_string().contains("denied by a policy"), "{refused}");
    assert_eq!(code(secrets.patch("b", &dry_run, &nothing).await), 404);
    let status = secrets.patch_status("a", &PatchParams::default(), &nothing).await;
    assert_eq!(code(status), 200, "a policy for objects leaves their status alone");
    let held = secrets.delete("a", &DeleteParams::default()).await.unwrap_err();
    assert!(held.to_string().contains("held by a policy"), "{held}");
    server.refuse_to_delete::<Secret>(None);
    assert_eq!(code(secrets.delete("a", &DeleteParams::default()).await), 200);
}

#[tokio::test]
async fn server_side_apply_creates_the_object() {
    let server = FakeApiServer::new("demo");
    let secrets = secrets(&server);
    let apply = Patch::Apply(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "a", "labels": { "x": "y" } },
    }));
    let params = PatchParams::apply("test");
    let dry_run = PatchParams { dry_run: true, ..params.clone() };
    assert_eq!(code(secrets.patch("a", &dry_run, &apply).await), 200);
    assert_eq!(server.all::<Secret>(), []);
    server.refuse_to_create::<Secret>(Some("exceeded quota"));
    assert_eq!(code(secrets.patch("a", &params, &apply).await), 403);
    server.refuse_to_create::<Secret>(None);
    assert_eq!(code(secrets.patch("a", &params, &apply).await), 200);
    assert_eq!(server.get::<Secret>("a").unwrap().metadata.labels.unwrap()["x"], "y");
}

#[tokio::test]
async fn list_has_the_objects_with_the_selected_fields() {
    let server = FakeApiServer::new("demo");
    server.put(&secret("a"));
    server.put(&secret("b"));
    let selected = kube::api::ListParams::default().fields("metadata.name=b");
    let found = secrets(&server).list(&selected).await.unwrap().items;
    assert_eq!(found.iter().filter_map(|it| it.metadata.name.as_deref()).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn json_patch_applies_as_a_whole_or_is_refused() {
    let server = FakeApiServer::new("demo");
    server.put(&secret("a"));
    let patch = |operations: Value| {
        let request = http::Request::patch("/api/v1/namespaces/demo/secrets/a")
            .header("content-type", "application/json-patch+json")
            .body(operations.to_string().into_bytes())
            .unwrap();
        let client = server.client();
        async move { code(client.request::<Secret>(request).await) }
    };
    let add = json!({ "op": "add", "path": "/metadata/labels", "value": { "x": "y" } });
    let remove = json!({ "op": "remove", "path": "/data/absent" });
    assert_eq!(patch(json!([add, remove])).await, 422);
    assert_eq!(server.get::<Secret>("a").unwrap().metadata.labels, None);
    assert_eq!(patch(json!([add])).await, 200);
    assert_eq!(server.get::<Secret>("a").unwrap().metadata.labels.unwrap()["x"], "y");
}
