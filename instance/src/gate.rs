//! The gate: no program of `PostgreSQL` touches the data unless PID 1 gives it the interlock.
//!
//! The links in `/pgops/run/bin` lead to this very binary, which then is the gate's client: it tells PID 1 what it is about to
//! execute, receives the descriptor of the interlock or a refusal, and executes the program of the image. PID 1 itself starts
//! the server this way, and so does Patroni, which closes every descriptor that it would have inherited. Promoting a standby needs no
//! interlock, but the lock among the members.
//!
//! | file | content |
//! |---|---|
//! | `program` | which programs are gated, and what their arguments say |
//! | `request` | what a client is about to execute, and how it says so |
//! | `message` | what else a client may say: the steps of a clone |
//! | `decision` | whether it may: pure |
//! | `promotion` | whether a standby may be promoted: pure |
//! | `clone` | whether a step may be done, and how |
//! | `lifeline` | when a program and all that it has started have ended |
//! | `holders` | which processes those are |
//! | `leftovers` | what is killed or refused before a program is started |
//! | `access` | what PID 1 has to give, and what was given last |
//! | `keeper` | decides and gives, one request after the other |
//! | `listener` | clients, with limits on what each may send and how long it may take |
//! | `links` | the directory of programs |
//! | `client` | what runs in place of a gated program |

mod access;
pub mod client;
mod clone;
mod decision;
#[cfg(test)]
pub mod fixture;
mod holders;
mod keeper;
mod leftovers;
mod lifeline;
mod links;
mod listener;
mod message;
mod program;
mod promotion;
mod request;
#[cfg(test)]
mod tests;

pub use access::Access;
pub use decision::{Freeze, Previous};
pub use links::{BIN_DIR, GateError, open};
pub use message::CloneStep;
pub use program::Gated;
pub use promotion::{Leadership, Question};
