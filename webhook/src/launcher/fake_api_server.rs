//! An API server for tests: objects by their path, with the guarantees that controllers rely on. Creation
//! is atomic, every write changes the `resourceVersion`, and a write conditioned on an older one is refused.

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

/// Namespace of all objects.
const NAMESPACE: &str = "demo";

/// The API server.
#[derive(Clone, Default)]
pub struct FakeApiServer {
    store: Arc<Mutex<Store>>,
}

#[derive(Default)]
struct Store {
    objects: BTreeMap<String, Value>,
    version: u64,
    max_active_jobs: usize,
}

/// Suspends a client before its call number `at`, until it is resumed. Writes count, and the read of the
/// database; the reads around that see the same state as it.
#[derive(Clone)]
pub struct Breakpoint {
    at: usize,
    calls: Arc<Mutex<usize>>,
    reached: Arc<Semaphore>,
    resumed: Arc<Semaphore>,
}

impl Breakpoint {
    /// Before that call, counted from 0.
    pub fn before_call(at: usize) -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self { at, calls: Arc::default(), reached: closed(), resumed: closed() }
    }

    /// Waits until the client is suspended.
    pub async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    /// Resumes the client.
    pub fn resume(&self) {
        self.resumed.add_permits(1);
    }

    async fn suspend_at_call(&self) {
        let call = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls - 1
        };
        if call == self.at {
            self.reached.add_permits(1);
            self.resumed.acquire().await.unwrap().forget();
        }
    }
}

impl FakeApiServer {
    /// A client, which is suspended at the breakpoint.
    pub fn client(&self, breakpoint: Option<Breakpoint>) -> Client {
        let server = self.clone();
        let respond = move |request: Request<Body>| {
            let server = server.clone();
            let breakpoint = breakpoint.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let counts = parts.method != Method::GET || parts.uri.path().contains("/postgreses/");
                let counts = counts && !parts.uri.path().contains("/events");
                if let Some(breakpoint) = breakpoint.filter(|_| counts) {
                    breakpoint.suspend_at_call().await;
                }
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let (status, response) = server.respond(&parts.method, &parts.uri.to_string(), body);
                let body = Body::from(serde_json::to_vec(&response).unwrap());
                Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
            }
        };
        Client::new(tower::service_fn(respond), NAMESPACE)
    }

    /// Stores an object, past all rules.
    pub fn put<K: Resource<DynamicType = ()> + Serialize>(&self, object: &K) {
        let path = path::<K>(object.meta().name.as_deref().unwrap());
        let mut store = self.store.lock().unwrap();
        let value = serde_json::to_value(object).unwrap();
        store.write(&path, value);
    }

    /// The object of that name, if it exists.
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

    /// The number of writes so far.
    pub fn version(&self) -> u64 {
        self.store.lock().unwrap().version
    }

    /// The largest number of Jobs that were ever active at the same time.
    pub fn max_active_jobs(&self) -> usize {
        self.store.lock().unwrap().max_active_jobs
    }

    fn respond(&self, method: &Method, uri: &str, body: Value) -> (StatusCode, Value) {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let mut store = self.store.lock().unwrap();
        if path.contains("/events") {
            return (StatusCode::OK, body);
        }
        let (path, subresource) = match path.strip_suffix("/status") {
            Some(path) => (path, Subresource::Status),
            None => (path, Subresource::None),
        };
        match *method {
            Method::GET => store.read(path, query),
            Method::POST => store.create(path, body),
            Method::PATCH => store.patch(path, subresource, &body),
            Method::DELETE => store.delete(path, &body["preconditions"]),
            _ => refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }
}

#[derive(Clone, Copy)]
enum Subresource {
    Status,
    None,
}

impl Store {
    fn read(&self, path: &str, query: &str) -> (StatusCode, Value) {
        match self.objects.get(path) {
            Some(object) => (StatusCode::OK, object.clone()),
            // Below the namespace: a kind, or a kind and a name.
            None if path.rsplit('/').nth(1) == Some(NAMESPACE) => (StatusCode::OK, self.list(path, query)),
            None => refused(StatusCode::NOT_FOUND, "NotFound"),
        }
    }

    fn create(&mut self, path: &str, object: Value) -> (StatusCode, Value) {
        let path = format!("{path}/{}", object["metadata"]["name"].as_str().unwrap());
        if self.objects.contains_key(&path) {
            return refused(StatusCode::CONFLICT, "AlreadyExists");
        }
        (StatusCode::CREATED, self.write(&path, object))
    }

    fn patch(&mut self, path: &str, subresource: Subresource, changes: &Value) -> (StatusCode, Value) {
        let Some(mut object) = self.objects.get(path).cloned() else {
            return refused(StatusCode::NOT_FOUND, "NotFound");
        };
        let version = &changes["metadata"]["resourceVersion"];
        if !version.is_null() && *version != object["metadata"]["resourceVersion"] {
            return refused(StatusCode::CONFLICT, "Conflict");
        }
        match subresource {
            Subresource::Status => json_patch::merge(&mut object, &json!({ "status": changes["status"] })),
            Subresource::None => json_patch::merge(&mut object, changes),
        }
        (StatusCode::OK, self.write(path, object))
    }

    fn delete(&mut self, path: &str, preconditions: &Value) -> (StatusCode, Value) {
        let Some(object) = self.objects.get(path).cloned() else {
            return refused(StatusCode::NOT_FOUND, "NotFound");
        };
        let violates = |field: &str| {
            !preconditions[field].is_null() && preconditions[field] != object["metadata"][field]
        };
        if violates("uid") || violates("resourceVersion") {
            return refused(StatusCode::CONFLICT, "Conflict");
        }
        self.version += 1;
        self.remove(path);
        (StatusCode::OK, object)
    }

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
        let active = self.objects.iter().filter(|(path, job)| path.contains("/jobs/") && is_active_job(job));
        self.max_active_jobs = self.max_active_jobs.max(active.count());
        object
    }

    /// Removes the object, and everything that it owns.
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

/// Whether the Job controller would create pods for it.
fn is_active_job(job: &Value) -> bool {
    let has_ended = job["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
    job["spec"]["suspend"] != json!(true) && !has_ended
}

fn refused(status: StatusCode, reason: &str) -> (StatusCode, Value) {
    (status, json!({ "status": "Failure", "reason": reason, "message": reason, "code": status.as_u16() }))
}

fn path<K: Resource<DynamicType = ()>>(name: &str) -> String {
    format!("{}/{name}", K::url_path(&(), Some(NAMESPACE)))
}
