//! A fake API server's objects: enough of lists, watches and patches for a real Patroni.

use std::collections::BTreeMap;
use std::sync::Mutex;

use hyper::StatusCode;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

/// The objects of the namespace `demo`.
pub struct Store(Mutex<State>);

struct State {
    version: u64,
    objects: BTreeMap<String, Value>,
    watches: Vec<(String, mpsc::Sender<String>)>,
}

/// What the store answers.
pub enum Answered {
    Json(StatusCode, Value),
    Watch(mpsc::Receiver<String>),
}

impl Store {
    /// Has the objects that the provisioner makes, those of another database, and one more.
    pub fn new() -> Self {
        let mut objects = BTreeMap::new();
        let mut add = |collection: &str, name: &str, scope: &str| {
            let object = json!({
                "apiVersion": "v1", "kind": if collection == "pods" { "Pod" } else { "ConfigMap" },
                "metadata": {"name": name, "namespace": "demo", "uid": name, "resourceVersion": "1",
                    "labels": {"pgops.dev/ha": scope}},
            });
            objects.insert(format!("{collection}/{name}"), object);
        };
        for number in 0..3 {
            add("pods", &format!("orders-{number}"), "orders-ha-17");
        }
        for record in ["config", "leader", "sync", "failover"] {
            add("configmaps", &format!("orders-ha-17-{record}"), "orders-ha-17");
        }
        add("pods", "other", "orders-ha-17");
        add("configmaps", "shop-ha-17-leader", "shop-ha-17");
        Self(Mutex::new(State { version: 1, objects, watches: Vec::new() }))
    }

    /// An annotation of an object.
    pub fn annotation(&self, object: &str, key: &str) -> Option<String> {
        let state = self.0.lock().unwrap();
        state.objects[object]["metadata"]["annotations"][key].as_str().map(str::to_owned)
    }

    /// A label of an object.
    pub fn label(&self, object: &str, key: &str) -> Option<String> {
        self.0.lock().unwrap().objects[object]["metadata"]["labels"][key].as_str().map(str::to_owned)
    }

    /// Answers a request; the target is the path and the query.
    pub fn answer(&self, method: &str, target: &str, body: &str) -> Answered {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = path.strip_prefix("/api/v1/namespaces/demo/").unwrap();
        let mut state = self.0.lock().unwrap();
        match (method, path.contains('/'), query.contains("watch=true")) {
            ("GET", false, true) => {
                // As many events as this test has.
                let (sender, receiver) = mpsc::channel(100);
                state.watches.push((format!("{path}/"), sender));
                Answered::Watch(receiver)
            }
            ("GET", false, false) => {
                let all = state.objects.iter().filter(|(key, _)| key.starts_with(path));
                let items: Vec<_> = all.map(|(_, object)| object).collect();
                let version = state.version.to_string();
                let list = json!({
                    "apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": version}, "items": items,
                });
                Answered::Json(StatusCode::OK, list)
            }
            ("GET", true, _) => Answered::Json(StatusCode::OK, state.objects[path].clone()),
            ("PATCH", true, _) => state.patch(path, &serde_json::from_str(body).unwrap()),
            _ => panic!("{method} {target}"),
        }
    }
}

impl State {
    fn patch(&mut self, key: &str, patch: &Value) -> Answered {
        let change = &patch["metadata"];
        let metadata = &mut self.objects.get_mut(key).unwrap()["metadata"];
        if change.get("resourceVersion").is_some_and(|version| *version != metadata["resourceVersion"]) {
            return Answered::Json(StatusCode::CONFLICT, json!({"kind": "Status", "code": 409}));
        }
        self.version += 1;
        metadata["resourceVersion"] = self.version.to_string().into();
        for part in ["labels", "annotations"] {
            if metadata[part].is_null() {
                metadata[part] = json!({});
            }
            merge(metadata[part].as_object_mut().unwrap(), change[part].as_object().unwrap());
        }
        let object = &self.objects[key];
        let event = format!("{}\n", json!({"type": "MODIFIED", "object": object}));
        for (_, watch) in self.watches.iter().filter(|(prefix, _)| key.starts_with(prefix)) {
            // A client that has ended its watch.
            let _ = watch.try_send(event.clone());
        }
        Answered::Json(StatusCode::OK, object.clone())
    }
}

fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, value) in patch {
        match value {
            Value::Null => drop(target.remove(key)),
            _ => drop(target.insert(key.clone(), value.clone())),
        }
    }
}
