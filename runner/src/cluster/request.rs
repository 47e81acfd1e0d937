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
        let request = request.map_err(ApiError::on::<PostgresOpsRequest>("read", name))?;
        if self.is_planned(&request) { Ok(request) } else { Err(self.request_replaced()) }
    }

    /// Whether it is the request that the plan was made for, and not a later one of its name.
    fn is_planned(&self, request: &PostgresOpsRequest) -> bool {
        request.metadata.uid.as_ref() == Some(&self.plan.request_uid)
    }

    fn request_replaced(&self) -> ClusterError {
        ClusterError::Replaced { kind: "PostgresOpsRequest", name: self.plan.request.clone() }
    }

    /// Changes the request's status; `change` may run several times.
    pub async fn update_request(
        &self,
        change: impl Fn(&mut PostgresOpsRequest),
    ) -> Result<PostgresOpsRequest, ClusterError> {
        let name = self.plan.request.as_str();
        let written = with_retry(|| async {
            let mut request = self.requests.get(name).await?;
            if !self.is_planned(&request) {
                return Ok(None);
            }
            change(&mut request);
            self.requests.replace_status(name, &PostParams::default(), &request).await.map(Some)
        })
        .await;
        let written = written.map_err(ApiError::on::<PostgresOpsRequest>("write the status of", name))?;
        written.ok_or_else(|| self.request_replaced())
    }
}
