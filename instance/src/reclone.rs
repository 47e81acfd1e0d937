//! Has a standby cloned again that cannot follow its primary: it lacks WAL that the primary has removed, has data that no other server
//! has, or has damaged data.
//!
//! Patroni clones, and PID 1 decides, since Patroni does not ask whether another copy of the data exists. [`replacement`] keeps the old
//! data until the new data streams.
//!
//! | file | content |
//! |---|---|
//! | `look` | what a look at the server shows |
//! | `track` | for how long it has not followed: pure |
//! | `decision` | whether it is cloned again, and what is against it: pure |
//! | `watch` | looks, asks Patroni, and removes old data |
//!
//! [`replacement`]: crate::replacement

mod decision;
mod look;
mod track;
mod watch;

pub use watch::{Standby, watch};
