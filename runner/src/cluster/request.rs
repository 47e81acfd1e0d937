//! The `PostgresOpsRequest`.

use kube::api::PostParams;
use pgops_api::PostgresOpsRequest;

use super::client::Cluster;
use super::error::{ClusterError, api};
use super::retry::with_retry;

impl Cluster {
    pub async fn request(&self) -> Result<PostgresOpsRequest, ClusterError> {
        let name = &self.plan.request;
        with_retry(|| self.requests.get(name)).await.map_err(api(&format!("get request {name}")))
    }

    /// Changes the request's status; `change` may run several times.
    pub async fn update_request(
        &self,
        change: impl Fn(&mut PostgresOpsRequest),
    ) -> Result<PostgresOpsRequest, ClusterError> {
        let name = self.plan.request.as_str();
        with_retry(|| async {
            let mut request = self.requests.get(name).await?;
            change(&mut request);
            self.requests.replace_status(name, &PostParams::default(), &request).await
        })
        .await
        .map_err(api(&format!("write the status of request {name}")))
    }
}
