//! Which requests are passed on: those that Patroni 4.1.5 makes for the objects of its own database, and one of the instance.

use hyper::Method;

use crate::call::{Call, Resource, ResourceVersion};
use crate::database::Database;
use crate::patch::Patch;
use crate::record::{PATCH_TYPE, Record};
use crate::refusal::Refusal;

#[cfg(test)]
mod tests;

/// A request, as far as the decision depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path and the query, undecoded, or whatever else the request line has.
    pub target: &'a str,
    /// The content type.
    pub content_type: Option<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// What a path names.
#[derive(Clone, Copy)]
enum Object {
    Collection(Resource),
    Record(Record),
    OwnPod,
    Database,
}

/// Decides about a request.
pub fn decide(database: &Database, request: Request<'_>) -> Result<Call, Refusal> {
    let (path, query) = request.target.split_once('?').unwrap_or((request.target, ""));
    let object = object(database, path).ok_or(Refusal::Path)?;
    match (object, request.method) {
        (Object::Collection(resource), &Method::GET) => {
            has_no_body(request)?;
            read_collection(database, resource, query)
        }
        (Object::Record(record), &Method::GET) => {
            has_no_body(request)?;
            has_no_query(query)?;
            Ok(Call::Read(record))
        }
        (Object::Database, &Method::GET) => {
            has_no_body(request)?;
            has_no_query(query)?;
            Ok(Call::ReadDatabase)
        }
        (Object::Record(record), &Method::PATCH) => {
            is_strategic_merge_patch(request)?;
            has_no_query(query)?;
            Patch::of_record(request.body, database, record).map(|patch| Call::PatchRecord(record, patch))
        }
        (Object::OwnPod, &Method::PATCH) => {
            is_strategic_merge_patch(request)?;
            has_no_query(query)?;
            Patch::of_pod(request.body, database).map(Call::PatchPod)
        }
        _ => Err(Refusal::Method(request.method.to_string())),
    }
}

/// Compares undecoded parts. The names of objects need no encoding, so an encoded part is none of them, and neither is `..`
/// or an empty part.
fn object(database: &Database, path: &str) -> Option<Object> {
    if path == database.path() {
        return Some(Object::Database);
    }
    let rest = path.strip_prefix("/api/v1/namespaces/")?.strip_prefix(database.namespace())?;
    let rest = rest.strip_prefix('/')?;
    let (resource, name) = match rest.split_once('/') {
        None => (rest, None),
        Some((resource, name)) => (resource, Some(name)),
    };
    let resource =
        [Resource::Pods, Resource::ConfigMaps].into_iter().find(|known| known.plural() == resource)?;
    match (resource, name) {
        (_, None) => Some(Object::Collection(resource)),
        (Resource::ConfigMaps, Some(name)) => database.record(name).map(Object::Record),
        (Resource::Pods, Some(name)) => (name == database.pod()).then_some(Object::OwnPod),
    }
}

fn read_collection(database: &Database, resource: Resource, query: &str) -> Result<Call, Refusal> {
    let (mut selector, mut watch, mut version) = (None, None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*key {
            "labelSelector" => &mut selector,
            "watch" => &mut watch,
            "resourceVersion" => &mut version,
            _ => return Err(Refusal::Query(key.into_owned())),
        };
        if slot.replace(value).is_some() {
            return Err(Refusal::Query(key.into_owned()));
        }
    }
    if selector.as_deref() != Some(&*database.selector()) {
        return Err(Refusal::Selector(database.selector()));
    }
    let version = version.as_deref().map(ResourceVersion::parse);
    match (watch.as_deref(), version) {
        (None, None) => Ok(Call::List(resource)),
        // In Python's spelling, which is Patroni's.
        (Some("True" | "true"), Some(Some(version))) => Ok(Call::Watch(resource, version)),
        (None, Some(_)) | (Some("True" | "true"), _) => Err(Refusal::Query("resourceVersion".to_owned())),
        (Some(_), _) => Err(Refusal::Query("watch".to_owned())),
    }
}

fn has_no_body(request: Request<'_>) -> Result<(), Refusal> {
    if request.body.is_empty() { Ok(()) } else { Err(Refusal::UnexpectedBody) }
}

/// Not even an empty parameter, such as `dryRun`.
fn has_no_query(query: &str) -> Result<(), Refusal> {
    match form_urlencoded::parse(query.as_bytes()).next() {
        None => Ok(()),
        Some((key, _)) => Err(Refusal::Query(key.into_owned())),
    }
}

fn is_strategic_merge_patch(request: Request<'_>) -> Result<(), Refusal> {
    if request.content_type == Some(PATCH_TYPE) { Ok(()) } else { Err(Refusal::ContentType) }
}
