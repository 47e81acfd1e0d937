//! The one object that an instance reads from the API server: the `Postgres`, which says whether the database was
//! initialised before.

use std::time::Duration;

use kube::Api;
use pgops_api::{Postgres, display_chain};
use pgops_kube::connect::{self, ConnectError};

/// Timeout of a request, which is then made again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// There is no API server to query.
    #[error("{}", display_chain(.0))]
    NotConnected(#[from] ConnectError),
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
        let client = connect::client(connect::in_cluster()?)?;
        Ok::<_, NoAnswer>(Api::namespaced(client, namespace).get_opt(name).await?)
    };
    tokio::time::timeout(TIMEOUT, request).await?
}
