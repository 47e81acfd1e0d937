//! Requests that the provisioner executes: they take the same claim as upgrades, and have no Job.

use pgops_api::opsrequest::CONDITION_WAITING;

use super::*;

/// Stores a request for a restart, past admission.
fn add_restart(server: &FakeApiServer, name: &str, created: &str) {
    let mut value = serde_json::to_value(fixtures::request(name)).unwrap();
    value["metadata"]["uid"] = json!(format!("{name}1-of-{created}"));
    value["metadata"]["creationTimestamp"] = json!(format!("1970-01-01T00:{created}Z"));
    value["spec"] = json!({ "type": "Restart", "databaseRef": { "name": "orders" } });
    value["status"] = Value::Null;
    server.put(&parse::<PostgresOpsRequest>(value));
}

fn claim(server: &FakeApiServer) -> Option<String> {
    let database: Postgres = server.get("orders").unwrap();
    pgops_api::Claim::on(&database).unwrap().map(|claim| claim.request)
}

fn end(server: &FakeApiServer, name: &str) {
    server.change::<PostgresOpsRequest>(name, |it| it["status"]["phase"] = json!("Successful"));
}

#[tokio::test]
async fn restart_holds_the_database_while_the_provisioner_executes_it() {
    let server = cluster();
    let launcher = Launcher::new(&server);
    add_restart(&server, "restart", "01:00");
    add_request(&server, "upgrade", "02:00", "13.23");
    launcher.settle().await;
    assert_eq!(get(&server, "restart").phase(), Phase::Progressing);
    assert_eq!(claim(&server).as_deref(), Some("restart"));
    assert_eq!(server.all::<Job>(), []);
    let waiting = get(&server, "upgrade");
    let waiting = condition::find(waiting.conditions(), CONDITION_WAITING).unwrap();
    assert!(
        waiting.message.as_deref().unwrap().contains("PostgresOpsRequest restart (Progressing)"),
        "{waiting:?}"
    );

    end(&server, "restart");
    launcher.settle().await;
    assert_eq!(get(&server, "restart").metadata.finalizers.unwrap_or_default(), [""; 0]);
    assert_eq!(claim(&server).as_deref(), Some("upgrade"));
    assert_eq!(server.all::<Job>().len(), 1);
}

#[tokio::test]
async fn restart_does_not_hold_the_queue_without_the_provisioner() {
    let server = cluster();
    add_restart(&server, "restart", "01:00");
    add_request(&server, "upgrade", "02:00", "13.23");
    Launcher::of_upgrades(&server).settle().await;
    assert_eq!(get(&server, "restart").status, None, "it is another operator's");
    assert_eq!(claim(&server).as_deref(), Some("upgrade"));

    let server = cluster();
    add_restart(&server, "restart", "01:00");
    Launcher::new(&server).settle().await;
    assert_eq!(claim(&server).as_deref(), Some("restart"));
    add_request(&server, "upgrade", "02:00", "13.23");
    Launcher::of_upgrades(&server).settle().await;
    assert_eq!(get(&server, "restart").phase(), Phase::Failed);
    assert_eq!(get(&server, "restart").metadata.finalizers.unwrap_or_default(), [""; 0]);
    assert_eq!(claim(&server).as_deref(), Some("upgrade"));
}

#[tokio::test]
async fn restart_waits_for_an_upgrade_that_runs() {
    let server = cluster();
    let launcher = Launcher::new(&server);
    add_request(&server, "upgrade", "01:00", "13.23");
    launcher.settle().await;
    add_restart(&server, "restart", "00:30");
    launcher.settle().await;
    assert_eq!(get(&server, "restart").phase(), Phase::Pending);
    complete_upgrade(&server, "upgrade");
    launcher.settle().await;
    assert_eq!(get(&server, "restart").phase(), Phase::Progressing);
    // Nothing is left of a database that is deleted.
    server.change::<Postgres>("orders", |it| {
        it["metadata"]["deletionTimestamp"] = json!("1970-01-01T01:00:00Z");
    });
    launcher.settle().await;
    assert_eq!(get(&server, "restart").phase(), Phase::Failed);
}
