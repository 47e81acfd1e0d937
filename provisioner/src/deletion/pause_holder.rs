//! The request that has paused a database, as far as its deletion is concerned.

use kube::{Api, Client, ResourceExt};
use pgops_api::plan::{pause_owner_name, pause_owner_uid};
use pgops_api::{Postgres, PostgresOpsRequest};
use pgops_kube::ApiError;

/// Who has paused a database.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PauseHolder {
    /// May be working on it, as far as can be told.
    Active,
    /// A request that has ended, perhaps stuck, or does not exist any more.
    Ended,
}

/// Looks up who has paused a database that was deleted.
pub async fn pause_holder(client: &Client, database: &Postgres) -> Result<PauseHolder, ApiError> {
    let message = database.paused().and_then(|pause| pause.message.as_deref()).unwrap_or_default();
    let named = pause_owner_name(message).zip(pause_owner_uid(message));
    let Some((name, uid)) = named.filter(|_| database.metadata.deletion_timestamp.is_some()) else {
        return Ok(PauseHolder::Active);
    };
    let namespace = database.namespace().unwrap_or_default();
    let requests: Api<PostgresOpsRequest> = Api::namespaced(client.clone(), &namespace);
    let request = requests.get_opt(name).await.map_err(ApiError::on::<PostgresOpsRequest>("read", name))?;
    Ok(holder(request.as_ref(), uid))
}

fn holder(request: Option<&PostgresOpsRequest>, uid: &str) -> PauseHolder {
    match request {
        Some(request) if request.uid().as_deref() == Some(uid) && !request.phase().is_terminal() => {
            PauseHolder::Active
        }
        _ => PauseHolder::Ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::opsrequest::Phase;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::progressing("1", Phase::Progressing, PauseHolder::Active)]
    #[case::pending("1", Phase::Pending, PauseHolder::Active)]
    #[case::stuck("1", Phase::Failed, PauseHolder::Ended)]
    #[case::another_one_of_that_name("2", Phase::Progressing, PauseHolder::Ended)]
    fn pause_holder_is_active_until_its_request_ends(
        #[case] uid: &str,
        #[case] phase: Phase,
        #[case] expected: PauseHolder,
    ) {
        let request = json!({
            "apiVersion": "ops.kubedb.com/v1alpha1",
            "kind": "PostgresOpsRequest",
            "metadata": {"name": "orders-17", "uid": uid},
            "spec": {"type": "UpdateVersion", "databaseRef": {"name": "orders"}},
            "status": {"phase": phase},
        });
        let request: PostgresOpsRequest = serde_json::from_value(request).unwrap();
        assert_eq!(holder(Some(&request), "1"), expected);
        assert_eq!(holder(None, "1"), PauseHolder::Ended);
    }
}
