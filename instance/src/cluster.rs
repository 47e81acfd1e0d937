//! The one object that an instance reads from the API server: the `Postgres`, which says whether the database was
//! initialised before.

use std::time::Duration;

use kube::{Api, Client};
use pgops_api::Postgres;

/// Timeout of a request, which is then made again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The API server refused the request.
    #[error("{0}")]
    Refused(String),
    /// The API server could not be reached.
    #[error("{0}")]
    Unreachable(kube::Error),
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout(#[from] tokio::time::error::Elapsed),
}

impl From<kube::Error> for NoAnswer {
    fn from(error: kube::Error) -> Self {
        match error {
            // Its message; the text of the error would add the whole response.
            kube::Error::Api(status) => Self::Refused(status.message),
            other => Self::Unreachable(other),
        }
    }
}

/// The pod's own `Postgres`; `None` if it does not exist.
pub async fn own_database(namespace: &str, name: &str) -> Result<Option<Postgres>, NoAnswer> {
    let request = async {
        let client = Client::try_default().await?;
        Api::namespaced(client, namespace).get_opt(name).await
    };
    Ok(tokio::time::timeout(TIMEOUT, request).await??)
}
