//! An in-memory API server with the guarantees that controllers rely on: creation is atomic, every write changes the
//! `resourceVersion`, and a write conditioned on an older one, or on another uid, is refused.
//!
//! A test reads and changes its objects directly, past all rules, and stops clients between two of their calls: at a
//! [`Breakpoint`], or at each call, with a [`gated_client`]. Watches are not served; Events that a client writes are
//! accepted and dropped. Dry runs of creations and patches are understood.

mod breakpoint;
mod gate;
mod object;
mod path;
mod response;
mod store;
mod strategic_merge;
mod verbs;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use kube::{Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use breakpoint::Breakpoint;
pub use gate::{PendingRequest, gated_client};
use object::Object;
use path::{Path, collection};
pub use response::failure;
use response::{Answer, refused, refused_by_test, response};
use store::{Key, Store};
use verbs::{PatchType, Verb};

/// The API server, with one namespace.
#[derive(Clone)]
pub struct FakeApiServer {
    namespace: &'static str,
    store: Arc<Mutex<Store>>,
}

/// One request, read completely.
struct Call<'a> {
    method: &'a Method,
    path: &'a str,
    query: &'a str,
    /// What it means if it is a patch.
    patch_type: PatchType,
    body: Value,
}

impl FakeApiServer {
    /// A server without objects.
    #[must_use]
    pub fn new(namespace: &'static str) -> Self {
        Self { namespace, store: Arc::default() }
    }

    /// A client whose calls are answered at once; each yields first, so that concurrent ones interleave.
    #[must_use]
    pub fn client(&self) -> Client {
        self.connect(None)
    }

    /// A client that is suspended at the breakpoint.
    #[must_use]
    pub fn client_with_breakpoint(&self, breakpoint: Breakpoint) -> Client {
        self.connect(Some(breakpoint))
    }

    fn connect(&self, breakpoint: Option<Breakpoint>) -> Client {
        let server = self.clone();
        let respond = move |request: Request<Body>| {
            let server = server.clone();
            let breakpoint = breakpoint.clone();
            async move {
                tokio::task::yield_now().await;
                if let Some(breakpoint) = breakpoint {
                    breakpoint.suspend_at_call(request.method(), request.uri().path()).await;
                }
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                Ok::<_, Infallible>(server.respond(&parts, &body))
            }
        };
        Client::new(tower::service_fn(respond), self.namespace)
    }

    /// Performs the call of a [`gated_client`]; the test sends the response.
    #[must_use]
    pub fn perform(&self, request: &PendingRequest) -> Response<Body> {
        self.respond(&request.parts, &request.body)
    }

    /// Stores an object, past all rules.
    pub fn put<K: Resource<DynamicType = ()> + Serialize>(&self, object: &K) {
        let key = key::<K>(object.meta().name.as_deref().unwrap());
        self.lock().write(key, serde_json::to_value(object).unwrap());
    }

    /// The object of that name, if it exists.
    #[must_use]
    pub fn get<K>(&self, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.lock().get(&key::<K>(name)).map(Object::typed)
    }

    /// All objects of a kind, by name.
    #[must_use]
    pub fn all<K>(&self) -> Vec<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        self.lock().list(&collection::<K>()).map(Object::typed).collect()
    }

    /// Changes an object as another client does, past all rules.
    pub fn change<K: Resource<DynamicType = ()>>(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut store = self.lock();
        let key = key::<K>(name);
        let mut object = store.get(&key).unwrap().value().clone();
        change(&mut object);
        store.write(key, object);
    }

    /// The number of writes so far.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.lock().version()
    }

    /// Refuses from now on to create objects of a kind, with these words; creates them again with none.
    pub fn refuse_to_create<K: Resource<DynamicType = ()>>(&self, words: Option<&'static str>) {
        self.lock().set_refusal(collection::<K>(), Verb::Create, words);
    }

    /// Likewise to change existing objects of a kind; their status can still be written.
    pub fn refuse_to_change<K: Resource<DynamicType = ()>>(&self, words: Option<&'static str>) {
        self.lock().set_refusal(collection::<K>(), Verb::Change, words);
    }

    /// Likewise to delete objects of a kind.
    pub fn refuse_to_delete<K: Resource<DynamicType = ()>>(&self, words: Option<&'static str>) {
        self.lock().set_refusal(collection::<K>(), Verb::Delete, words);
    }

    /// Records from now on how many objects of a kind meet the condition at the same time.
    pub fn record_max<K: Resource<DynamicType = ()>>(&self, condition: fn(&Value) -> bool) {
        self.lock().record_max(collection::<K>(), condition);
    }

    /// The largest number of objects that met the condition of [`record_max`](Self::record_max) at the same time.
    #[must_use]
    pub fn recorded_max(&self) -> usize {
        self.lock().recorded_max()
    }

    fn respond(&self, request: &http::request::Parts, body: &[u8]) -> Response<Body> {
        let content_type = request.headers.get(http::header::CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let call = Call {
            method: &request.method,
            path: request.uri.path(),
            query: request.uri.query().unwrap_or_default(),
            patch_type: PatchType::of(content_type),
            body: serde_json::from_slice(body).unwrap_or(Value::Null),
        };
        let (status, body) = self.answer(call);
        response(status, body)
    }

    fn answer(&self, call: Call) -> Answer {
        let path = Path::parse(call.path);
        if path.collection.ends_with("/events") && *call.method != Method::GET {
            return (StatusCode::OK, call.body.to_string());
        }
        if path.namespace.is_some_and(|namespace| namespace != self.namespace) {
            return refused(StatusCode::NOT_FOUND, "NotFound");
        }
        let mut store = self.lock();
        let Some(name) = path.name else {
            return match *call.method {
                Method::GET => store.read_list(&path.collection, call.query),
                Method::POST => match store.refusal(&path.collection, Verb::Create) {
                    Some(words) => refused_by_test(words),
                    None => store.create(path.collection, call.body, call.query.contains("dryRun=All")),
                },
                _ => refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
            };
        };
        let key = Key { collection: path.collection, name: name.to_owned() };
        let verb = match *call.method {
            _ if path.subresource.is_some() => None,
            Method::PUT | Method::PATCH if store.get(&key).is_some() => Some(Verb::Change),
            Method::PATCH if call.patch_type == PatchType::Apply => Some(Verb::Create),
            Method::DELETE if store.get(&key).is_some() => Some(Verb::Delete),
            _ => None,
        };
        if let Some(words) = verb.and_then(|verb| store.refusal(&key.collection, verb)) {
            return refused_by_test(words);
        }
        match *call.method {
            Method::GET => store.read(&key),
            Method::PUT => store.replace(key, path.subresource, call.body),
            Method::PATCH if call.query.contains("dryRun=All") => {
                store.dry_run_patch(key, path.subresource, call.patch_type, &call.body)
            }
            Method::PATCH => store.patch(key, path.subresource, call.patch_type, &call.body),
            Method::DELETE => store.delete(&key, &call.body["preconditions"]),
            _ => refused(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key<K: Resource<DynamicType = ()>>(name: &str) -> Key {
    Key { collection: collection::<K>(), name: name.to_owned() }
}

#[cfg(test)]
mod tests;
