//! The one question that an instance asks the API server: was this database initialised before?

use std::time::Duration;

use kube::{Api, Client};
use pgops_api::Postgres;

/// Longest time that an answer may take; then the question is asked anew.
const LIMIT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// The API server says no.
    #[error("{0}")]
    Refused(String),
    /// The way to the API server.
    #[error("{0}")]
    Unreachable(kube::Error),
    /// Silence.
    #[error("no answer within {} s", LIMIT.as_secs())]
    Late(#[from] tokio::time::error::Elapsed),
}

impl From<kube::Error> for NoAnswer {
    fn from(error: kube::Error) -> Self {
        match error {
            // Its own words; the error's would add the whole answer.
            kube::Error::Api(status) => Self::Refused(status.message),
            other => Self::Unreachable(other),
        }
    }
}

/// The pod's own `Postgres`; `None` if there is none.
pub async fn own_database(namespace: &str, name: &str) -> Result<Option<Postgres>, NoAnswer> {
    let ask = async {
        let client = Client::try_default().await?;
        Api::namespaced(client, namespace).get_opt(name).await
    };
    Ok(tokio::time::timeout(LIMIT, ask).await??)
}
