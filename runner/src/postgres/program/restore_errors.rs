//! The errors of a restore that continues after each of them, read while `pg_restore` or `psql` prints them.
//!
//! Not every error has a cause of its own: what uses an object whose creation has failed fails too. Such consequences are
//! left out, so that what is reported is what has to be changed. The output is not kept: a schema may have thousands of
//! objects that the target rejects, and each is printed with its whole definition.

use std::collections::BTreeSet;

use super::created::CreatedObject;
use super::reported_error::ReportedError;

/// How many errors are kept.
const MAX_ERRORS: usize = 20_000;
/// How many names of failed objects are kept.
const MAX_NAMES: usize = 100_000;
/// How many lines of one error are read, and how many bytes of each.
const MAX_LINES: usize = 60;
const MAX_LINE: usize = 4096;
/// An error of a later statement after the creation of a table has failed. In binary upgrade mode the OID of its TOAST table
/// has been set and not been used, so the server tries to add one to whatever table comes next.
const LEFTOVER_TOAST_TABLE: &str = "AccessExclusiveLock required to add toast table";
/// The class of databases.
const PG_DATABASE: u32 = 1262;

/// The object of the source that an entry of a dump is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct CatalogId {
    pub class: u32,
    pub oid: u32,
}

/// An error, and what it is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RestoreError {
    pub error: ReportedError,
    /// The object of the source, if `pg_restore` names one: comments and grants have none.
    pub source: Option<CatalogId>,
    /// The object that was to be created.
    pub object: Option<CreatedObject>,
}

/// All errors of a restore that have causes of their own.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RestoreErrors {
    pub errors: Vec<RestoreError>,
    /// How many there are beyond those.
    pub more: usize,
}

impl RestoreErrors {
    /// A program has failed in another way.
    #[must_use]
    pub fn one(error: ReportedError) -> Self {
        Self { errors: vec![RestoreError { error, source: None, object: None }], more: 0 }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }
}

/// An entry of a dump, as `pg_restore` numbers it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry {
    number: u32,
    source: CatalogId,
}

/// An error whose lines are being read.
#[derive(Debug)]
struct Unfinished {
    entry: Option<Entry>,
    lines: Vec<String>,
}

impl Unfinished {
    /// Whether no line so far is the context, or the statement, which follows it.
    fn lacks_context(&self) -> bool {
        !self.lines.iter().any(|line| line.starts_with("CONTEXT:") || line.starts_with("Command was:"))
    }
}

/// Reads the output line by line.
#[derive(Debug, Default)]
pub struct ErrorReader {
    /// The entry that is being restored.
    entry: Option<Entry>,
    unfinished: Option<Unfinished>,
    /// The entry of the last error.
    failed_entry: Option<Entry>,
    /// The sequence that is being restored: that of an identity column is not created by a statement of its own.
    sequence: Option<String>,
    /// Names of objects whose creation has failed.
    failed: BTreeSet<String>,
    /// Whether everything that follows can only fail.
    hopeless: bool,
    found: RestoreErrors,
}

impl ErrorReader {
    /// Reads the next line.
    pub fn line(&mut self, line: &str) {
        if let Some(begin) = Begin::of(line) {
            self.finish_error();
            match begin {
                Begin::Entry(entry) => self.entry = entry,
                Begin::Creation(sequence) => self.sequence = sequence.map(ToOwned::to_owned),
                Begin::Error => {
                    self.unfinished = Some(Unfinished { entry: self.entry, lines: vec![cut(line)] });
                }
                Begin::Other => {}
            }
        } else if let Some(error) = self.unfinished.as_mut() {
            // The context says whether the message may be shown, however long the message is.
            if error.lines.len() < MAX_LINES || error.lacks_context() && line.starts_with("CONTEXT:") {
                error.lines.push(cut(line));
            }
        }
    }

    /// All errors, once the program has ended.
    #[must_use]
    pub fn finish(mut self) -> RestoreErrors {
        self.finish_error();
        self.found
    }

    fn finish_error(&mut self) {
        let Some(Unfinished { entry, lines }) = self.unfinished.take() else { return };
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let message = lines.first().copied().unwrap_or_default();
        let object = CreatedObject::in_error(&lines);
        // What follows the creation in the same entry, such as the change of the owner.
        let is_of_failed_entry = entry.is_some() && entry == self.failed_entry;
        let is_consequence = self.hopeless
            || is_of_failed_entry
            || message.contains(LEFTOVER_TOAST_TABLE)
            || self.misses_failed_object(message);
        self.failed_entry = entry;
        self.hopeless |= is_without_database(entry) || is_disconnected(message);
        if self.failed.len() < MAX_NAMES {
            self.failed.extend(object.as_ref().map(|object| object.name.clone()));
            self.failed.extend(self.sequence.clone());
        }
        if is_consequence {
            return;
        }
        if self.found.errors.len() == MAX_ERRORS {
            self.found.more += 1;
            return;
        }
        let source = entry.map(|entry| entry.source).filter(|source| source.oid != 0);
        let error = ReportedError::parse(&lines.join("\n"));
        self.found.errors.push(RestoreError { error, source, object });
    }

    /// Whether the message says that an object does not exist whose creation has failed before.
    fn misses_failed_object(&self, message: &str) -> bool {
        const SIGNS: [&str; 2] = ["does not exist", "is only a shell"];
        if self.failed.is_empty() || !SIGNS.iter().any(|sign| message.contains(sign)) {
            return false;
        }
        // `relation "public.v" does not exist` and `schema "s" does not exist`, but also
        // `operator does not exist: public.version public.< public.version` and `function public.f(integer) does not exist`.
        // A name without a schema is in quotes: without them it may be any word.
        let quoted = message.split('"').skip(1).step_by(2);
        let words = message.split(|c: char| c.is_whitespace() || "\"(),;".contains(c));
        quoted.chain(words.filter(|word| word.contains('.'))).any(|name| self.failed.contains(name))
    }
}

/// Without its database nothing of a schema can be restored.
fn is_without_database(entry: Option<Entry>) -> bool {
    entry.is_some_and(|entry| entry.source.class == PG_DATABASE)
}

fn is_disconnected(message: &str) -> bool {
    const SIGNS: [&str; 3] =
        ["server closed the connection", "no connection to the server", "connection to server was lost"];
    SIGNS.iter().any(|sign| message.contains(sign))
}

fn cut(line: &str) -> String {
    line[..line.floor_char_boundary(MAX_LINE)].to_owned()
}

/// What a line of a program's own begins. All other lines continue what was begun.
#[derive(Debug, PartialEq)]
enum Begin<'a> {
    Error,
    Entry(Option<Entry>),
    /// Something is being created: its name if it is a sequence.
    Creation(Option<&'a str>),
    Other,
}

impl<'a> Begin<'a> {
    fn of(line: &'a str) -> Option<Self> {
        const CONTINUING: [&str; 3] = ["STATEMENT:", "detail:", "hint:"];
        const ERRORS: [&str; 5] = ["error:", "fatal:", "ERROR:", "FATAL:", "PANIC:"];
        let of_program = line.strip_prefix("pg_restore: ").or_else(|| line.strip_prefix("psql: "));
        // With the file and the number of the line in it: `psql:/tmp/globals.sql:40: ERROR:  …`.
        let of_script = || Some(line.strip_prefix("psql:")?.split_once(": ")?.1);
        let text = of_program.or_else(of_script)?;
        if let Some(entry) = text.strip_prefix("from TOC entry ") {
            return Some(Self::Entry(Entry::parse(entry)));
        }
        if let Some(created) = text.strip_prefix("creating ") {
            let name = created.strip_prefix("SEQUENCE \"").and_then(|name| name.strip_suffix('"'));
            return Some(Self::Creation(name));
        }
        let begins = |marks: &[&str]| marks.iter().any(|mark| text.starts_with(mark));
        if begins(&CONTINUING) {
            return None;
        }
        Some(if begins(&ERRORS) { Self::Error } else { Self::Other })
    }
}

impl Entry {
    /// Of `219; 1259 16391 VIEW v postgres`: numbers of the entry, and of class and object in the source.
    fn parse(text: &str) -> Option<Self> {
        let (number, rest) = text.split_once("; ")?;
        let mut words = rest.split(' ');
        let mut next = || words.next()?.parse().ok();
        Some(Self { number: number.parse().ok()?, source: CatalogId { class: next()?, oid: next()? } })
    }
}

#[cfg(test)]
mod tests;
