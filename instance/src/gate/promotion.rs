//! Whether a standby may be promoted.
//!
//! Patroni promotes with `pg_ctl` once it has the lock. If it is stopped in between, another member may have the lock when it
//! continues. So PID 1 asks the watchdog, which reads first what Patroni has written to it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::decision::{Freeze, Refusal, Situation, refuse_for_all, refuse_other_directories};
use super::request::Request;

/// Time that the watchdog may take to answer. It reads a FIFO and waits for nothing.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// What the watchdog knows of the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leadership {
    /// The last request that has confirmed it is younger than the limit.
    Confirmed,
    /// The watchdog is not armed: Patroni has not opened it, or has laid its role down.
    Disarmed,
    /// That request is as old as the limit, or older.
    Outdated,
    /// The watchdog has ended the server.
    Fired,
}

/// A question to the watchdog.
pub struct Question(Sender<Leadership>);

impl Question {
    /// A question, and where its answer arrives.
    pub fn new() -> (Self, Receiver<Leadership>) {
        let (sender, answer) = channel();
        (Self(sender), answer)
    }

    pub fn answer(self, leadership: Leadership) {
        // The gate has waited for too long, and has refused.
        let _ = self.0.send(leadership);
    }
}

/// What the watchdog says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// There is no watchdog: this server is the only one of its database.
    OnlyServer,
    /// Its answer.
    Watchdog(Result<Leadership, RecvTimeoutError>),
}

/// Decides on a promotion. That the server runs and is in recovery, `pg_ctl` finds out itself.
pub fn decide(request: &Request, asked: Asked, situation: &Situation<'_>) -> Result<(), Refusal> {
    refuse_other_directories(request, situation)?;
    refuse_for_all(situation)?;
    match asked {
        Asked::OnlyServer | Asked::Watchdog(Ok(Leadership::Confirmed)) => Ok(()),
        Asked::Watchdog(Ok(Leadership::Disarmed)) => Err(Refusal::NotLeading),
        Asked::Watchdog(Ok(Leadership::Outdated)) => Err(Refusal::OutdatedLock),
        Asked::Watchdog(Ok(Leadership::Fired)) => Err(Refusal::Frozen(Freeze::WatchdogFired)),
        Asked::Watchdog(Err(_)) => Err(Refusal::NoAnswer(ANSWER_TIMEOUT.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::decision::{Holding, Previous};
    use super::super::fixture;
    use super::super::program::Gated;
    use super::*;
    use crate::fixtures::volume;
    use pgops_volume::Volume;

    fn request(volume: &Volume, major: u32) -> Request {
        let data = volume.data_dir(major).into_os_string();
        let arguments = vec!["promote".into(), "-D".into(), data, "-W".into()];
        Request { program: Gated::PgCtl, arguments }
    }

    fn situation(volume: &Volume) -> Situation<'_> {
        let previous = Previous::Runs { program: Gated::Postgres, pid: 4711 };
        Situation { previous, ..fixture::situation(volume) }
    }

    fn answers() -> [Asked; 7] {
        [
            Asked::OnlyServer,
            Asked::Watchdog(Ok(Leadership::Confirmed)),
            Asked::Watchdog(Ok(Leadership::Disarmed)),
            Asked::Watchdog(Ok(Leadership::Outdated)),
            Asked::Watchdog(Ok(Leadership::Fired)),
            Asked::Watchdog(Err(RecvTimeoutError::Timeout)),
            Asked::Watchdog(Err(RecvTimeoutError::Disconnected)),
        ]
    }

    /// Every combination: a server is promoted only with a lock that was confirmed in time, and nothing against it.
    #[test]
    fn server_is_promoted_only_with_a_confirmed_lock() {
        let (_root, volume) = volume();
        let mut promoted = 0;
        for holding in [Holding::Held, Holding::NotHeld] {
            for frozen in [None, Some(Freeze::Terminating), Some(Freeze::WatchdogFired)] {
                for asked in answers() {
                    let situation = Situation { holding, frozen, ..situation(&volume) };
                    let is_promoted = decide(&request(&volume, 17), asked, &situation).is_ok();
                    let leads =
                        matches!(asked, Asked::OnlyServer | Asked::Watchdog(Ok(Leadership::Confirmed)));
                    let may = leads && holding == Holding::Held && frozen.is_none();
                    assert_eq!(is_promoted, may, "{asked:?} {situation:?}");
                    promoted += usize::from(is_promoted);
                }
            }
        }
        assert_eq!(promoted, 2);
    }

    #[test]
    fn refused_promotion_says_why() {
        let (_root, volume) = volume();
        let texts = answers().map(|asked| {
            let decided = decide(&request(&volume, 17), asked, &situation(&volume));
            decided.err().map(|refusal| refusal.to_string()).unwrap_or_default()
        });
        for (text, expected) in texts.iter().zip([
            "",
            "",
            "the watchdog is not armed",
            "confirmed its lock too long ago",
            "the watchdog has ended the server",
            "has not answered within 2 s",
            "has not answered within 2 s",
        ]) {
            assert!(text.contains(expected) && text.is_empty() == expected.is_empty(), "{text}");
        }
        let other = decide(&request(&volume, 13), Asked::OnlyServer, &situation(&volume)).unwrap_err();
        assert!(other.to_string().contains("13/data, but in this pod it works on"), "{other}");
    }
}
