//! What a client learns that sends a review by itself, instead of an API server on behalf of a user who may.

use super::*;

/// A cluster with one busy, one paused and one upgraded database in each of two namespaces; the names in the second one
/// contain "secret".
fn cluster() -> Cluster {
    let mut cluster = Cluster::new();
    for (namespace, prefix) in [("demo", ""), ("secret", "secret-")] {
        let name = |name: &str| json!(format!("{prefix}{name}"));
        let here = |object: Value| with(object, "/metadata/namespace", json!(namespace));
        for database_name in ["orders", "busy", "done"] {
            let object = with(here(database(database_name)), "/metadata/name", name(database_name));
            cluster.databases.push(object);
        }
        for (database_name, phase) in [("busy", "Progressing"), ("done", "Successful")] {
            let mut request =
                with(here(opsrequest("17.11")), "/metadata/name", name(&format!("{database_name}-up")));
            request["spec"]["databaseRef"]["name"] = name(database_name);
            request["status"] = json!({"phase": phase, "from": "13.16"});
            cluster.requests.push(request);
        }
    }
    cluster
}

/// The whole response as text.
async fn response(request: &Value) -> String {
    cluster().validate(request.clone()).await.to_string()
}

#[tokio::test]
async fn review_of_a_namespaced_object_names_nothing_of_other_namespaces() {
    let new = with(database("new"), "/spec/version", json!("13.1"));
    let changed = |name: &str| with(database(name), "/spec/version", json!("17.11"));
    let mut reviews = vec![create(&opsrequest("17.11")), create(&opsrequest("nothing")), create(&new)];
    for name in ["orders", "busy", "done", "missing"] {
        reviews.push(create(&with(opsrequest("17.11"), "/spec/databaseRef/name", json!(name))));
        reviews.push(review("UPDATE", Some(&changed(name)), Some(&database(name))));
        reviews.push(review("UPDATE", Some(&database(name)), Some(&changed(name))));
        reviews.push(review("DELETE", None, Some(&database(name))));
    }
    for request in reviews {
        let text = response(&request).await;
        assert!(!text.contains("secret"), "{text}");
    }
}

#[tokio::test]
async fn database_of_another_namespace_is_not_found() {
    for name in ["secret-orders", "secret/secret-orders", "../secret/secret-orders"] {
        let request = create(&with(opsrequest("17.11"), "/spec/databaseRef/name", json!(name)));
        assert!(response(&request).await.contains("DatabaseNotFound"), "{name}");
        let mut elsewhere = opsrequest("17.11");
        elsewhere["spec"]["databaseRef"] = json!({"name": "secret-orders", "namespace": "secret"});
        assert!(response(&create(&elsewhere)).await.contains("DatabaseNotFound"));
    }
}

/// The exception: a user who may delete an entry of the catalog, which has no namespace, must know what uses it.
#[tokio::test]
async fn deletion_of_a_catalog_entry_names_at_most_three_users() {
    let text = response(&review("DELETE", None, Some(&version("13.16", "< 18")))).await;
    assert!(
        text.contains("is used by Postgres demo/busy, Postgres demo/done, Postgres demo/orders and 5 more"),
        "{text}"
    );
}
