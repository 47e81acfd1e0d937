//! `pgops-webhook decide`: the matrix without a cluster, from a file of `PostgresVersion`s.
//!
//! For pipelines and reviews: the verdict on one move, the targets of one version, or the verdicts on
//! all moves. What depends on a database or a request (its state, another request) is not in it.

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

/// Exit status of a move that is refused.
const REFUSED: u8 = 1;
/// Exit status where no verdict could be found; clap's own for options that do not fit.
const FAILED: u8 = 2;
/// What the database is called in texts that would name it.
const DATABASE: &str = "the database";

/// What `decide` is told.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// File with the catalog: YAML documents, or lists of them; "-" reads the standard input.
    #[arg(long, value_name = "FILE")]
    catalog: PathBuf,
    /// Name of the version that the database has; without it, the verdicts on all pairs of the
    /// catalog are printed in the order of the file, one line of JSON each.
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Name of the version to move to; without it, the allowed targets are printed, newest first.
    #[arg(long, value_name = "NAME", requires = "from")]
    to: Option<String>,
    /// Decide as for a request that accepts another base system: between systems of the GNU C library.
    #[arg(long)]
    allow_base_os_change: bool,
    /// How the answer on one version or one move is printed.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// For programs: one object.
    Json,
}

/// Prints the answer. The exit status is 0 for an allowed move or a list, 1 for a refused move or an
/// unknown version, 2 if there is no answer.
#[must_use]
pub fn run(options: &Options) -> ExitCode {
    let answered = read(&options.catalog).and_then(|documents| {
        answer(options, &documents, BufWriter::new(io::stdout().lock()), io::stderr().lock())
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

/// What the authors of entries should hear: one that cannot be read disturbs no other, but is said.
fn problems(documents: &Documents) -> impl Iterator<Item = String> {
    documents.named().flat_map(|(name, spec)| {
        matrix::problems(spec)
            .into_iter()
            .map(move |complaint| format!("PostgresVersion \"{name}\": {complaint}"))
    })
}

/// Writes what was asked for to `out`, the rest to `notes`, and gives the exit status. A reader that has
/// gone away has read enough.
fn answer(
    options: &Options,
    documents: &Documents,
    mut out: impl Write,
    mut notes: impl Write,
) -> io::Result<u8> {
    for note in documents.passed_over.iter().cloned().chain(problems(documents)) {
        // Whoever closed the standard error does not want them.
        let _ = writeln!(notes, "note: {note}");
    }
    let catalog = Catalog::new(documents.named());
    let base_os = if options.allow_base_os_change { BaseOsChange::Accepted } else { BaseOsChange::Refused };
    let matrix = catalog.with_base_os_change(base_os);
    let (written, status) = match (options.from.as_deref(), options.to.as_deref()) {
        (Some(from), Some(to)) => {
            let verdict = Verdict::explained(matrix, from, to);
            (verdict.print(options.output, &mut out), if verdict.allowed { 0 } else { REFUSED })
        }
        (Some(from), None) => {
            let targets = Destinations::of(&catalog, matrix, from);
            let status = targets.message.as_ref().map_or(0, |message| {
                let _ = writeln!(notes, "error: {message}");
                REFUSED
            });
            (targets.print(options.output, &mut out), status)
        }
        (None, _) => (table(documents, matrix, &mut out), 0),
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error),
        _ => Ok(status),
    }
}

/// The verdicts on all ordered pairs, each version with itself among them.
fn table(documents: &Documents, matrix: Matrix<'_>, out: &mut impl Write) -> io::Result<()> {
    for (from, _) in documents.named() {
        for (to, _) in documents.named() {
            print_json(&Verdict::of(&matrix.decide(from, to), from, to), out)?;
        }
    }
    Ok(())
}

/// The matrix's word on one move.
#[derive(Debug, Serialize)]
struct Verdict<'a> {
    from: &'a str,
    to: &'a str,
    allowed: bool,
    reason: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    warnings: Option<Vec<String>>,
}

impl<'a> Verdict<'a> {
    /// In short, as a line of the table.
    fn of(decision: &Result<Allowed<'_>, Refusal>, from: &'a str, to: &'a str) -> Self {
        let (allowed, reason, message) = match decision {
            Ok(allowed) => (true, "Allowed", admission::headline(allowed, DATABASE)),
            Err(refusal) => (false, refusal.reason().as_str(), refusal.to_string()),
        };
        Self { from, to, allowed, reason, message, warnings: None }
    }

    /// With what else is possible, or what to beware of: all that a request would be told.
    fn explained(matrix: Matrix<'_>, from: &'a str, to: &'a str) -> Self {
        let decision = matrix.decide(from, to);
        let mut verdict = Self::of(&decision, from, to);
        let warnings = match decision {
            Ok(allowed) => {
                let unsupported = admission::check_versions(&allowed).err().map(|denial| {
                    format!(
                        "a request for this is refused all the same ({}): {denial}",
                        denial.reason.as_str()
                    )
                });
                unsupported
                    .into_iter()
                    .chain(admission::version_change_warnings(&allowed, DATABASE, Reindex::default()))
                    .collect()
            }
            Err(refusal) => {
                verdict.message = matrix.explain(&refusal, DATABASE);
                Vec::new()
            }
        };
        verdict.warnings = Some(warnings);
        verdict
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

/// Where a database may go.
#[derive(Debug, Serialize)]
struct Destinations<'a> {
    from: &'a str,
    targets: Vec<&'a str>,
    /// Why nothing can be said of this version.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl<'a> Destinations<'a> {
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
