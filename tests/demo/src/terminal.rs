//! The output of the demo: text, commands before they run, and their output.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{MissedTickBehavior, interval_at};

use pgops_e2e::{Output, kubectl};

/// Interval of progress lines during a long wait.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Standard output, with colors only on a terminal.
pub(crate) struct Terminal {
    manifests: PathBuf,
    colors: bool,
}

impl Terminal {
    pub(crate) fn new(manifests: String) -> Self {
        let colors = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { manifests: manifests.into(), colors }
    }

    fn colored(&self, code: &str, text: &str) -> String {
        if self.colors { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn chapter(&self, title: &str) {
        println!("\n{}", self.colored("1", &format!("== {title}")));
    }

    pub(crate) fn done(&self, text: &str) {
        println!("\n{}", self.colored("1;32", text));
    }

    fn path(&self, manifest: &str) -> String {
        Path::new(&self.manifests).join(manifest).display().to_string()
    }

    fn command(&self, args: &[&str]) {
        println!("{}", self.colored("36", &format!("$ {}", args.join(" "))));
    }

    /// Shows a manifest.
    pub(crate) fn file(&self, manifest: &str) -> anyhow::Result<()> {
        let path = self.path(manifest);
        self.command(&["cat", &path]);
        let text = std::fs::read_to_string(&path);
        print!(
            "{}",
            text.with_context(|| format!("failed to read {path}: run this from the top directory"))?
        );
        Ok(())
    }

    /// Shows a kubectl command, runs it and shows its output.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> anyhow::Result<Output> {
        self.command(&[&["kubectl"], args].concat());
        let output = kubectl(args, None).await?;
        print!("{}", output.stdout);
        print!("{}", self.colored("33", &output.stderr));
        Ok(output)
    }

    /// Shows and runs `kubectl apply` of a manifest.
    pub(crate) async fn apply(&self, manifest: &str) -> anyhow::Result<Output> {
        self.kubectl(&["apply", "-f", &self.path(manifest)]).await
    }

    /// Waits for `work`, and shows how long it took.
    pub(crate) async fn wait<T>(
        &self,
        what: &str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let start = Instant::now();
        let mut ticks = interval_at((start + PROGRESS_INTERVAL).into(), PROGRESS_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut work = Box::pin(work);
        println!("… {what}");
        loop {
            tokio::select! {
                done = &mut work => {
                    let value = done?;
                    println!("  done in {:.1} s", start.elapsed().as_secs_f32());
                    return Ok(value);
                }
                _ = ticks.tick() => println!("  {:.0} s …", start.elapsed().as_secs_f32()),
            }
        }
    }

    /// Shows the output of `kubectl get --watch` until `work` is done, without lines that differ only in age.
    pub(crate) async fn watch<T>(
        &self,
        args: &[&str],
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        self.command(&[&["kubectl"], args].concat());
        let mut child =
            Command::new("kubectl").args(args).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().context("kubectl has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut last = String::new();
        let mut work = Box::pin(work);
        let mut watching = true;
        let value = loop {
            tokio::select! {
                biased;
                line = lines.next_line(), if watching => match line? {
                    Some(line) => show_new(&line, &mut last),
                    // The API server may end a watch at any time.
                    None => watching = false,
                },
                done = &mut work => break done?,
            }
        };
        // The last change may reach this watch slightly later than the one in `work`.
        while let Ok(Ok(Some(line))) = tokio::time::timeout(Duration::from_secs(1), lines.next_line()).await {
            show_new(&line, &mut last);
        }
        child.start_kill()?;
        Ok(value)
    }
}

/// Shows one or more lines.
pub(crate) fn print_text(text: &str) {
    println!("{text}");
}

fn show_new(line: &str, last: &mut String) {
    let without_age = line.rsplit_once(char::is_whitespace).map_or(line, |(rest, _)| rest.trim_end());
    if without_age != last {
        println!("{line}");
        without_age.clone_into(last);
    }
}
