//! What Patroni writes to the watchdog. Each write begins with a date, which the start script of the bundle adds: when the request
//! was sent that has confirmed the lock last, in nanoseconds of `CLOCK_BOOTTIME`.
//!
//! | bytes after the line with the date | when |
//! |---|---|
//! | `Ctimeout=10` and a line feed | it has opened the device, before it promotes; its `ttl` has changed |
//! | `1` | it has confirmed its lock |
//! | `V`, which needs no date | it lays the role down: its server is not the primary, or is about to stop |

use std::time::Duration;

use super::clock::BootTime;

/// What Patroni says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// It has the lock, by a request that was sent then, and expects to be ended when it says nothing for this time.
    Arm {
        asked: Duration,
        sent: BootTime,
    },
    /// It still has it.
    KeepAlive(BootTime),
    Disarm,
}

/// Longest line; one that is longer is not Patroni's, and does not parse.
const MAX_LINE: usize = 32;

/// Finds commands in bytes, of which a read may end anywhere. One without a date is ignored: it says nothing about the lock.
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line.
    line: Vec<u8>,
    /// The date of the next command.
    sent: Option<BootTime>,
}

impl Parser {
    /// The commands that are complete. Other bytes are ignored.
    pub fn parse(&mut self, bytes: &[u8]) -> Vec<Command> {
        bytes.iter().filter_map(|byte| self.next(*byte)).collect()
    }

    fn next(&mut self, byte: u8) -> Option<Command> {
        match byte {
            b'\n' => {
                let line = std::mem::take(&mut self.line);
                self.line_ended(&String::from_utf8_lossy(&line))
            }
            b'C' | b'T' => {
                self.line = vec![byte];
                None
            }
            // Digits within a line do not count.
            _ if !self.line.is_empty() => {
                if self.line.len() < MAX_LINE {
                    self.line.push(byte);
                }
                None
            }
            b'1' => self.sent.take().map(Command::KeepAlive),
            b'V' => Some(Command::Disarm),
            _ => None,
        }
    }

    fn line_ended(&mut self, line: &str) -> Option<Command> {
        if let Some(date) = line.strip_prefix('T') {
            self.sent = date.parse().ok().map(|date| BootTime::after_boot(Duration::from_nanos(date)));
            return None;
        }
        let asked = Duration::from_secs(line.strip_prefix("Ctimeout=")?.parse().ok()?);
        self.sent.take().map(|sent| Command::Arm { asked, sent })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Command::{Arm, Disarm, KeepAlive};
    use rstest::rstest;

    fn at(seconds: u64) -> BootTime {
        BootTime::after_boot(Duration::from_secs(seconds))
    }

    fn arm(sent: u64) -> Command {
        Arm { asked: Duration::from_secs(10), sent: at(sent) }
    }

    #[rstest]
    #[case("T5000000000\nCtimeout=10\n", &[arm(5)])]
    #[case("T5000000000\nCtimeout=10\nT6000000000\n1T7000000000\n1V", &[arm(5), KeepAlive(at(6)), KeepAlive(at(7)), Disarm])]
    #[case("VT5000000000\nCtimeout=10\nT5000000000\n1", &[Disarm, arm(5), KeepAlive(at(5))])]
    // Each has a date of its own.
    #[case("1T5000000000\n11", &[KeepAlive(at(5))])]
    #[case("Ctimeout=10\n1", &[])]
    #[case("T5000000000\nCtimeout=\nT6000000000\n1", &[KeepAlive(at(6))])]
    #[case("T5000000000\nCpretimeout=11\n", &[])]
    #[case("T-1\n1Tx\n1T\n1", &[])]
    // One process was killed within a line, and another has opened the FIFO.
    #[case("T5000T6000000000\nCtimeoT6000000000\nCtimeout=10\n", &[arm(6)])]
    #[case("T11111111111111111111111111111111111\n1", &[])]
    fn commands_are_found_wherever_a_read_ends(#[case] text: &str, #[case] expected: &[Command]) {
        let bytes = text.as_bytes();
        for at in 0..=bytes.len() {
            let mut parser = Parser::default();
            let mut found = parser.parse(&bytes[..at]);
            found.extend(parser.parse(&bytes[at..]));
            assert_eq!(found, expected, "{text:?} at {at}");
        }
    }
}
