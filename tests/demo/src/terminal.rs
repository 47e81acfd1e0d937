//! What the demonstration shows: words, commands before they run, and their output.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{MissedTickBehavior, interval_at};

use pgops_e2e::{Output, kubectl};

/// A wait that is longer shows that it goes on.
const PATIENCE: Duration = Duration::from_secs(10);

/// The terminal, or a file: then without colours.
pub(crate) struct Terminal {
    manifests: PathBuf,
    colours: bool,
}

impl Terminal {
    pub(crate) fn new(manifests: String) -> Self {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { manifests: manifests.into(), colours }
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn chapter(&self, title: &str) {
        println!("\n{}", self.painted("1", &format!("== {title}")));
    }

    pub(crate) fn done(&self, text: &str) {
        println!("\n{}", self.painted("1;32", text));
    }

    fn path(&self, manifest: &str) -> String {
        Path::new(&self.manifests).join(manifest).display().to_string()
    }

    fn command(&self, words: &[&str]) {
        println!("{}", self.painted("36", &format!("$ {}", words.join(" "))));
    }

    /// Shows a manifest.
    pub(crate) fn file(&self, manifest: &str) -> anyhow::Result<()> {
        let path = self.path(manifest);
        self.command(&["cat", &path]);
        let text = std::fs::read_to_string(&path);
        print!("{}", text.with_context(|| format!("failed to read {path}: run this in the top directory"))?);
        Ok(())
    }

    /// Shows a command of kubectl, runs it and shows what it printed.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> anyhow::Result<Output> {
        self.command(&[&["kubectl"], args].concat());
        let output = kubectl(args, None).await?;
        print!("{}", output.stdout);
        print!("{}", self.painted("33", &output.stderr));
        Ok(output)
    }

    /// Shows and runs `kubectl apply` of a manifest.
    pub(crate) async fn apply(&self, manifest: &str) -> anyhow::Result<Output> {
        self.kubectl(&["apply", "-f", &self.path(manifest)]).await
    }

    /// Waits for something that takes a while, and says how long it took.
    pub(crate) async fn wait<T>(
        &self,
        what: &str,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        let mut ticks = interval_at((begin + PATIENCE).into(), PATIENCE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut work = Box::pin(work);
        println!("… {what}");
        loop {
            tokio::select! {
                done = &mut work => {
                    let value = done?;
                    println!("  done in {:.1} s", begin.elapsed().as_secs_f32());
                    return Ok(value);
                }
                _ = ticks.tick() => println!("  {:.0} s …", begin.elapsed().as_secs_f32()),
            }
        }
    }

    /// Shows a `kubectl get --watch`, as long as `work` takes; lines that differ in their age only are one.
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
        // The last change reaches this watch a moment after the other.
        while let Ok(Ok(Some(line))) = tokio::time::timeout(Duration::from_secs(1), lines.next_line()).await {
            show_new(&line, &mut last);
        }
        child.start_kill()?;
        Ok(value)
    }
}

/// Shows a line or more.
pub(crate) fn say(text: &str) {
    println!("{text}");
}

fn show_new(line: &str, last: &mut String) {
    let without_age = line.rsplit_once(char::is_whitespace).map_or(line, |(rest, _)| rest.trim_end());
    if without_age != last {
        println!("{line}");
        without_age.clone_into(last);
    }
}
