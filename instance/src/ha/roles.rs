//! The roles by which the members reach each other's servers. They are in the database itself, so standbys have those of their
//! primary.
//!
//! | file | content |
//! |---|---|
//! | `statements` | what makes them: pure |
//! | `first` | makes them before the first start of a database's first server |
//! | `watch` | makes them on the primary while it serves, and sets the mounted passwords |

mod first;
mod statements;
mod watch;

pub use first::{RolesError, create_first};
pub use watch::watch;
