//! The watchdog: ends a server whose Patroni does not confirm in time that it still leads.
//!
//! While Patroni is stopped or starved its server would serve writes, although another server has been promoted meanwhile. Patroni
//! writes to a FIFO, as it does to `/dev/watchdog`, after each confirmed renewal of its lock (`watchdog/linux.py`,
//! `TestingWatchdogDevice`). PID 1 reads it. If nothing comes for the limit, the server is ended, and none is started before Patroni
//! is seen again.
//!
//! | file | content |
//! |---|---|
//! | `clock` | the clock, which also counts while the machine is suspended |
//! | `commands` | what Patroni writes |
//! | `machine` | when the server is ended, killed and started again: pure |
//! | `driver` | reads the FIFO, and does what the machine decides |

mod clock;
mod commands;
mod driver;
mod machine;
#[cfg(test)]
mod tests;

pub use driver::{FIFO, PatroniStarts, Watchdog};
