//! `pgops-webhook worker-rights`: the rights of a worker as Markdown, for the documentation.

use std::fmt::Write;

use pgops_api::UpgradePlan;
use pgops_api::plan::Scope;

use crate::launcher::worker_rights;

/// Tables of the rights of an example's worker: those of an upgrade, and those of a dry run.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::new();
    let major = |scope| UpgradePlan { scope, ..UpgradePlan::example("13.23", "17.7") };
    let standbys = UpgradePlan { servers: 2, ..UpgradePlan::example("17.6", "17.7") };
    let workers = [
        ("Worker of an upgrade", major(Scope::Upgrade)),
        ("Worker of an upgrade with a standby", standbys),
        ("Worker of a dry run", major(Scope::DryRun)),
    ];
    for (title, plan) in workers {
        let _ = write!(text, "\n### {title}\n\n| resources | verbs | names | why |\n|---|---|---|---|\n");
        for right in worker_rights(&plan) {
            let resource = match right.group {
                "" => right.resource.to_owned(),
                group => format!("{}.{group}", right.resource),
            };
            let names = right.names.unwrap_or_default();
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            let names = if names.is_empty() { "any".to_owned() } else { names.join(", ") };
            let verbs = right.verbs.join(", ");
            let _ = writeln!(text, "| `{resource}` | {verbs} | {names} | {} |", right.why);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_of_a_dry_run_are_listed_apart() {
        let text = markdown();
        let (upgrade, dry_run) = text.split_once("### Worker of a dry run").unwrap();
        let image = "| `images.plan.pgops.dev` | set | `postgres:13.23`, `postgres:17.7` |";
        assert!(upgrade.contains(image) && !dry_run.contains(image), "{text}");
        let report = "| `configmaps` | get, patch | `orders-17-report`, `orders-17-3f9c21aa-report` |";
        assert!(upgrade.contains(report) && dry_run.contains(report), "{text}");
        assert!(upgrade.contains("| `configmaps` | patch | `orders-ha-17-failover` |"), "{text}");
    }
}
