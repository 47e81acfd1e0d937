//! The objects, and what each verb does to them.

use std::collections::BTreeMap;

use http::StatusCode;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::object::Object;
use super::response::{Answer, refused};
use super::strategic_merge::strategic_merge;
use super::verbs::{PatchType, Verb};

/// What names an object.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Key {
    pub collection: String,
    pub name: String,
}

/// All objects.
#[derive(Default)]
pub(super) struct Store {
    objects: BTreeMap<Key, Object>,
    version: u64,
    recorded: Option<Recorded>,
    refusals: BTreeMap<(String, Verb), &'static str>,
}

/// The largest number of objects that met a condition at the same time.
struct Recorded {
    collection: String,
    condition: fn(&Value) -> bool,
    max: usize,
}

impl Store {
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn record_max(&mut self, collection: String, condition: fn(&Value) -> bool) {
        self.recorded = Some(Recorded { collection, condition, max: 0 });
        self.update_recorded();
    }

    pub(super) fn recorded_max(&self) -> usize {
        self.recorded.as_ref().map_or(0, |recorded| recorded.max)
    }

    pub(super) fn set_refusal(&mut self, collection: String, verb: Verb, words: Option<&'static str>) {
        match words {
            Some(words) => self.refusals.insert((collection, verb), words),
            None => self.refusals.remove(&(collection, verb)),
        };
    }

    pub(super) fn refusal(&self, collection: &str, verb: Verb) -> Option<&'static str> {
        self.refusals.get(&(collection.to_owned(), verb)).copied()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    pub(super) fn list(&self, collection: &str) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(move |(key, _)| key.collection == collection).map(|(_, object)| object)
    }

    pub(super) fn read(&self, key: &Key) -> Answer {
        match self.objects.get(key) {
            Some(object) => (StatusCode::OK, object.json().to_owned()),
            None => refused(StatusCode::NOT_FOUND, "NotFound"),
        }
    }

    /// The objects with all labels and fields of the selectors `KEY=VALUE,…`, if there are any.
    pub(super) fn read_list(&self, collection: &str, query: &str) -> Answer {
        let query = query.replace("%2F", "/").replace("%3D", "=").replace("%2C", ",");
        let labels = selector(&query, "labelSelector=");
        let fields = selector(&query, "fieldSelector=");
        let matches = |object: &&Object| {
            let found = &object.value()["metadata"]["labels"];
            labels.iter().all(|(key, value)| found[key].as_str() == Some(value))
                && fields.iter().all(|(path, value)| field(object.value(), path).as_str() == Some(value))
        };
        let items: Vec<&str> = self.list(collection).filter(matches).map(Object::json).collect();
        let metadata = json!({ "resourceVersion": self.version.to_string() });
        (StatusCode::OK, format!(r#"{{"metadata":{metadata},"items":[{}]}}"#, items.join(",")))
    }

    pub(super) fn create(&mut self, collection: String, object: Value, is_dry_run: bool) -> Answer {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let key = Key { collection, name };
        if self.objects.contains_key(&key) {
            return refused(StatusCode::CONFLICT, "AlreadyExists");
        }
        if is_dry_run {
            return (StatusCode::CREATED, object.to_string());
        }
        (StatusCode::CREATED, self.write(key, object))
    }

    pub(super) fn replace(&mut self, key: Key, subresource: Option<&str>, new: Value) -> Answer {
        self.update(key, &new.clone(), |object| match subresource {
            Some(part) => object[part] = new[part].clone(),
            None => *object = new,
        })
    }

    pub(super) fn patch(
        &mut self,
        key: Key,
        subresource: Option<&str>,
        patch_type: PatchType,
        changes: &Value,
    ) -> Answer {
        if patch_type == PatchType::Apply && self.get(&key).is_none() {
            return (StatusCode::CREATED, self.write(key, changes.clone()));
        }
        if patch_type == PatchType::Json {
            return self.patch_by_operations(key, changes);
        }
        // It has a kind of its own, whose spec is a part of the object's.
        let is_scale = subresource == Some("scale");
        let (status, body) = self.update(key, changes, |object| {
            let changes = match subresource {
                Some(part) if !is_scale => &json!({ part: changes[part] }),
                _ => changes,
            };
            match patch_type {
                PatchType::Strategic => strategic_merge(object, changes),
                PatchType::Merge | PatchType::Apply | PatchType::Json => json_patch::merge(object, changes),
            }
        });
        if is_scale && status.is_success() { (status, changes.to_string()) } else { (status, body) }
    }

    /// All operations apply, or none of them.
    fn patch_by_operations(&mut self, key: Key, operations: &Value) -> Answer {
        let Some(mut object) = self.objects.get(&key).map(|object| object.value().clone()) else {
            return refused(StatusCode::NOT_FOUND, "NotFound");
        };
        let operations: json_patch::Patch = serde_json::from_value(operations.clone()).unwrap();
        if json_patch::patch(&mut object, &operations).is_err() {
            return refused(StatusCode::UNPROCESSABLE_ENTITY, "Invalid");
        }
        (StatusCode::OK, self.write(key, object))
    }

    /// Answers as the patch would be answered, and stores nothing.
    pub(super) fn dry_run_patch(
        &mut self,
        key: Key,
        subresource: Option<&str>,
        patch_type: PatchType,
        changes: &Value,
    ) -> Answer {
        let version = self.version;
        let kept = self.objects.get(&key).map(|object| object.value().clone());
        let answer = self.patch(key.clone(), subresource, patch_type, changes);
        match kept {
            Some(kept) => self.objects.insert(key, Object::new(kept)),
            None => self.objects.remove(&key),
        };
        self.version = version;
        answer
    }

    /// Updates an object, unless what was sent names another version or uid than the stored one's.
    fn update(&mut self, key: Key, sent: &Value, change: impl FnOnce(&mut Value)) -> Answer {
        let Some(mut object) = self.objects.get(&key).map(|object| object.value().clone()) else {
            return refused(StatusCode::NOT_FOUND, "NotFound");
        };
        let version = &sent["metadata"]["resourceVersion"];
        if !version.is_null() && *version != object["metadata"]["resourceVersion"] {
            return refused(StatusCode::CONFLICT, "Conflict");
        }
        let uid = &sent["metadata"]["uid"];
        if !uid.is_null() && *uid != object["metadata"]["uid"] {
            return refused(StatusCode::UNPROCESSABLE_ENTITY, "Invalid");
        }
        change(&mut object);
        (StatusCode::OK, self.write(key, object))
    }

    pub(super) fn delete(&mut self, key: &Key, preconditions: &Value) -> Answer {
        let Some(object) = self.objects.get(key) else {
            return refused(StatusCode::NOT_FOUND, "NotFound");
        };
        let violates = |field: &str| {
            !preconditions[field].is_null() && preconditions[field] != object.value()["metadata"][field]
        };
        if violates("uid") || violates("resourceVersion") {
            return refused(StatusCode::CONFLICT, "Conflict");
        }
        let json = object.json().to_owned();
        self.version += 1;
        self.remove(key);
        (StatusCode::OK, json)
    }

    /// Stores the object in a new version, and returns its JSON. One that is being deleted disappears with its last
    /// finalizer.
    pub(super) fn write(&mut self, key: Key, mut object: Value) -> String {
        self.version += 1;
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!(self.version.to_string());
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-{}", self.version));
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = json!(Timestamp::now().to_string());
        }
        let is_released = metadata["finalizers"].as_array().is_none_or(Vec::is_empty);
        let is_deleted = !metadata["deletionTimestamp"].is_null() && is_released;
        let object = Object::new(object);
        let json = object.json().to_owned();
        if is_deleted {
            self.remove(&key);
        } else {
            self.objects.insert(key, object);
        }
        self.update_recorded();
        json
    }

    /// Removes the object, and everything that it owns.
    fn remove(&mut self, key: &Key) {
        let Some(object) = self.objects.remove(key) else { return };
        let uid = &object.value()["metadata"]["uid"];
        self.objects.retain(|_, other| other.value()["metadata"]["ownerReferences"][0]["uid"] != *uid);
    }

    fn update_recorded(&mut self) {
        let Some(Recorded { collection, condition, .. }) = &self.recorded else { return };
        let count = self.list(collection).filter(|object| condition(object.value())).count();
        if let Some(recorded) = &mut self.recorded {
            recorded.max = recorded.max.max(count);
        }
    }
}

/// The pairs of a selector in a decoded query.
fn selector<'a>(query: &'a str, name: &str) -> Vec<(&'a str, &'a str)> {
    let selector = query.split('&').find_map(|part| part.strip_prefix(name)).unwrap_or_default();
    selector.split(',').filter_map(|pair| pair.split_once('=')).collect()
}

fn field<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(object, |value, part| &value[part])
}
