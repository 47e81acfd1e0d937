//! A request that failed halfway is resumed.

use k8s_openapi::api::batch::v1::Job;
use pgops_api::opsrequest::{CONDITION_FAILED, Phase};
use pgops_api::{Postgres, PostgresOpsRequest, condition, names};
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::json;

use super::rights::has_rights;
use super::{Launcher, active, add_request, before_call, claim, cluster, condition_message, get, phases};

/// The Job of a request is lost while the database is paused by it, and an operator requests to resume.
async fn lose_job(server: &FakeApiServer, launcher: &Launcher) {
    add_request(server, "a", "01:00", "17.11");
    launcher.settle().await;
    server.change::<Postgres>("orders", |it| {
        it["status"]["conditions"] = json!([{
            "type": "Paused", "status": "True", "reason": "Paused", "lastTransitionTime": "1970-01-01T00:12:00Z",
            "message": "paused by PostgresOpsRequest a (uid a1-of-01:00) for the upgrade 13.16 to 17.11",
        }]);
    });
    let job = names::job("a", "a1-of-01:00");
    let lost = json!([{ "type": "Failed", "status": "True", "reason": "DeadlineExceeded" }]);
    server.change::<Job>(&job, |it| it["status"]["conditions"] = lost);
    launcher.settle().await;
    let command = "kubectl annotate pgops a -n demo pgops.dev/carry-on=true";
    assert!(
        condition_message(server, "a", CONDITION_FAILED).contains(command),
        "{}",
        condition_message(server, "a", CONDITION_FAILED)
    );
    assert_eq!((phases(server), claim(server)), (vec![Phase::Failed], None));
    server.change::<PostgresOpsRequest>("a", |it| {
        it["metadata"]["annotations"] = json!({ names::ANNOTATION_RESUME: "true" });
    });
}

fn wants_resume(server: &FakeApiServer) -> bool {
    get(server, "a").wants_resume()
}

/// A launcher is suspended before each of its calls in turn, and another one continues; what the first one
/// does after that changes nothing any more.
#[tokio::test]
async fn resumed_request_gets_one_more_job() {
    let mut stops = 0;
    loop {
        let server = cluster();
        let new = Launcher::new(&server);
        lose_job(&server, &new).await;
        // This one waits for the database, which is not free.
        add_request(&server, "b", "00:30", "13.23");
        let breakpoint = before_call(stops);
        let old = Launcher::with_breakpoint(&server, &breakpoint);
        let mut acting = Box::pin(old.settle());
        tokio::select! {
            () = &mut acting => break,
            () = breakpoint.reached() => {}
        }
        new.settle().await;
        let started = (active(&server), claim(&server), wants_resume(&server));
        assert_eq!((&started.0, started.2), (&vec!["a".to_owned()], false), "suspended before call {stops}");
        breakpoint.resume();
        acting.await;
        assert_eq!(
            (active(&server), claim(&server), wants_resume(&server)),
            started,
            "suspended before call {stops}"
        );
        assert_eq!(
            (server.recorded_max(), server.all::<Job>().len()),
            (1, 1),
            "suspended before call {stops}"
        );
        assert!(has_rights(&server, "a"), "suspended before call {stops}");
        let conditions = get(&server, "a").status.unwrap().conditions;
        assert_eq!(condition::find(&conditions, CONDITION_FAILED), None, "suspended before call {stops}");
        stops += 1;
    }
    assert!(stops > 10, "only {stops} calls: was anything tested?");
}

#[tokio::test]
async fn resume_annotation_without_effect_is_cleared() {
    let server = cluster();
    let launcher = Launcher::new(&server);
    lose_job(&server, &launcher).await;
    server.change::<Postgres>("orders", |it| it["status"]["conditions"] = json!([]));
    launcher.settle().await;
    assert!(!wants_resume(&server));
    assert_eq!((phases(&server), active(&server)), (vec![Phase::Failed], Vec::new()));
}
