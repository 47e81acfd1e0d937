//! The calls of the API that Patroni makes, and their requests: made from what is known of the database, and not from
//! what the client has sent.

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
    /// The kind of the objects in the response.
    pub fn resource(&self) -> Resource {
        match self {
            Self::List(resource) | Self::Watch(resource, _) => *resource,
            Self::Read(_) | Self::PatchRecord(..) => Resource::ConfigMaps,
            Self::PatchPod(_) => Resource::Pods,
        }
    }

    /// The request of the call.
    pub fn outgoing(&self, database: &Database) -> Result<Outgoing, serde_json::Error> {
        let collection = format!("/api/v1/namespaces/{}/{}", database.namespace(), self.resource().plural());
        let object = |name: &str| format!("{collection}/{name}");
        let selected = |more: &[(&str, &str)]| {
            let path = format!("{collection}?");
            let start = path.len();
            let mut query = form_urlencoded::Serializer::for_suffix(path, start);
            query.append_pair("labelSelector", &database.selector()).extend_pairs(more);
            query.finish()
        };
        Ok(match self {
            Self::List(_) => get(selected(&[])),
            Self::Watch(_, since) => {
                get(selected(&[("watch", "true"), ("resourceVersion", since.0.as_str())]))
            }
            Self::Read(record) => get(object(&database.config_map(*record))),
            Self::PatchRecord(record, change) => patch(object(&database.config_map(*record)), change)?,
            Self::PatchPod(change) => patch(object(database.pod()), change)?,
        })
    }
}

fn get(target: String) -> Outgoing {
    Outgoing { method: Method::GET, target, body: Vec::new() }
}

fn patch(target: String, patch: &impl Serialize) -> Result<Outgoing, serde_json::Error> {
    Ok(Outgoing { method: Method::PATCH, target, body: serde_json::to_vec(patch)? })
}
