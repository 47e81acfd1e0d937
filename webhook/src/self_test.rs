//! `pgops-webhook self-test`: whether the API server asks this installation about requests, and gets an answer.
//!
//! It sends a request that must be denied, as a dry run: nothing is stored, and no database is needed.

use std::time::Duration;

use anyhow::{Context, bail};
use kube::api::PostParams;
use kube::{Api, Client};
use pgops_api::PostgresOpsRequest;
use pgops_kube::status::is_unavailable;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::args::SelfTestArgs;

/// Until the replicas of an installation that was just made are ready, and API servers know their CA.
const READY_TIMEOUT: Duration = Duration::from_mins(2);
const RETRY: Duration = Duration::from_secs(2);
/// How the API server's message begins if the webhook has denied a request.
const DENIED: &str = "admission webhook \"postgresopsrequests.pgops.dev\" denied the request";

/// What the API server's response says about admission.
#[derive(Debug, PartialEq)]
enum Answer {
    /// The webhook has answered.
    Judged(String),
    /// It may answer later.
    Unavailable(String),
    /// It was not asked, or something else is wrong.
    NotJudged(String),
}

/// Fails unless the webhook denies a request for a database that does not exist.
pub async fn run(args: SelfTestArgs) -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("failed to install the crypto provider: another one is installed");
    }
    test(args.connect.connect().await?, &args.namespace).await
}

async fn test(client: Client, namespace: &str) -> anyhow::Result<()> {
    let requests: Api<PostgresOpsRequest> = Api::namespaced(client, namespace);
    let request = request().context("failed to make a request")?;
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        match assess(requests.create(&dry_run, &request).await) {
            Answer::Judged(message) => {
                println!("pgops answers: {message}");
                return Ok(());
            }
            Answer::Unavailable(_) if Instant::now() < deadline => sleep(RETRY).await,
            Answer::Unavailable(problem) | Answer::NotJudged(problem) => bail!(problem),
        }
    }
}

fn request() -> serde_json::Result<PostgresOpsRequest> {
    serde_json::from_value(json!({
        "apiVersion": "ops.kubedb.com/v1alpha1",
        "kind": "PostgresOpsRequest",
        "metadata": { "name": "pgops-self-test" },
        "spec": {
            "type": "UpdateVersion",
            "databaseRef": { "name": "pgops-self-test-absent" },
            "updateVersion": { "targetVersion": "pgops-self-test-absent" },
        },
    }))
}

fn assess(result: kube::Result<PostgresOpsRequest>) -> Answer {
    match result {
        Ok(_) => Answer::NotJudged(
            "the API server admits a request for a database that does not exist, without asking pgops: check the \
             ValidatingWebhookConfiguration, and the replicas of the webhook if its failurePolicy is Ignore"
                .to_owned(),
        ),
        Err(kube::Error::Api(status)) if status.message.contains(DENIED) => Answer::Judged(status.message),
        Err(error) if is_unavailable(&error) => {
            Answer::Unavailable(format!("the API server cannot ask pgops: {error}"))
        }
        Err(error) => Answer::NotJudged(format!("the API server does not ask pgops: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;
    use rstest::rstest;

    fn failure(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
    }

    #[test]
    fn denial_by_the_webhook_passes_the_self_test() {
        let message = format!("{DENIED}: Postgres demo/pgops-self-test-absent does not exist");
        assert_eq!(assess(Err(failure(403, &message))), Answer::Judged(message));
    }

    #[test]
    fn admitted_request_fails_the_self_test() {
        let Answer::NotJudged(problem) = assess(Ok(request().unwrap())) else { panic!("it was not judged") };
        assert!(problem.contains("ValidatingWebhookConfiguration"), "{problem}");
    }

    #[rstest]
    #[case::no_replica_is_ready(500, "failed calling webhook \"postgresopsrequests.pgops.dev\"", true)]
    #[case::no_rights(403, "postgresopsrequests.ops.kubedb.com is forbidden: User cannot create", false)]
    #[case::no_definitions(404, "404 page not found", false)]
    fn error_of_the_api_server_is_repeated_only_if_it_may_pass(
        #[case] code: u16,
        #[case] message: &str,
        #[case] may_pass: bool,
    ) {
        let answer = assess(Err(failure(code, message)));
        assert_eq!(matches!(answer, Answer::Unavailable(_)), may_pass, "{answer:?}");
        assert!(format!("{answer:?}").contains(&message[..10]), "{answer:?}");
    }
}
