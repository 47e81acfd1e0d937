//! Keeps what belongs to users in their database: their data, which a server's errors quote, and their passwords.
//!
//! A status, an Event, a report and a log are read by people who may not read the database. What is shown of an error is
//! its message without the values in it, and the names of the objects that it is about.
//!
//! | file | content |
//! |---|---|
//! | `message` | a message, without the values that it quotes |
//! | `sqlstate` | what the class of an error says about its message |
//! | `statement` | an SQL statement, without its literals |
//! | `raised` | messages that code of a user has written |
//! | `secrets` | lines with a password |
//! | `output` | what a program prints, which has all of these |

mod message;
mod output;
mod raised;
mod secrets;
mod sqlstate;
mod statement;

pub use message::redact_message;
pub use output::redact;
pub use raised::raised;
pub use secrets::hide_secrets;
pub use sqlstate::{Disclosure, disclosure};
pub use statement::redact_statement;

/// In place of what is not shown.
const HIDDEN: &str = "…";
