//! The invariants of admission for arbitrary bytes, checked by the fuzz target and by `tests/corpus.rs`.

use std::sync::LazyLock;

use kube::runtime::watcher::Event;
use pgops_webhook::admission::{Answered, Webhook, answer};
use pgops_webhook::cache::Caches;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// demo/orders on 13.16, and an upgrade of demo/busy in progress.
static CACHES: LazyLock<Caches> = LazyLock::new(|| {
    let (caches, mut writers) = Caches::new();
    for version in ["13.16", "13.23", "17.11", "18.6"] {
        writers.versions.apply(Event::Apply(parse(json!({
            "metadata": {"name": version},
            "spec": {
                "version": version, "db": {"image": "i", "baseOS": "debian"},
                "updateConstraints": {"allowlist": ["< 18"]},
            },
        }))));
    }
    for database in ["orders", "busy"] {
        writers.databases.apply(Event::Apply(parse(json!({
            "metadata": {"name": database, "namespace": "demo"},
            "spec": {"version": "13.16"}, "status": {"phase": "Ready"},
        }))));
    }
    writers.requests.apply(Event::Apply(parse(json!({
        "metadata": {"name": "first", "namespace": "demo", "uid": "1"},
        "spec": {"type": "UpdateVersion", "databaseRef": {"name": "busy"}, "updateVersion": {"targetVersion": "17.11"}},
        "status": {"phase": "Progressing"},
    }))));
    caches
});

fn parse<K: for<'de> Deserialize<'de>>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// The part of a review without which it cannot be answered. The rest may be garbage.
#[derive(Deserialize)]
struct Envelope {
    request: EnvelopeRequest,
}

#[derive(Deserialize)]
struct EnvelopeRequest {
    uid: String,
}

/// A review of an object whose spec can be patched. Everything else may be garbage too.
#[derive(Deserialize)]
struct WithObject<'a> {
    #[serde(borrow)]
    request: RequestWithObject<'a>,
}

#[derive(Deserialize)]
struct RequestWithObject<'a> {
    #[serde(borrow)]
    object: Object<'a>,
}

#[derive(Deserialize)]
struct Object<'a> {
    #[serde(borrow)]
    spec: &'a RawValue,
}

/// Answers the body as both webhooks. Every answer has the uid of its review, is no longer than the API
/// server accepts, and patches only what can be patched.
pub fn check(body: &[u8]) {
    for webhook in [Webhook::Mutate, Webhook::Validate] {
        let Ok(Answered { review, outcome, .. }) = answer(&CACHES, webhook, body) else { continue };
        let answered = serde_json::to_value(&review).unwrap();
        assert_eq!(answered["kind"], "AdmissionReview");
        assert_eq!(answered["apiVersion"], "admission.k8s.io/v1");
        let response = &answered["response"];
        let Envelope { request } = serde_json::from_slice(body).unwrap();
        assert_eq!(response["uid"], request.uid, "{answered}");
        let allowed = response["allowed"].as_bool().unwrap();
        assert_eq!(allowed, outcome.decision == "allowed", "{answered}");
        if !allowed {
            assert!(!response["status"]["message"].as_str().unwrap().is_empty(), "{answered}");
        }
        for warning in response["warnings"].as_array().into_iter().flatten() {
            assert!(warning.as_str().unwrap().chars().count() <= 256, "{warning}");
        }
        if let Some(bytes) = response["patch"].as_array() {
            let bytes: Vec<u8> =
                bytes.iter().map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap()).collect();
            let patch: json_patch::Patch = serde_json::from_slice(&bytes).unwrap();
            let WithObject { request } = serde_json::from_slice(body).unwrap();
            let spec: Value = serde_json::from_str(request.object.spec.get()).unwrap();
            let mut object = json!({"spec": spec});
            json_patch::patch(&mut object, &patch).unwrap();
        }
    }
}
