//! The active requests for a database, as the API server has them.

use std::ops::ControlFlow;

use kube::api::ListParams;
use kube::core::DeserializeGuard;
use kube::{Api, Client};
use pgops_api::PostgresOpsRequest;

/// Number of requests that are read at once: a namespace may have thousands that have ended.
const PAGE: u32 = 50;

/// Reads the active requests for a database page by page, until `visit` breaks. Those that cannot be read are left out.
pub async fn visit_active_requests(
    client: Client,
    namespace: &str,
    database: &str,
    mut visit: impl FnMut(PostgresOpsRequest) -> ControlFlow<()>,
) -> kube::Result<()> {
    let api: Api<DeserializeGuard<PostgresOpsRequest>> = Api::namespaced(client, namespace);
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        let readable = page.items.into_iter().filter_map(|request| request.0.ok());
        let mut active = readable.filter(|it| it.is_active() && it.spec.database_ref.name == database);
        if active.try_for_each(&mut visit).is_break() {
            return Ok(());
        }
        params.continue_token = page.metadata.continue_.filter(|token| !token.is_empty());
        if params.continue_token.is_none() {
            return Ok(());
        }
    }
}
