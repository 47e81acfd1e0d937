use super::*;
use crate::fixtures::database;
use k8s_openapi::api::core::v1::Secret;
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::json;

const SERVER: &str = "orders-server-cert";

fn issued() -> Postgres {
    database(json!({ "tls": { "issuerRef": { "kind": "Issuer", "name": "ca" } } }))
}

async fn reasons(server: &FakeApiServer, database: &Postgres) -> Vec<&'static str> {
    let problems = reconcile(&server.client(), database).await.unwrap().unwrap();
    problems.iter().map(CertificateProblem::reason).collect()
}

async fn problem(server: &FakeApiServer, database: &Postgres) -> CertificateProblem {
    reconcile(&server.client(), database).await.unwrap().unwrap().remove(0)
}

/// What cert-manager writes into a Certificate that was created long ago.
fn report(server: &FakeApiServer, name: &str, status: &str) {
    server.change::<Certificate>(name, |it| {
        it["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        it["status"] = json!({ "conditions": [{
            "type": "Ready", "status": status, "reason": "DoesNotExist", "message": "no such issuer",
        }] });
    });
}

fn put_secret(server: &FakeApiServer, name: &str) {
    let secret: Secret = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    server.put(&secret);
}

#[tokio::test]
async fn certificate_is_requested_and_its_issuers_words_are_reported() {
    let server = FakeApiServer::new("demo");
    assert_eq!(reasons(&server, &issued()).await, Vec::<&str>::new(), "the issuer has just been asked");
    assert_eq!(server.all::<Certificate>().len(), 2);
    report(&server, SERVER, "False");
    let problem = problem(&server, &issued()).await.to_string();
    assert!(problem.contains("DoesNotExist: no such issuer") && problem.contains("Issuer ca"), "{problem}");
    report(&server, SERVER, "True");
    assert_eq!(reasons(&server, &issued()).await, ["SecretNotFound"]);
    put_secret(&server, SERVER);
    assert_eq!(reasons(&server, &issued()).await, Vec::<&str>::new());
    let version = server.version();
    let _ = reasons(&server, &issued()).await;
    assert_eq!(server.version(), version, "nothing is written again");
}

#[tokio::test]
async fn changed_request_reaches_the_certificate_unless_the_database_is_paused() {
    let server = FakeApiServer::new("demo");
    let _ = reasons(&server, &issued()).await;
    let mut changed = database(json!({ "tls": { "issuerRef": { "kind": "Issuer", "name": "other" } } }));
    let pause = json!({ "conditions": [{
        "type": "Paused", "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z",
    }] });
    changed.status = serde_json::from_value(pause).unwrap();
    let issuer = || server.get::<Certificate>(SERVER).unwrap().spec.issuer_ref.name;
    let _ = reasons(&server, &changed).await;
    assert_eq!(issuer(), "ca");
    changed.status = None;
    let _ = reasons(&server, &changed).await;
    assert_eq!(issuer(), "other");
}

#[tokio::test]
async fn secret_of_the_user_is_looked_for_and_leftover_requests_are_removed() {
    let server = FakeApiServer::new("demo");
    let _ = reasons(&server, &issued()).await;
    let own = database(json!({ "tls": { "certificates": [{ "alias": "server", "secretName": "mine" }] } }));
    let problem = problem(&server, &own).await.to_string();
    assert!(
        problem.contains("Secret mine") && problem.contains("kubectl -n demo create secret generic mine"),
        "{problem}"
    );
    assert_eq!(server.all::<Certificate>(), []);
    put_secret(&server, "mine");
    assert_eq!(reasons(&server, &own).await, Vec::<&str>::new());
}

#[tokio::test]
async fn request_of_a_database_without_tls_is_removed_once_that_is_possible() {
    let server = FakeApiServer::new("demo");
    let _ = reasons(&server, &issued()).await;
    let plain = |types: &[&str]| {
        let condition = |type_: &&str| {
            json!({
                "type": type_, "status": "True", "lastTransitionTime": "2026-11-20T10:00:00Z",
            })
        };
        let conditions: Vec<_> = types.iter().map(condition).collect();
        let mut plain = database(json!({}));
        plain.status = serde_json::from_value(json!({ "conditions": conditions })).unwrap();
        plain
    };
    let had_tls = plain(&["CertificatesReady"]);
    let paused = plain(&["CertificatesReady", "Paused"]);
    assert_eq!(reconcile(&server.client(), &paused).await.unwrap(), None, "the condition must stay");
    assert_eq!(server.all::<Certificate>().len(), 2);

    server.refuse_to_delete::<Certificate>(Some("held by a policy"));
    assert_eq!(reasons(&server, &had_tls).await, ["CertificateNotRemoved", "CertificateNotRemoved"]);
    assert!(problem(&server, &had_tls).await.to_string().contains("held by a policy"));

    server.refuse_to_delete::<Certificate>(None);
    assert_eq!(reasons(&server, &had_tls).await, Vec::<&str>::new());
    assert_eq!(server.all::<Certificate>(), []);
}

#[tokio::test]
async fn certificate_of_another_owner_is_neither_changed_nor_removed() {
    let server = FakeApiServer::new("demo");
    let foreign: Certificate = serde_json::from_value(json!({
        "apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": { "name": SERVER },
        "spec": { "secretName": "theirs", "issuerRef": { "name": "theirs" } },
    }))
    .unwrap();
    server.put(&foreign);
    assert_eq!(reasons(&server, &issued()).await, ["NameTaken"]);
    let own = database(json!({ "tls": { "certificates": [{ "alias": "server", "secretName": "mine" }] } }));
    let _ = reasons(&server, &own).await;
    assert_eq!(server.get::<Certificate>(SERVER).unwrap().spec.secret_name, "theirs");
}

#[tokio::test]
async fn refused_certificate_is_reported_in_the_words_of_the_api_server() {
    let server = FakeApiServer::new("demo");
    server.refuse_to_create::<Certificate>(Some("spec.duration: must be at least 1h"));
    let problem = problem(&server, &issued()).await;
    assert_eq!(problem.reason(), "CertificateRefused");
    assert!(problem.to_string().contains("must be at least 1h"), "{problem}");
}

/// The API server has no such API at all, and answers with plain text.
#[tokio::test]
async fn absence_of_cert_manager_is_reported() {
    let respond = |request: axum::http::Request<kube::client::Body>| async move {
        assert!(request.uri().path().starts_with("/apis/cert-manager.io/v1/"), "{}", request.uri());
        let body = kube::client::Body::from(b"404 page not found\n".to_vec());
        Ok::<_, std::convert::Infallible>(axum::http::Response::builder().status(404).body(body).unwrap())
    };
    let client = Client::new(tower::service_fn(respond), "demo");
    let problems = reconcile(&client, &issued()).await.unwrap();
    assert_eq!(problems, Some(vec![CertificateProblem::NoCertManager]));
}

#[tokio::test]
async fn database_without_tls_requests_nothing() {
    let client = Client::new(
        tower::service_fn(|_: axum::http::Request<kube::client::Body>| async {
            Err::<axum::http::Response<kube::client::Body>, _>(std::io::Error::other("asked"))
        }),
        "demo",
    );
    assert_eq!(reconcile(&client, &database(json!({}))).await.unwrap(), Some(vec![]));
}

/// Otherwise a user who may only write databases could replace the certificate of anything.
#[tokio::test]
async fn existing_secret_of_a_chosen_name_is_not_overwritten() {
    let named = |secret: &str| {
        database(json!({ "tls": {
            "issuerRef": { "kind": "Issuer", "name": "ca" },
            "certificates": [{ "alias": "server", "secretName": secret }],
        }}))
    };
    let secret_of = |server: &FakeApiServer| server.get::<Certificate>(SERVER).map(|it| it.spec.secret_name);
    let server = FakeApiServer::new("demo");
    put_secret(&server, "ingress-tls");
    let problem = problem(&server, &named("ingress-tls")).await;
    assert_eq!(problem.reason(), "NameTaken");
    assert!(problem.to_string().contains("cert-manager would overwrite it"), "{problem}");
    assert_eq!(secret_of(&server), None);

    assert_eq!(reasons(&server, &named("orders-tls")).await, Vec::<&str>::new());
    put_secret(&server, "orders-tls");
    report(&server, SERVER, "True");
    assert_eq!(reasons(&server, &named("orders-tls")).await, Vec::<&str>::new(), "cert-manager has made it");
    assert_eq!(reasons(&server, &named("ingress-tls")).await, ["NameTaken"]);
    assert_eq!(secret_of(&server).as_deref(), Some("orders-tls"));
}
