//! The `PostgresOpsRequest`.

use kube::api::PostParams;
use pgops_api::PostgresOpsRequest;
use pgops_kube::ApiError;

use super::client::Cluster;
use super::error::ClusterError;
use super::retry::with_retry;

impl Cluster {
    pub async fn request(&self) -> Result<PostgresOpsRequest, ClusterError> {
        let name = &self.plan.request;
        let request = with_retry(|| self.requests.get(name)).await;
        Ok(request.map_err(ApiError::on::<PostgresOpsRequest>("read", name))?)
    }

    /// Changes the request's status; `change` may run several times.
    pub async fn update_request(
        &self,
        change: impl Fn(&mut PostgresOpsRequest),
    ) -> Result<PostgresOpsRequest, ClusterError> {
        let name = self.plan.request.as_str();
        let written = with_retry(|| async {
            let mut request = self.requests.get(name).await?;
            change(&mut request);
            self.requests.replace_status(name, &PostParams::default(), &request).await
        })
        .await;
        Ok(written.map_err(ApiError::on::<PostgresOpsRequest>("write the status of", name))?)
    }
}
