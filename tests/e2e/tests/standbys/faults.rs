//! Faults of servers, while a client writes and another one asks every server whether it takes writes.
//!
//! They need the project's own test cluster, on whose node they act on real processes. Several faults share a database: with
//! `PGOPS_E2E_FAULT=TEXT` only those run whose printed name contains the text.
//!
//! | file | content |
//! |---|---|
//! | `fault` | what is injected |
//! | `promise` | what must hold nevertheless |
//! | `trial` | a database, and those who watch it |
//! | `cases`, `full_volume`, `random` | the tests |

mod cases;
mod fault;
mod full_volume;
mod promise;
mod random;
mod trial;

pub use fault::{kill, uid_of};
pub use promise::Promise;
pub use trial::Trial;
