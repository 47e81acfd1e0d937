//! `pgops-webhook decide`: the compatibility matrix without a cluster, from a file of `PostgresVersion`s.
//!
//! For pipelines and reviews: the decision on one move, the targets of one version, or the decisions on all
//! moves. The state of a database and other requests are not considered.

mod documents;

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use pgops_api::admission;
use pgops_api::matrix::{self, Allowed, BaseOsChange, Catalog, Matrix, Refusal};
use pgops_api::plan::Reindex;
use serde::Serialize;

use documents::Documents;

/// Exit status of a refused move.
const REFUSED: u8 = 1;
/// Exit status if there is no decision; clap uses the same for invalid arguments.
const FAILED: u8 = 2;
/// Stands for the name of a database in messages.
const DATABASE: &str = "the database";

/// The arguments of `decide`.
#[derive(Args, Clone, Debug)]
pub struct DecideArgs {
    /// Catalog file with YAML documents or lists of them; "-" reads standard input.
    #[arg(long, value_name = "FILE")]
    catalog: PathBuf,
    /// Name of the current version; if omitted, the decisions on all pairs of the catalog are printed in the
    /// order of the file, one JSON object per line.
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Name of the target version; if omitted, the allowed targets are printed, newest first.
    #[arg(long, value_name = "NAME", requires = "from")]
    to: Option<String>,
    /// Decide as for a request that accepts another base system; both must use the GNU C library.
    #[arg(long)]
    allow_base_os_change: bool,
    /// Output format for one version or one move.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// Human-readable text.
    Text,
    /// One JSON object.
    Json,
}

/// Prints the decision. The exit status is 0 for an allowed move or a list, 1 for a refused move or an
/// unknown version, 2 if there is no decision.
#[must_use]
pub fn run(args: &DecideArgs) -> ExitCode {
    let answered = read(&args.catalog).and_then(|documents| {
        answer(args, &documents, BufWriter::new(io::stdout().lock()), io::stderr().lock())
            .context("failed to write the answer")
    });
    match answered {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Documents> {
    let documents = if path == Path::new("-") {
        Documents::read(io::stdin().lock())
    } else {
        let file = File::open(path).with_context(|| format!("failed to open catalog {}", path.display()))?;
        Documents::read(file)
    };
    documents.with_context(|| format!("failed to read catalog {}", path.display()))
}

/// Problems of the entries; an unreadable entry does not affect the others.
fn problems(documents: &Documents) -> impl Iterator<Item = String> {
    documents.named().flat_map(|(name, spec)| {
        matrix::problems(spec)
            .into_iter()
            .map(move |problem| format!("PostgresVersion \"{name}\": {problem}"))
    })
}

/// Writes the result to `out`, everything else to `notes`, and returns the exit status. A closed pipe is not
/// an error: its reader has read enough.
fn answer(
    args: &DecideArgs,
    documents: &Documents,
    mut out: impl Write,
    mut notes: impl Write,
) -> io::Result<u8> {
    for note in documents.skipped.iter().cloned().chain(problems(documents)) {
        // Notes are optional: standard error may be closed.
        let _ = writeln!(notes, "note: {note}");
    }
    let catalog = Catalog::new(documents.named());
    let base_os = if args.allow_base_os_change { BaseOsChange::Accepted } else { BaseOsChange::Refused };
    let matrix = catalog.with_base_os_change(base_os);
    let (written, status) = match (args.from.as_deref(), args.to.as_deref()) {
        (Some(from), Some(to)) => {
            let decision = MoveDecision::explained(matrix, from, to);
            (decision.print(args.output, &mut out), if decision.allowed { 0 } else { REFUSED })
        }
        (Some(from), None) => {
            let targets = AllowedTargets::of(&catalog, matrix, from);
            let status = targets.message.as_ref().map_or(0, |message| {
                let _ = writeln!(notes, "error: {message}");
                REFUSED
            });
            (targets.print(args.output, &mut out), status)
        }
        (None, _) => (table(documents, matrix, &mut out), 0),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(status),
    }
}

/// Writes the decisions on all ordered pairs, including each version with itself.
fn table(documents: &Documents, matrix: Matrix<'_>, out: &mut impl Write) -> io::Result<()> {
    for (from, _) in documents.named() {
        for (to, _) in documents.named() {
            print_json(&MoveDecision::of(&matrix.decide(from, to), from, to), out)?;
        }
    }
    Ok(())
}

/// The decision of the matrix on one move.
#[derive(Debug, Serialize)]
struct MoveDecision<'a> {
    from: &'a str,
    to: &'a str,
    allowed: bool,
    reason: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
}

impl<'a> MoveDecision<'a> {
    /// The short form, for the table of all moves.
    fn of(decision: &Result<Allowed<'_>, Refusal>, from: &'a str, to: &'a str) -> Self {
        let (allowed, reason, message) = match decision {
            Ok(allowed) => (true, "Allowed", admission::headline(allowed, DATABASE)),
            Err(refusal) => (false, refusal.reason().as_str(), refusal.to_string()),
        };
        Self { from, to, allowed, reason, message, warnings: None }
    }

    /// The full form, with the alternatives and warnings that a request would get.
    fn explained(matrix: Matrix<'_>, from: &'a str, to: &'a str) -> Self {
        let decision = matrix.decide(from, to);
        let mut explained = Self::of(&decision, from, to);
        let warnings = match decision {
            Ok(allowed) => {
                let unsupported = admission::check_versions(&allowed).err().map(|denial| {
                    format!("a request for this move is denied anyway ({}): {denial}", denial.reason.as_str())
                });
                unsupported
                    .into_iter()
                    .chain(admission::version_change_warnings(&allowed, DATABASE, Reindex::default()))
                    .collect()
            }
            Err(refusal) => {
                explained.message = matrix.explain(&refusal, DATABASE);
                Vec::new()
            }
        };
        explained.warnings = Some(warnings);
        explained
    }

    fn print(&self, output: Output, out: &mut impl Write) -> io::Result<()> {
        let Self { from, to, allowed, message, warnings, .. } = self;
        match (output, allowed) {
            (Output::Json, _) => return print_json(self, out),
            (Output::Text, true) => writeln!(out, "allowed: {from} → {to}")?,
            (Output::Text, false) => writeln!(out, "refused: {message}")?,
        }
        warnings.iter().flatten().try_for_each(|line| writeln!(out, "Warning: {line}"))
    }
}

/// The versions that a version may be upgraded to.
#[derive(Debug, Serialize)]
struct AllowedTargets<'a> {
    from: &'a str,
    targets: Vec<&'a str>,
    /// Why the version has no decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl<'a> AllowedTargets<'a> {
    fn of(catalog: &Catalog, matrix: Matrix<'a>, from: &'a str) -> Self {
        let message = catalog.get(from).is_none().then(|| catalog.explain_unknown(from));
        Self { from, targets: matrix.allowed_targets(from), message }
    }

    fn print(&self, output: Output, out: &mut impl Write) -> io::Result<()> {
        match output {
            Output::Json => print_json(self, out),
            Output::Text => self.targets.iter().try_for_each(|name| writeln!(out, "{name}")),
        }
    }
}

fn print_json(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests;
