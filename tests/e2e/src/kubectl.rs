//! kubectl, for what only kubectl shows: the output that users read.

use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The result of a kubectl run.
#[derive(Clone, Debug)]
pub struct Output {
    /// Whether the exit status was 0.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error: errors and warnings.
    pub stderr: String,
}

impl Output {
    /// The output of a successful run, otherwise an error with kubectl's output.
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
        // A kubectl that rejects its arguments does not read the input; its message says why.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.context("failed to wait for kubectl")?;
    Ok(Output {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
