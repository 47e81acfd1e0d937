//! What helps to debug a failed test.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::ListParams;

use crate::namespace::Namespace;

/// Prints the objects of a namespace, requests and databases in full, all logs, and the events.
///
/// An error while printing a part is only printed: the error of the test matters.
pub(crate) async fn print(ns: &Namespace) {
    show(ns, &["get", "pgops,pg,statefulsets,jobs,pods,pvc", "-o", "wide"]).await;
    show(ns, &["describe", "pgops"]).await;
    show(ns, &["describe", "pg"]).await;
    match ns.api::<Pod>().list(&ListParams::default()).await {
        Ok(pods) => {
            for pod in pods {
                let name = pod.name_any();
                let logs = ["logs", &name, "--all-containers", "--prefix", "--tail=300"];
                show(ns, &logs).await;
                let restarts =
                    pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
                if restarts.into_iter().any(|container| container.restart_count > 0) {
                    show(ns, &[&logs[..], &["--previous"]].concat()).await;
                }
            }
        }
        Err(error) => eprintln!("failed to list the pods: {error}"),
    }
    show(ns, &["get", "events", "--sort-by=.lastTimestamp"]).await;
}

async fn show(ns: &Namespace, args: &[&str]) {
    eprintln!("--- kubectl -n {} {}", ns.name(), args.join(" "));
    match ns.kubectl(args, None).await {
        Ok(output) => eprintln!("{}{}", output.stdout, output.stderr),
        Err(error) => eprintln!("{error:#}"),
    }
}
