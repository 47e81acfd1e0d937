//! The object under review, and parsing it into a typed one.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use pgops_api::{Postgres, PostgresOpsRequest, PostgresVersion, names};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::bounds::{MAX_ANNOTATIONS, has_few_values, too_many_values};

/// A kind that has rules.
pub trait ReviewedObject: Resource + Sized {
    /// Its spec.
    type Spec: DeserializeOwned + PartialEq;
    /// Its status, as far as rules need it.
    type Status: DeserializeOwned;

    /// Builds the object from its parts.
    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self;
    /// Its spec.
    fn spec(&self) -> &Self::Spec;
}

impl ReviewedObject for Postgres {
    type Spec = pgops_api::postgres::PostgresSpec;
    type Status = pgops_api::postgres::PostgresStatus;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, status: Option<Self::Status>) -> Self {
        Self { metadata, spec, status }
    }

    fn spec(&self) -> &Self::Spec {
        &self.spec
    }
}

impl ReviewedObject for PostgresOpsRequest {
    type Spec = pgops_api::opsrequest::PostgresOpsRequestSpec;
    /// No rule reads it.
    type Status = IgnoredAny;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, _: Option<IgnoredAny>) -> Self {
        Self { metadata, spec, status: None }
    }

    fn spec(&self) -> &Self::Spec {
        &self.spec
    }
}

impl ReviewedObject for PostgresVersion {
    type Spec = pgops_api::postgresversion::PostgresVersionSpec;
    type Status = IgnoredAny;

    fn assemble(metadata: ObjectMeta, spec: Self::Spec, _: Option<IgnoredAny>) -> Self {
        Self { metadata, spec }
    }

    fn spec(&self) -> &Self::Spec {
        &self.spec
    }
}

/// The object as received. Only the metadata is parsed, and of that only what rules need: managed fields and
/// the last applied configuration are most of an object's text. Spec and status are parsed once the rule is
/// known.
#[derive(Debug, Deserialize)]
pub struct Object<'a> {
    /// The metadata that rules need.
    #[serde(default)]
    pub metadata: Metadata,
    /// The raw spec.
    #[serde(borrow)]
    pub spec: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
}

/// The metadata that rules need.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// The name; none if the API server has yet to generate it.
    pub name: Option<String>,
    /// The prefix of a name to generate.
    pub generate_name: Option<String>,
    uid: Option<String>,
    #[serde(deserialize_with = "pgops_entries")]
    annotations: BTreeMap<String, String>,
    /// The labels of pgops.
    #[serde(deserialize_with = "pgops_entries")]
    pub labels: BTreeMap<String, String>,
    deletion_timestamp: Option<Time>,
}

impl Metadata {
    /// Length in bytes of the longest name or uid.
    pub fn longest_identifier(&self) -> usize {
        let texts = [&self.name, &self.generate_name, &self.uid];
        texts.into_iter().flatten().map(String::len).max().unwrap_or_default()
    }
}

impl Object<'_> {
    /// Whether its deletion has been requested.
    pub fn is_being_deleted(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// The value of an annotation of pgops.
    pub fn annotation(&self, name: &str) -> Option<&str> {
        self.metadata.annotations.get(name).map(String::as_str)
    }

    /// Whether an annotation lifts the guards on it.
    pub fn overrides_guards(&self) -> bool {
        names::overrides_guards(Some(&self.metadata.annotations))
    }

    /// Parses the whole object. The error names the field that cannot be parsed.
    pub fn parse<K: ReviewedObject>(&self, namespace: Option<&str>) -> Result<K, String> {
        let Metadata { name, uid, annotations, deletion_timestamp, .. } = &self.metadata;
        let metadata = ObjectMeta {
            name: name.clone(),
            uid: uid.clone(),
            namespace: namespace.map(Into::into),
            annotations: Some(annotations.clone()),
            deletion_timestamp: deletion_timestamp.clone(),
            ..ObjectMeta::default()
        };
        let spec = parse_part("spec", self.spec.ok_or("missing field `spec`")?)?;
        let status = self.status.map(|status| parse_part("status", status)).transpose()?;
        Ok(K::assemble(metadata, spec, status))
    }

    /// The text of the spec.
    pub fn raw_spec(&self) -> Option<&str> {
        self.spec.map(RawValue::get)
    }

    /// Parses some fields of the spec, if it cannot or need not be parsed as a whole.
    pub fn peek_spec<T: DeserializeOwned>(&self) -> Option<T> {
        let spec = self.spec.map(RawValue::get).filter(|spec| has_few_values(spec))?;
        serde_json::from_str(spec).ok()
    }
}

fn parse_part<T: DeserializeOwned>(name: &str, raw: &RawValue) -> Result<T, String> {
    if !has_few_values(raw.get()) {
        return Err(too_many_values(name));
    }
    serde_json::from_str(raw.get()).map_err(|error| {
        // Parse again for an error with the field's path, without a line and column that the user cannot see.
        let value: Option<serde_json::Value> = serde_json::from_str(raw.get()).ok();
        match value.and_then(|value| serde_path_to_error::deserialize::<_, T>(value).err()) {
            Some(error) if error.path().iter().len() > 0 => format!("{name}.{error}"),
            Some(error) => format!("{name}: {error}"),
            None => format!("{name}: {error}"),
        }
    })
}

/// Keeps only the annotations or labels of pgops.
fn pgops_entries<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct PgopsEntries;

    impl<'de> Visitor<'de> for PgopsEntries {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("annotations or labels")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeMap::new();
            while let Some(key) = map.next_key::<String>()? {
                if key.starts_with(names::PREFIX) {
                    if found.len() == MAX_ANNOTATIONS {
                        let error = format!("more than {MAX_ANNOTATIONS} annotations or labels of pgops");
                        return Err(serde::de::Error::custom(error));
                    }
                    found.insert(key, map.next_value()?);
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(found)
        }
    }

    deserializer.deserialize_any(PgopsEntries)
}
