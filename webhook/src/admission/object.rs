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

/// An object as it came. Its metadata is read, and of that only what a rule is about: who wrote which field,
/// and what was last applied, are most of an object's text. The rest is read once it is clear by which rule.
#[derive(Debug, Deserialize)]
pub struct Object<'a> {
    /// What is known of every object.
    #[serde(default)]
    pub metadata: Metadata,
    /// What its owner wants.
    #[serde(borrow)]
    pub spec: Option<&'a RawValue>,
    /// What is the case.
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

/// The metadata that a rule is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// The name, if the object has one already.
    pub name: Option<String>,
    /// The beginning of its name otherwise.
    pub generate_name: Option<String>,
    uid: Option<String>,
    #[serde(deserialize_with = "of_pgops")]
    annotations: BTreeMap<String, String>,
    deletion_timestamp: Option<Time>,
}

impl Object<'_> {
    /// Whether it is on its way out.
    pub fn is_leaving(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Reads the whole of it. A failure names the field that cannot be read.
    pub fn read<K: Reviewed>(&self, namespace: Option<&str>) -> Result<K, String> {
        let Metadata { name, uid, annotations, deletion_timestamp, .. } = &self.metadata;
        let metadata = ObjectMeta {
            name: name.clone(),
            uid: uid.clone(),
            namespace: namespace.map(Into::into),
            annotations: Some(annotations.clone()),
            deletion_timestamp: deletion_timestamp.clone(),
            ..ObjectMeta::default()
        };
        let spec = part("spec", self.spec.ok_or("missing field `spec`")?)?;
        let status = self.status.map(|status| part("status", status)).transpose()?;
        Ok(K::assemble(metadata, spec, status))
    }

    /// A glance at the spec, where it cannot be read as a whole, or need not be.
    pub fn peek<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.spec?.get()).ok()
    }
}

fn part<T: DeserializeOwned>(name: &str, raw: &RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|error| {
        // The same failure with the field's path, and without the place in a text that nobody sees.
        let value: Option<serde_json::Value> = serde_json::from_str(raw.get()).ok();
        match value.and_then(|value| serde_path_to_error::deserialize::<_, T>(value).err()) {
            Some(error) if error.path().iter().len() > 0 => format!("{name}.{error}"),
            Some(error) => format!("{name}: {error}"),
            None => format!("{name}: {error}"),
        }
    })
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
