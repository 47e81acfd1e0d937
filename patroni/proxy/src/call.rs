//! The calls of the API that Patroni and the instance make, and their requests: made from what is known of the database, and not
//! from what the client has sent.

use hyper::Method;
use serde::Serialize;

use crate::database::Database;
use crate::patch::Patch;
use crate::record::Record;

/// A kind of objects, as paths name it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resource {
    /// The pods of the database.
    Pods,
    /// Every ConfigMap of the scope.
    ConfigMaps,
}

impl Resource {
    /// Its name in paths.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::ConfigMaps => "configmaps",
        }
    }
}

/// A call that is passed on.
#[derive(Debug, Eq, PartialEq)]
pub enum Call {
    /// Lists the objects of the scope.
    List(Resource),
    /// Watches the objects of the scope, from a version on.
    Watch(Resource, ResourceVersion),
    /// Reads a record.
    Read(Record),
    /// Changes a record.
    PatchRecord(Record, Patch),
    /// Changes the pod of this proxy.
    PatchPod(Patch),
    /// Reads the `Postgres`: the instance must know whether the database was initialised before.
    ReadDatabase,
}

/// A resource version of a list. Digits only, as that of every API server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ResourceVersion(String);

impl ResourceVersion {
    /// The version, if it can be one.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = 1..=20;
        (digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| Self(text.to_owned()))
    }
}

/// What is sent to the API server.
#[derive(Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub target: String,
    /// Its body: a strategic merge patch, if it is not empty.
    pub body: Vec<u8>,
}

impl Call {
    /// The kind of Patroni's objects in the response; none if it is the `Postgres`.
    pub fn resource(&self) -> Option<Resource> {
        match self {
            Self::List(resource) | Self::Watch(resource, _) => Some(*resource),
            Self::Read(_) | Self::PatchRecord(..) => Some(Resource::ConfigMaps),
            Self::PatchPod(_) => Some(Resource::Pods),
            Self::ReadDatabase => None,
        }
    }

    /// The request of the call.
    pub fn outgoing(&self, database: &Database) -> Result<Outgoing, serde_json::Error> {
        let collection =
            |resource: Resource| format!("/api/v1/namespaces/{}/{}", database.namespace(), resource.plural());
        let record =
            |record: Record| format!("{}/{}", collection(Resource::ConfigMaps), database.config_map(record));
        let selected = |resource: Resource, more: &[(&str, &str)]| {
            let path = format!("{}?", collection(resource));
            let start = path.len();
            let mut query = form_urlencoded::Serializer::for_suffix(path, start);
            query.append_pair("labelSelector", &database.selector()).extend_pairs(more);
            query.finish()
        };
        Ok(match self {
            Self::List(resource) => get(selected(*resource, &[])),
            Self::Watch(resource, since) => {
                get(selected(*resource, &[("watch", "true"), ("resourceVersion", since.0.as_str())]))
            }
            Self::Read(which) => get(record(*which)),
            Self::PatchRecord(which, change) => patch(record(*which), change)?,
            Self::PatchPod(change) => {
                patch(format!("{}/{}", collection(Resource::Pods), database.pod()), change)?
            }
            Self::ReadDatabase => get(database.path()),
        })
    }
}

fn get(target: String) -> Outgoing {
    Outgoing { method: Method::GET, target, body: Vec::new() }
}

fn patch(target: String, patch: &impl Serialize) -> Result<Outgoing, serde_json::Error> {
    Ok(Outgoing { method: Method::PATCH, target, body: serde_json::to_vec(patch)? })
}
