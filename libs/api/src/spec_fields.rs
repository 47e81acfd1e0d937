//! What becomes of each field of a `Postgres` or of a request: `KubeDB`'s API has more than pgops acts on, and the API server stores all of
//! it, misspelled ones included.
//!
//! One table as data: admission reads it, and `docs/reference/fields.md` is generated from it.

mod findings;
mod requests;
mod table;

pub use findings::{FieldFindings, MAX_FINDINGS, changed_field_findings, field_findings};
pub use requests::request_field_findings;
pub use table::{Effect, Field, fields};

#[cfg(test)]
mod tests;
