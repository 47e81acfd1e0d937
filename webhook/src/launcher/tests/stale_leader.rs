//! A launcher that acts on what is out of date, such as a leader that has lost the lease.

use std::sync::Arc;

use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use pgops_api::opsrequest::Phase;
use pgops_api::{Postgres, PostgresOpsRequest};
use pgops_testing::fake_api_server::FakeApiServer;
use serde_json::json;

use super::{
    Launcher, active, add_request, before_call, claim, cluster, complete_upgrade, delete_request, phases,
};
use crate::launcher::controller::reconcile;

#[tokio::test]
async fn observation_of_a_changed_request_is_repeated() {
    let server = cluster();
    add_request(&server, "a", "01:00", "17.11");
    let launcher = Launcher::new(&server);
    let seen: DeserializeGuard<PostgresOpsRequest> = server.get("a").unwrap();
    server.change::<PostgresOpsRequest>("a", |it| it["metadata"]["labels"] = json!({ "by": "a-user" }));
    let before = server.version();
    let action = reconcile(Arc::new(seen), launcher.context.clone()).await.unwrap();
    assert_ne!(action, Action::await_change(), "there may be no further change");
    assert_eq!(server.version(), before);
}

/// What happens while an old leader is suspended.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    /// Another launcher completes its request, and starts the next one.
    Ended,
    /// The same, and the request was deleted, with everything that it owned.
    Deleted,
    /// Its request became impossible, if it had not started, and another launcher starts the next one.
    Denied,
    /// An older request is created, and another launcher starts it.
    Overtaken,
}

/// An old leader is suspended before each of its calls in turn, the cluster changes without it, and then it
/// continues with what it had observed.
#[rstest::rstest]
#[case(Meanwhile::Ended)]
#[case(Meanwhile::Deleted)]
#[case(Meanwhile::Denied)]
#[case(Meanwhile::Overtaken)]
#[tokio::test]
async fn stale_leader_creates_no_second_active_job(#[case] meanwhile: Meanwhile) {
    let mut stops = 0;
    loop {
        let server = cluster();
        add_request(&server, "b", "05:00", "13.23");
        let breakpoint = before_call(stops);
        let old = Launcher::with_breakpoint(&server, &breakpoint);
        let new = Launcher::new(&server);
        let mut acting = Box::pin(old.settle());
        tokio::select! {
            // It has made all of its calls: there is no later one to suspend it before.
            () = &mut acting => break,
            () = breakpoint.reached() => {}
        }
        run_meanwhile(&server, &new, meanwhile).await;
        let started = (active(&server), claim(&server));
        breakpoint.resume();
        acting.await;
        assert_eq!(
            (active(&server), claim(&server)),
            started,
            "{meanwhile:?}, suspended before call {stops}"
        );
        assert_eq!(server.recorded_max(), 1, "{meanwhile:?}, suspended before call {stops}");

        // And nothing that it did prevents other requests from running.
        while let [name] = active(&server).as_slice() {
            complete_upgrade(&server, name);
            new.settle().await;
        }
        assert!(phases(&server).into_iter().all(Phase::is_terminal), "{:?}", phases(&server));
        assert_eq!((claim(&server), server.recorded_max()), (None, 1), "suspended before call {stops}");
        stops += 1;
    }
    assert!(stops > 15, "only {stops} calls: was anything tested?");
}

async fn run_meanwhile(server: &FakeApiServer, new: &Launcher, meanwhile: Meanwhile) {
    if let Meanwhile::Overtaken = meanwhile {
        add_request(server, "a", "05:00", "17.11");
        return new.settle().await;
    }
    if let Meanwhile::Denied = meanwhile {
        server.change::<Postgres>("orders", |it| it["spec"]["version"] = json!("17.11"));
    }
    new.settle().await;
    if active(server) == ["b"] {
        complete_upgrade(server, "b");
    }
    if let Meanwhile::Deleted = meanwhile {
        delete_request(server, "b");
    }
    new.settle().await;
    add_request(server, "c", "06:00", "17.11");
    new.settle().await;
    assert_eq!(active(server), ["c"]);
}
