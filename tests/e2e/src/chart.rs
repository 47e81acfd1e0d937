//! The chart, rendered or installed for one namespace; and the shared installation.

use std::path::Path;

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::cluster::Cluster;
use crate::kubectl::{Output, kubectl};
use crate::namespace::Namespace;

/// Runs helm from PATH in a namespace; returns its output.
async fn helm(command: &[&str], namespace: &str, values: &[&str]) -> anyhow::Result<String> {
    let mut helm = Command::new("helm");
    helm.args(command).args(["--namespace", namespace]).kill_on_drop(true);
    for value in values {
        helm.args(["--set", value]);
    }
    let output =
        helm.output().await.context("failed to run helm: it must be on PATH, as in `tests/cluster/exec`")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let message = text(&output.stderr);
    ensure!(output.status.success(), "helm {} failed: {message}{}", command[0], text(&output.stdout));
    Ok(text(&output.stdout))
}

/// Installs or renders the chart for a namespace.
async fn helm_with_chart(
    command: &[&str],
    ns: &Namespace,
    release: &str,
    options: &[&str],
    values: &[&str],
) -> anyhow::Result<String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let chart = tests.join("../charts/pgops").display().to_string();
    let file = tests.join("values.yaml").display().to_string();
    let command = [command, &[release, &chart, "--values", &file], options].concat();
    let watched = format!("watchNamespaces={{{}}}", ns.name());
    let registry = format!("images.registry={}", ns.cluster().registry);
    helm(&command, ns.name(), &[&[watched.as_str(), registry.as_str()][..], values].concat()).await
}

/// The installation that all tests share. A test that changes it runs alone.
pub struct SharedRelease<'a>(pub &'a Cluster);

impl SharedRelease<'_> {
    const NAME: &'static str = "pgops";

    /// Replaces the pods of all components by an upgrade of the release that changes their annotations.
    pub async fn upgrade(&self, annotation: &str) -> anyhow::Result<()> {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/pgops").display().to_string();
        let value = format!("podAnnotations.e2e={annotation}");
        let command = [
            "upgrade",
            Self::NAME,
            &chart,
            "--reuse-values",
            "--wait",
            "--timeout=3m",
            "--set-string",
            &value,
        ];
        helm(&command, &self.0.system, &[]).await.map(drop)
    }

    /// Takes the last upgrade back.
    pub async fn roll_back(&self) -> anyhow::Result<()> {
        helm(&["rollback", Self::NAME, "--wait", "--timeout=3m"], &self.0.system, &[]).await.map(drop)
    }
}

/// Templates of the chart as a release that is installed in one namespace, and works in it alone.
pub struct ChartPart {
    manifests: String,
}

impl ChartPart {
    /// Renders templates, with the images of the tests. The name of the release must contain `pgops`, and be used by one
    /// test only: it begins the names of objects that have no namespace.
    pub async fn render(ns: &Namespace, release: &str, templates: &[&str]) -> anyhow::Result<Self> {
        let shown: Vec<_> =
            templates.iter().map(|template| format!("--show-only=templates/{template}")).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let manifests = helm_with_chart(&["template"], ns, release, &shown, &[]).await?;
        Ok(Self { manifests })
    }

    /// Creates the objects.
    pub async fn apply(&self) -> anyhow::Result<()> {
        self.kubectl(&["apply", "-f", "-"]).await?.succeeded().map(drop)
    }

    /// Deletes the objects, also those that have no namespace.
    pub async fn delete(&self) -> anyhow::Result<()> {
        self.kubectl(&["delete", "--ignore-not-found", "-f", "-"]).await?.succeeded().map(drop)
    }

    async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        kubectl(arguments, Some(&self.manifests)).await
    }
}

/// A release of the chart that watches its own namespace only, with one replica of each component.
pub struct Release<'a> {
    ns: &'a Namespace,
    name: &'a str,
}

impl<'a> Release<'a> {
    /// Installs it, with the definitions and the catalog of the shared installation. The name must contain `pgops`, be used
    /// by one test only, and sort after that of the shared installation, which other tests find by its kind.
    pub async fn install(ns: &'a Namespace, name: &'a str) -> anyhow::Result<Self> {
        let release = Self { ns, name };
        let values =
            ["crds.install=false", "catalog.enabled=false", "webhook.replicas=1", "launcher.replicas=1"];
        let installed = helm_with_chart(&["install"], ns, name, &["--wait", "--timeout=3m"], &values).await;
        if installed.is_err() {
            release.remove_without_hooks().await?;
        }
        installed?;
        Ok(release)
    }

    /// Runs the tests of the chart.
    pub async fn test(&self) -> anyhow::Result<String> {
        helm(&["test", self.name, "--timeout=3m"], self.ns.name(), &[]).await
    }

    /// Removes it as a user does.
    pub async fn uninstall(&self) -> anyhow::Result<String> {
        helm(&["uninstall", self.name, "--wait", "--timeout=5m"], self.ns.name(), &[]).await
    }

    /// Removes it, or what is left of it.
    pub async fn remove_without_hooks(&self) -> anyhow::Result<()> {
        helm(&["uninstall", self.name, "--no-hooks", "--ignore-not-found"], self.ns.name(), &[])
            .await
            .map(drop)
    }

    /// What exists of these kinds that belongs to it.
    pub async fn objects(&self, kinds: &str) -> anyhow::Result<String> {
        let selector = format!("--selector=app.kubernetes.io/instance={}", self.name);
        Ok(self.ns.kubectl(&["get", kinds, &selector, "-o", "name"], None).await?.succeeded()?.stdout)
    }
}
