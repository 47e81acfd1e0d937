//! The line of the log about a review.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use pgops_http::{Identity, Peer};

use super::*;

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The line about a review that this client has sent.
async fn logged(request: Value, peer: Option<Peer>) -> Value {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let body = Body::from(json!({ "request": request }).to_string());
    let mut review = Request::post("/validate").body(body).unwrap();
    if let Some(peer) = peer {
        review.extensions_mut().insert(peer);
    }
    let response = Cluster::new().router().oneshot(review).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    loop {
        // The line is logged by another task, after the response.
        tokio::task::yield_now().await;
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        if let Some(mut line) = lines.into_iter().find(|line| line["fields"]["reason"].is_string()) {
            return line["fields"].take();
        }
    }
}

#[tokio::test]
async fn user_is_only_claimed_unless_the_client_is_verified() {
    let address = [10, 0, 0, 7].into();
    let strangers = Peer { address, identity: Identity::Unverified };
    for peer in [None, Some(strangers)] {
        let line = logged(create(&opsrequest("17.11")), peer).await;
        assert_eq!((&line["claimed_user"], &line["user"]), (&json!("ada"), &Value::Null), "{line}");
    }
    let line =
        logged(create(&opsrequest("17.11")), Some(Peer { address, identity: Identity::Verified })).await;
    assert_eq!((&line["user"], &line["claimed_user"]), (&json!("ada"), &Value::Null), "{line}");
    assert_eq!(line["peer"], "10.0.0.7");
}

#[tokio::test]
async fn line_is_short_whatever_a_client_sends() {
    let long =
        with(create(&opsrequest(&"x".repeat(1_000_000))), "/userInfo/username", json!("u".repeat(4000)));
    let line = logged(long, None).await;
    assert_eq!(line["reason"], "UnknownTarget", "{line}");
    assert!(line.to_string().len() < 4 * 1024, "{line}");
}
