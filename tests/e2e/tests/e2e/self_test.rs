//! The chart's test, as `helm test` runs it.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::core::v1::Pod;
use pgops_e2e::{ChartPart, wait_for, with_namespace};

const TIMEOUT: Duration = Duration::from_mins(3);

#[tokio::test]
async fn self_test_gets_the_answer_of_the_webhook() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let test = ChartPart::render(ns, "pgops-e2e-test", &["self-test.yaml"]).await?;
        test.apply().await?;
        let name = "pgops-e2e-test-self-test";
        let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
        let ended = |pod: Option<&Pod>| {
            pod.and_then(phase).is_some_and(|phase| ["Succeeded", "Failed"].contains(&phase.as_str()))
        };
        let pod = wait_for(&ns.api(), name, "the end of the test", TIMEOUT, ended).await?;
        let log = ns.kubectl(&["logs", name], None).await?.succeeded()?.stdout;
        ensure!(phase(&pod.context("the pod was deleted")?).as_deref() == Some("Succeeded"), "{log}");
        ensure!(log.contains("denied the request"), "{log}");
        Ok(())
    })
    .await
}
