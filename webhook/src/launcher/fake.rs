//! An API server for the tests: objects by their path, with what the launcher relies on. Creation is
//! atomic, every write changes the version, and a write that names an older version is refused.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::http::{Method, Request, Response, StatusCode};
use k8s_openapi::jiff::Timestamp;
use kube::client::Body;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// The API server.
#[derive(Clone, Default)]
pub struct Fake {
    store: Arc<Mutex<Store>>,
}

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Value>,
    version: u64,
    most_at_work: usize,
}

/// Where a client stops that must wait: before its call number `at`, until it is let go. Writes count, and
/// the read of the database; what is read around that is as old or as new.
#[derive(Clone)]
pub struct Stall {
    at: usize,
    calls: Arc<Mutex<usize>>,
    reached: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Stall {
    /// Before that call, counted from 0.
    pub fn before(at: usize) -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self { at, calls: Arc::default(), reached: closed(), open: closed() }
    }

    /// Waits until the client stands still.
    pub async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    /// Lets it go on.
    pub fn end(&self) {
        self.open.add_permits(1);
    }

    async fn pass(&self) {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls - 1
        };
        if call == self.at {
            self.reached.add_permits(1);
            self.open.acquire().await.unwrap().forget();
        }
    }
}

impl Fake {
    /// A client, which stops where it is told.
    pub fn client(&self, stall: Option<Stall>) -> Client {
        let fake = self.clone();
        let answer = move |request: Request<Body>| {
            let (fake, stall) = (fake.clone(), stall.clone());
            async move {
                let (parts, body) = request.into_parts();
                let sent = body.collect_bytes().await.unwrap();
                let counts = parts.method != Method::GET || parts.uri.path().contains("/postgreses/");
                let counts = counts && !parts.uri.path().contains("/events");
                if let Some(stall) = stall.filter(|_| counts) {
                    stall.pass().await;
                }
                let sent = serde_json::from_slice(&sent).unwrap_or(Value::Null);
                let (status, answer) = fake.answer(&parts.method, &parts.uri.to_string(), sent);
                let body = Body::from(serde_json::to_vec(&answer).unwrap());
                Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
            }
        };
        Client::new(tower::service_fn(answer), "demo")
    }

    /// Puts an object there as it is.
    pub fn put<K: Resource<DynamicType = ()> + Serialize>(&self, object: &K) {
        let path = path::<K>(object.meta().name.as_deref().unwrap());
        let mut store = self.store.lock().unwrap();
        let value = serde_json::to_value(object).unwrap();
        store.write(&path, value);
    }

    /// The object of that name, if it is there.
    pub fn get<K: Resource<DynamicType = ()> + DeserializeOwned>(&self, name: &str) -> Option<K> {
        let value = self.store.lock().unwrap().objects.get(&path::<K>(name)).cloned();
        value.map(|value| serde_json::from_value(value).unwrap())
    }

    /// Changes an object past all rules.
    pub fn change<K: Resource<DynamicType = ()>>(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut store = self.store.lock().unwrap();
        let path = path::<K>(name);
        let mut object = store.objects[&path].clone();
        change(&mut object);
        store.write(&path, object);
    }

    /// All objects of a kind.
    pub fn all<K: Resource<DynamicType = ()> + DeserializeOwned>(&self) -> Vec<K> {
        let store = self.store.lock().unwrap();
        let prefix = path::<K>("");
        let found = store.objects.iter().filter(|(path, _)| path.starts_with(&prefix));
        found.map(|(_, object)| serde_json::from_value(object.clone()).unwrap()).collect()
    }

    /// How many writes there were.
    pub fn version(&self) -> u64 {
        self.store.lock().unwrap().version
    }

    /// The most Jobs that were ever at work at the same time.
    pub fn most_at_work(&self) -> usize {
        self.store.lock().unwrap().most_at_work
    }

    fn answer(&self, method: &Method, uri: &str, sent: Value) -> (StatusCode, Value) {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let mut store = self.store.lock().unwrap();
        if path.contains("/events") {
            return (StatusCode::OK, sent);
        }
        let (path, part) = match path.strip_suffix("/status") {
            Some(path) => (path, Part::Status),
            None => (path, Part::Rest),
        };
        match *method {
            Method::GET => match store.objects.get(path) {
                Some(object) => (StatusCode::OK, object.clone()),
                // Below namespaces/demo, a kind, or a kind and a name.
                None if path.rsplit('/').nth(1) == Some("demo") => (StatusCode::OK, store.list(path, query)),
                None => refused(StatusCode::NOT_FOUND, "NotFound"),
            },
            Method::POST => {
                let path = format!("{path}/{}", sent["metadata"]["name"].as_str().unwrap());
                if store.objects.contains_key(&path) {
                    return refused(StatusCode::CONFLICT, "AlreadyExists");
                }
                (StatusCode::CREATED, store.write(&path, sent))
            }
            Method::PATCH => {
                let Some(mut object) = store.objects.get(path).cloned() else {
                    return refused(StatusCode::NOT_FOUND, "NotFound");
                };
                let version = &sent["metadata"]["resourceVersion"];
                if !version.is_null() && *version != object["metadata"]["resourceVersion"] {
                    return refused(StatusCode::CONFLICT, "Conflict");
                }
                match part {
                    Part::Status => json_patch::merge(&mut object, &json!({ "status": sent["status"] })),
                    Part::Rest => json_patch::merge(&mut object, &sent),
                }
                (StatusCode::OK, store.write(path, object))
            }
            Method::DELETE => {
                let Some(object) = store.objects.get(path).cloned() else {
                    return refused(StatusCode::NOT_FOUND, "NotFound");
                };
                let asked = &sent["preconditions"];
                let other =
                    |field: &str| !asked[field].is_null() && asked[field] != object["metadata"][field];
                if other("uid") || other("resourceVersion") {
                    return refused(StatusCode::CONFLICT, "Conflict");
                }
                store.version += 1;
                store.remove(path);
                (StatusCode::OK, object)
            }
            _ => refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }
}

enum Part {
    Status,
    Rest,
}

impl Store {
    fn write(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(self.version.to_string());
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-{}", self.version));
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = json!(Timestamp::now().to_string());
        }
        let released = metadata["finalizers"].as_array().is_none_or(Vec::is_empty);
        if !metadata["deletionTimestamp"].is_null() && released {
            self.remove(path);
        } else {
            self.objects.insert(path.to_owned(), object.clone());
        }
        let at_work = self.objects.iter().filter(|(path, job)| path.contains("/jobs/") && is_at_work(job));
        self.most_at_work = self.most_at_work.max(at_work.count());
        object
    }

    /// With everything that it owns.
    fn remove(&mut self, path: &str) {
        let Some(object) = self.objects.remove(path) else { return };
        let uid = &object["metadata"]["uid"];
        self.objects.retain(|_, other| other["metadata"]["ownerReferences"][0]["uid"] != *uid);
    }

    fn list(&self, path: &str, query: &str) -> Value {
        let prefix = format!("{path}/");
        let query = query.replace("%2F", "/").replace("%3D", "=");
        let label = query.split('&').find_map(|part| part.strip_prefix("labelSelector=")?.split_once('='));
        let matches = |object: &&Value| {
            label.is_none_or(|(key, value)| object["metadata"]["labels"][key].as_str() == Some(value))
        };
        let found = self.objects.iter().filter(|(path, _)| path.starts_with(&prefix));
        let items: Vec<&Value> = found.map(|(_, object)| object).filter(matches).collect();
        json!({ "metadata": { "resourceVersion": self.version.to_string() }, "items": items })
    }
}

/// What the Job controller takes to mean that there are pods.
fn is_at_work(job: &Value) -> bool {
    let over = job["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
    job["spec"]["suspend"] != json!(true) && !over
}

fn refused(status: StatusCode, reason: &str) -> (StatusCode, Value) {
    (status, json!({ "status": "Failure", "reason": reason, "message": reason, "code": status.as_u16() }))
}

fn path<K: Resource<DynamicType = ()>>(name: &str) -> String {
    format!("{}/{name}", K::url_path(&(), Some("demo")))
}
