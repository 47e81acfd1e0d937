//! When two servers certainly took writes at once.

use std::collections::BTreeMap;
use std::time::Duration;

/// Overlaps that are closer than this are one.
const MERGED: Duration = Duration::from_secs(1);

/// A server said that it is the primary, or acknowledged a write. Times are since the start of the watcher.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// When its postmaster was started. A server that has left recovery does not return to it before the next start.
    pub started: String,
    /// When the question was sent.
    pub asked: Duration,
    /// When the answer was received.
    pub received: Duration,
}

/// A while in which two servers were primaries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Overlap {
    /// The names of their pods.
    pub servers: [String; 2],
    /// Its beginning, since the start of the watcher.
    pub from: Duration,
    /// Its end.
    pub to: Duration,
}

/// The times at which a server answered while another one was certainly primary.
///
/// An answer is true at some moment between question and reception. So a server was primary all the time from the reception of the
/// first answer until the last question to the same postmaster. An answer whose question and reception are both in this time
/// proves two primaries. One that a frozen server gives late, to a question from before the other's promotion, proves nothing.
pub(super) fn overlaps(answers: &BTreeMap<String, Vec<Answer>>) -> Vec<Overlap> {
    let mut found = Vec::new();
    for (other, of_other) in answers {
        let terms = terms(of_other);
        for (server, of_server) in answers.iter().filter(|(server, _)| *server != other) {
            let mut servers = [server.clone(), other.clone()];
            servers.sort();
            let proofs = of_server.iter().filter(|answer| {
                terms.iter().any(|(from, to)| *from <= answer.asked && answer.received <= *to)
            });
            found.extend(proofs.map(|answer| Overlap {
                servers: servers.clone(),
                from: answer.asked,
                to: answer.received,
            }));
        }
    }
    merged(found)
}

/// When a server was certainly primary. Its answers are in the order of time.
fn terms(answers: &[Answer]) -> Vec<(Duration, Duration)> {
    let of_one_start = answers.chunk_by(|before, after| before.started == after.started);
    of_one_start.filter_map(|answers| Some((answers.first()?.received, answers.last()?.asked))).collect()
}

fn merged(mut overlaps: Vec<Overlap>) -> Vec<Overlap> {
    overlaps.sort_by(|a, b| (&a.servers, a.from).cmp(&(&b.servers, b.from)));
    let mut merged: Vec<Overlap> = Vec::new();
    for overlap in overlaps {
        match merged.last_mut() {
            Some(last) if last.servers == overlap.servers && overlap.from <= last.to + MERGED => {
                last.to = last.to.max(overlap.to);
            }
            _ => merged.push(overlap),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [(u128, u128); 0] = [];

    /// Answers of one postmaster, from tenths of seconds.
    fn answers(started: &str, times: &[(u64, u64)]) -> Vec<Answer> {
        let at = |tenths: u64| Duration::from_millis(tenths * 100);
        let answer = |(asked, received): &(u64, u64)| Answer {
            started: started.to_owned(),
            asked: at(*asked),
            received: at(*received),
        };
        times.iter().map(answer).collect()
    }

    fn found(first: Vec<Answer>, second: Vec<Answer>) -> Vec<(u128, u128)> {
        let answers = BTreeMap::from([("a".to_owned(), first), ("b".to_owned(), second)]);
        let tenths = |time: Duration| time.as_millis() / 100;
        overlaps(&answers).iter().map(|overlap| (tenths(overlap.from), tenths(overlap.to))).collect()
    }

    #[test]
    fn successor_of_a_primary_does_not_overlap() {
        let old = answers("1", &[(0, 1), (1, 2)]);
        let new = answers("2", &[(3, 4), (4, 5)]);
        assert_eq!(found(old, new), NONE);
    }

    #[test]
    fn primary_that_answers_between_the_answers_of_another_is_an_overlap() {
        let old = answers("1", &[(0, 1), (4, 5), (6, 7)]);
        let new = answers("2", &[(2, 3), (7, 8), (9, 10)]);
        assert_eq!(found(old, new), [(2, 7)]);
    }

    #[test]
    fn answers_that_overlap_in_time_prove_nothing() {
        let old = answers("1", &[(0, 1), (1, 5)]);
        let new = answers("2", &[(2, 4), (6, 7)]);
        assert_eq!(found(old, new), NONE);
    }

    #[test]
    fn late_answer_of_a_frozen_server_to_an_early_question_proves_nothing() {
        let frozen = answers("1", &[(0, 1), (1, 250)]);
        let new = answers("2", &[(200, 201), (210, 211), (260, 261)]);
        assert_eq!(found(frozen, new), NONE);
    }

    #[test]
    fn frozen_server_that_answers_a_later_question_is_an_overlap() {
        let frozen = answers("1", &[(0, 1), (205, 250)]);
        let new = answers("2", &[(200, 201), (260, 261)]);
        assert_eq!(found(frozen, new), [(200, 250)]);
    }

    #[test]
    fn server_that_was_restarted_in_between_does_not_overlap() {
        let twice = [answers("1", &[(0, 1)]), answers("3", &[(9, 10)])].concat();
        let between = answers("2", &[(3, 4), (5, 6)]);
        assert_eq!(found(twice, between), NONE);
    }
}
