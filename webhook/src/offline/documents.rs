//! A catalog from a file, in the form that `kubectl apply -f` accepts, parsed into the same types.

use std::io::Read;

use pgops_api::PostgresVersion;
use pgops_api::postgresversion::PostgresVersionSpec;
use serde_json::Value;
use serde_saphyr::Spanned;

const GROUP_VERSION: &str = "catalog.kubedb.com/v1alpha1";
const KIND: &str = "PostgresVersion";

/// The content of a file.
#[derive(Debug, Default)]
pub struct Documents {
    /// The catalog entries in the order of the file. Each has a name, and the names are unique.
    pub versions: Vec<PostgresVersion>,
    /// One message for each object of another kind, which is ignored.
    pub skipped: Vec<String>,
}

/// A file that is not a catalog.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not YAML, or larger than the parser's limits.
    #[error("failed to read the YAML")]
    Syntax(#[source] Box<serde_saphyr::Error>),
    /// YAML that is not a Kubernetes object.
    #[error("{place}: {field}: {message}")]
    NotAnObject {
        /// The document.
        place: String,
        /// The missing field.
        field: &'static str,
        /// What is expected.
        message: &'static str,
    },
    /// A `PostgresVersion` that the API server would reject.
    #[error("failed to read {place}")]
    Invalid {
        /// The document.
        place: String,
        /// Names the field.
        #[source]
        source: serde_path_to_error::Error<serde_json::Error>,
    },
    /// Two entries with the same name: neither may be preferred silently.
    #[error(
        "{place}: metadata.name: the file already has a PostgresVersion of this name; remove one of the two"
    )]
    Duplicate {
        /// The second document.
        place: String,
    },
    /// A file without any entry, most likely the wrong file.
    #[error("it contains no PostgresVersion")]
    Empty,
}

impl Documents {
    /// Reads YAML documents or lists of them; empty ones are ignored.
    pub fn read(mut input: impl Read) -> Result<Self, DocumentError> {
        let mut documents = Self::default();
        let yaml = serde_saphyr::read_with_options::<_, Spanned<Value>>(&mut input, options());
        for document in yaml {
            let document = document.map_err(|error| DocumentError::Syntax(Box::new(error)))?;
            let place = format!("the document at line {}", document.referenced.line());
            documents.add(document.value, &place)?;
        }
        if documents.versions.is_empty() {
            return Err(DocumentError::Empty);
        }
        Ok(documents)
    }

    /// Names and specs of the entries.
    pub fn named(&self) -> impl Iterator<Item = (&str, &PostgresVersionSpec)> {
        self.versions.iter().filter_map(|version| Some((version.metadata.name.as_deref()?, &version.spec)))
    }

    fn add(&mut self, mut object: Value, place: &str) -> Result<(), DocumentError> {
        let missing = |field, message| DocumentError::NotAnObject { place: place.to_owned(), field, message };
        let text = |field: &str| object[field].as_str().map(str::to_owned);
        let kind = text("kind").ok_or_else(|| missing("kind", "expected a Kubernetes object"))?;
        let group_version =
            text("apiVersion").ok_or_else(|| missing("apiVersion", "expected a Kubernetes object"))?;
        match (group_version.as_str(), kind.as_str()) {
            (GROUP_VERSION, KIND) => self.add_version(object, place),
            ("v1", "List") | (GROUP_VERSION, "PostgresVersionList") => {
                let Value::Array(items) = object["items"].take() else {
                    return Err(missing("items", "expected a list"));
                };
                items.into_iter().enumerate().filter(|(_, item)| !item.is_null()).try_for_each(
                    |(at, mut item)| {
                        // The API server omits both in the items of a typed list.
                        if let (Value::Object(fields), "PostgresVersionList") = (&mut item, kind.as_str()) {
                            fields.entry("apiVersion").or_insert(GROUP_VERSION.into());
                            fields.entry("kind").or_insert(KIND.into());
                        }
                        self.add(item, &format!("{place}, items[{at}]"))
                    },
                )
            }
            _ => {
                let name = object["metadata"]["name"].as_str().unwrap_or("(unnamed)");
                self.skipped.push(format!("skipped {kind} {name} ({group_version})"));
                Ok(())
            }
        }
    }

    fn add_version(&mut self, mut object: Value, place: &str) -> Result<(), DocumentError> {
        drop_unset(&mut object);
        let message = "expected a string; put a number in quotes, or 17.10 becomes 17.1";
        let Some(name) = object["metadata"]["name"].as_str() else {
            let place = place.to_owned();
            let field = "metadata.name";
            return Err(DocumentError::NotAnObject { place, field, message });
        };
        let place = format!("{KIND} \"{name}\" ({place})");
        if object["spec"]["version"].is_number() {
            return Err(DocumentError::NotAnObject { place, field: "spec.version", message });
        }
        let version: PostgresVersion = serde_path_to_error::deserialize(object)
            .map_err(|source| DocumentError::Invalid { place: place.clone(), source })?;
        if self.versions.iter().any(|other| other.metadata.name == version.metadata.name) {
            return Err(DocumentError::Duplicate { place });
        }
        self.versions.push(version);
        Ok(())
    }
}

/// Removes null fields, which Helm and Go write for unset ones, and an empty distribution.
fn drop_unset(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| !(field.is_null() || name == "distribution" && *field == ""));
            fields.values_mut().for_each(drop_unset);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_unset),
        _ => {}
    }
}

fn options() -> serde_saphyr::Options {
    // Comments are not needed, and the parser limits their number if it keeps them.
    serde_saphyr::options! { emit_comments: false }
}
