//! The claim on a database: the one request that may change it. It is an annotation of the `Postgres`, which the launcher writes.

use serde::{Deserialize, Serialize};

use crate::names::ANNOTATION_CLAIM;
use crate::{Postgres, PostgresOpsRequest};

/// Who holds a database: the JSON of its annotation.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Claim {
    /// Name of the request, which operators read.
    pub request: String,
    /// Uid of the request.
    pub uid: String,
    /// Uid of the Job that may work, if the request has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

impl Claim {
    /// The claim of a request, which allows the Job of that uid to work.
    #[must_use]
    pub fn of(request: &PostgresOpsRequest, job: Option<String>) -> Self {
        Self {
            request: request.metadata.name.clone().unwrap_or_default(),
            uid: request.metadata.uid.clone().unwrap_or_default(),
            job,
        }
    }

    /// The claim on the database, if any; an annotation that cannot be parsed is an error.
    pub fn on(database: &Postgres) -> Result<Option<Self>, &str> {
        let annotations = database.metadata.annotations.as_ref();
        let Some(text) = annotations.and_then(|all| all.get(ANNOTATION_CLAIM)) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|_| text.as_str())
    }

    /// Whether it is this request's.
    #[must_use]
    pub fn is_of(&self, request: &PostgresOpsRequest) -> bool {
        request.metadata.uid.as_ref() == Some(&self.uid)
    }
}
