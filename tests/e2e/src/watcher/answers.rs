//! What the servers of a database have answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::overlap::{Answer, Overlap, overlaps};

/// What an answer says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Said {
    /// The server is in recovery.
    Standby,
    /// It is not.
    Primary,
    /// The row with this number was committed.
    Wrote(u64),
}

/// One answer.
#[derive(Debug)]
pub(super) struct Event {
    /// The name of the server's pod.
    pub(super) server: String,
    pub(super) said: Said,
    pub(super) answer: Answer,
}

/// All answers of a while, from those who were the primary.
#[derive(Debug)]
pub struct Answers {
    from: Duration,
    to: Duration,
    primaries: BTreeMap<String, Vec<Answer>>,
    writers: BTreeMap<String, Vec<Answer>>,
    written: Vec<u64>,
}

impl Answers {
    pub(super) fn since(from: Duration) -> Self {
        Self { from, to: from, primaries: BTreeMap::new(), writers: BTreeMap::new(), written: Vec::new() }
    }

    pub(super) fn add(&mut self, event: Event) {
        self.to = self.to.max(event.answer.received);
        let of = match event.said {
            Said::Standby => return,
            Said::Primary => &mut self.primaries,
            Said::Wrote(number) => {
                self.written.push(number);
                &mut self.writers
            }
        };
        of.entry(event.server).or_default().push(event.answer);
    }

    /// When it ended, since the start of the watcher.
    pub(super) fn to(&self) -> Duration {
        self.to
    }

    /// When two servers were out of recovery at once.
    #[must_use]
    pub fn two_primaries(&self) -> Vec<Overlap> {
        overlaps(&self.primaries)
    }

    /// When two servers acknowledged writes at once.
    #[must_use]
    pub fn two_writers(&self) -> Vec<Overlap> {
        overlaps(&self.writers)
    }

    /// The numbers of all rows that were acknowledged.
    #[must_use]
    pub fn written(&self) -> &[u64] {
        &self.written
    }

    /// The longest time without an acknowledged write.
    #[must_use]
    pub fn longest_gap(&self) -> Duration {
        let mut times: Vec<_> = self.writers.values().flatten().map(|answer| answer.received).collect();
        times.extend([self.from, self.to]);
        times.sort();
        times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(server: &str, said: Said, seconds: u64) -> Event {
        let at = Duration::from_secs(seconds);
        let answer = Answer { started: server.to_owned(), asked: at, received: at };
        Event { server: server.to_owned(), said, answer }
    }

    #[test]
    fn longest_gap_is_that_between_writes_of_all_servers() {
        let mut answers = Answers::since(Duration::from_secs(10));
        for (server, said, seconds) in [
            ("a", Said::Wrote(0), 11),
            ("a", Said::Primary, 15),
            ("b", Said::Wrote(1), 17),
            ("c", Said::Standby, 20),
        ] {
            answers.add(event(server, said, seconds));
        }
        assert_eq!(answers.longest_gap(), Duration::from_secs(6));
        assert_eq!(answers.written(), [0, 1]);
    }

    #[test]
    fn longest_gap_without_a_write_is_everything() {
        let mut answers = Answers::since(Duration::from_secs(10));
        answers.add(event("a", Said::Primary, 15));
        assert_eq!(answers.longest_gap(), Duration::from_secs(5));
    }
}
