//! A catalog from a file: what `kubectl apply -f` would take, read by the same types.

use std::io::Read;

use pgops_api::PostgresVersion;
use pgops_api::postgresversion::PostgresVersionSpec;
use serde_json::Value;
use serde_saphyr::Spanned;

const GROUP_VERSION: &str = "catalog.kubedb.com/v1alpha1";
const KIND: &str = "PostgresVersion";

/// What a file holds.
#[derive(Debug, Default)]
pub struct Documents {
    /// The catalog's entries, in the order of the file. Each has a name, and no two have the same.
    pub versions: Vec<PostgresVersion>,
    /// One line for each object that is none, to be told and otherwise forgotten.
    pub passed_over: Vec<String>,
}

/// A file that is no catalog.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// No YAML, or more of it than anyone would write.
    #[error("failed to read the YAML")]
    Syntax(#[source] Box<serde_saphyr::Error>),
    /// YAML that is no object of Kubernetes.
    #[error("{place}: {field}: {message}")]
    NoObject {
        /// The document.
        place: String,
        /// What is missing in it.
        field: &'static str,
        /// What was expected.
        message: &'static str,
    },
    /// A `PostgresVersion` that the API server would refuse.
    #[error("failed to read {place}")]
    Shape {
        /// The document.
        place: String,
        /// Names the field.
        #[source]
        source: serde_path_to_error::Error<serde_json::Error>,
    },
    /// Which of the two decides could only be guessed.
    #[error(
        "{place}: metadata.name: a PostgresVersion of this name stands before it in the file; remove one of the two"
    )]
    Twice {
        /// The second document.
        place: String,
    },
    /// Most likely another file was meant.
    #[error("there is no PostgresVersion in it")]
    Nothing,
}

impl Documents {
    /// Reads YAML documents, or lists of them. Empty ones count for nothing.
    pub fn read(mut input: impl Read) -> Result<Self, DocumentError> {
        let mut documents = Self::default();
        let yaml = serde_saphyr::read_with_options::<_, Spanned<Value>>(&mut input, options());
        for document in yaml {
            let document = document.map_err(|error| DocumentError::Syntax(Box::new(error)))?;
            let place = format!("the document in line {}", document.referenced.line());
            documents.take(document.value, &place)?;
        }
        if documents.versions.is_empty() {
            return Err(DocumentError::Nothing);
        }
        Ok(documents)
    }

    /// Names and specs of the entries.
    pub fn named(&self) -> impl Iterator<Item = (&str, &PostgresVersionSpec)> {
        self.versions.iter().filter_map(|version| Some((version.metadata.name.as_deref()?, &version.spec)))
    }

    fn take(&mut self, mut object: Value, place: &str) -> Result<(), DocumentError> {
        let missing = |field, message| DocumentError::NoObject { place: place.to_owned(), field, message };
        let text = |field: &str| object[field].as_str().map(str::to_owned);
        let kind = text("kind").ok_or_else(|| missing("kind", "expected an object of Kubernetes"))?;
        let group_version =
            text("apiVersion").ok_or_else(|| missing("apiVersion", "expected an object of Kubernetes"))?;
        match (group_version.as_str(), kind.as_str()) {
            (GROUP_VERSION, KIND) => self.keep(object, place),
            ("v1", "List") | (GROUP_VERSION, "PostgresVersionList") => {
                let Value::Array(items) = object["items"].take() else {
                    return Err(missing("items", "expected a list"));
                };
                items.into_iter().enumerate().filter(|(_, item)| !item.is_null()).try_for_each(
                    |(at, mut item)| {
                        // The API server leaves both out of the items of a typed list.
                        if let (Value::Object(fields), "PostgresVersionList") = (&mut item, kind.as_str()) {
                            fields.entry("apiVersion").or_insert(GROUP_VERSION.into());
                            fields.entry("kind").or_insert(KIND.into());
                        }
                        self.take(item, &format!("{place}, items[{at}]"))
                    },
                )
            }
            _ => {
                let name = object["metadata"]["name"].as_str().unwrap_or("without a name");
                self.passed_over.push(format!("passed over {kind} {name} ({group_version})"));
                Ok(())
            }
        }
    }

    fn keep(&mut self, mut object: Value, place: &str) -> Result<(), DocumentError> {
        drop_unset(&mut object);
        let message = "expected a text; put a number in quotes, or 17.10 becomes 17.1";
        let Some(name) = object["metadata"]["name"].as_str() else {
            let (place, field) = (place.to_owned(), "metadata.name");
            return Err(DocumentError::NoObject { place, field, message });
        };
        let place = format!("{KIND} \"{name}\" ({place})");
        if object["spec"]["version"].is_number() {
            return Err(DocumentError::NoObject { place, field: "spec.version", message });
        }
        let version: PostgresVersion = serde_path_to_error::deserialize(object)
            .map_err(|source| DocumentError::Shape { place: place.clone(), source })?;
        if self.versions.iter().any(|other| other.metadata.name == version.metadata.name) {
            return Err(DocumentError::Twice { place });
        }
        self.versions.push(version);
        Ok(())
    }
}

/// A field that is null, as Helm and Go write it, is one that is left out; so is a distribution that
/// is an empty text.
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
    // Comments decide nothing, and their number is limited where they are kept.
    serde_saphyr::options! { emit_comments: false }
}
