//! kubectl, for what only kubectl shows: what a person reads on the terminal.

use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What a run of kubectl left.
#[derive(Clone, Debug)]
pub struct Output {
    /// Whether its exit status was 0.
    pub success: bool,
    /// What it printed.
    pub stdout: String,
    /// Errors and warnings.
    pub stderr: String,
}

impl Output {
    /// Itself if the run was a success, otherwise an error with what kubectl said.
    pub fn succeeded(self) -> anyhow::Result<Self> {
        ensure!(self.success, "kubectl failed: {}{}", self.stdout, self.stderr);
        Ok(self)
    }
}

/// Runs kubectl from PATH, with `input` as its standard input.
pub async fn kubectl(args: &[&str], input: Option<&str>) -> anyhow::Result<Output> {
    let mut child = Command::new("kubectl")
        .args(args)
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("failed to run kubectl: it must be on PATH, as in `tests/cluster/exec cargo test`")?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A kubectl that refuses its arguments does not read; its message says why.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.context("failed to wait for kubectl")?;
    Ok(Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
