//! From an object as it came to what the rules read of it.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use pgops_api::{Postgres, PostgresOpsRequest, PostgresVersion, names};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A kind that rules are about.
pub trait Reviewed: Resource + Sized {
    /// What its owner wants.
    type Spec: DeserializeOwned + PartialEq;
    /// What is the case.
    type Status: DeserializeOwned;

    /// The object of these parts.
    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;
    /// What its owner wants.
    fn spec(&self) -> &Self::Spec;
}

impl Reviewed for Postgres {
    type Spec = pgops_api::postgres::PostgresSpec;
    type Status = pgops_api::postgres::PostgresStatus;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
        Self { metadata, spec, status }
    }

    fn spec(&self) -> &Self::Spec {
        &self.spec
    }
}

impl Reviewed for PostgresOpsRequest {
    type Spec = pgops_api::opsrequest::PostgresOpsRequestSpec;
    /// Nothing that a review asks depends on it.
    type Status = IgnoredAny;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, _: Option<IgnoredAny>) -> Self {
        Self { metadata, spec, status: None }
    }

    fn spec(&self) -> &Self::Spec {
        &self.spec
    }
}

impl Reviewed for PostgresVersion {
    type Spec = pgops_api::postgresversion::PostgresVersionSpec;
    type Status = IgnoredAny;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, _: Option<IgnoredAny>) -> Self {
        Self { metadata, spec }
    }

    fn spec(&self) -> &Self::Spec {
        &self.spec
    }
}

#[derive(Deserialize)]
struct Object<S, T> {
    #[serde(default)]
    metadata: Metadata,
    spec: S,
    status: Option<T>,
}

/// The metadata that a rule is about. Who wrote which field, and what was last applied, are most of an
/// object's text.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    uid: Option<String>,
    #[serde(deserialize_with = "of_pgops")]
    annotations: BTreeMap<String, String>,
    deletion_timestamp: Option<Time>,
}

/// Reads the object. A failure names the field that cannot be read.
pub fn read<K: Reviewed>(raw: &RawValue, namespace: Option<&str>) -> Result<K, String> {
    let object = match serde_json::from_str::<Object<K::Spec, K::Status>>(raw.get()) {
        Ok(object) => object,
        Err(error) => return Err(name_the_field::<K>(raw).unwrap_or_else(|| error.to_string())),
    };
    let Metadata { name, uid, annotations, deletion_timestamp } = object.metadata;
    let metadata = ObjectMeta {
        name,
        uid,
        namespace: namespace.map(Into::into),
        annotations: Some(annotations),
        deletion_timestamp,
        ..ObjectMeta::default()
    };
    Ok(K::assemble(metadata, object.spec, object.status))
}

/// The same failure with the field's path and without the place in a text that nobody sees.
fn name_the_field<K: Reviewed>(raw: &RawValue) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(raw.get()).ok()?;
    let read = serde_path_to_error::deserialize::<_, Object<K::Spec, K::Status>>(value);
    read.err().map(|error| error.to_string())
}

/// A glance at an object that cannot be read as a whole, or need not be.
pub fn peek<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Option<T> {
    serde_json::from_str(raw.get()).ok()
}

/// Whether the object is on its way out.
pub fn is_leaving(raw: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Leaving {
        metadata: Timestamp,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Timestamp {
        deletion_timestamp: Option<IgnoredAny>,
    }
    peek::<Leaving>(raw).is_some_and(|it| it.metadata.deletion_timestamp.is_some())
}

/// The annotations that pgops gives a meaning to.
fn of_pgops<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct OfPgops;

    impl<'de> Visitor<'de> for OfPgops {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("annotations")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeMap::new();
            while let Some(key) = map.next_key::<String>()? {
                if key.starts_with(names::PREFIX) {
                    found.insert(key, map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }

    deserializer.deserialize_any(OfPgops)
}
