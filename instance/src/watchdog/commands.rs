//! What Patroni writes to the watchdog.
//!
//! | bytes | when |
//! |---|---|
//! | `Ctimeout=10` and a line feed | it has opened the device, before it promotes; its `ttl` has changed |
//! | `1` | it has confirmed its lock |
//! | `V` | it lays the role down: its server is not the primary, or is about to stop |

use std::time::Duration;

/// What Patroni says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Command {
    /// It expects to be ended if it says nothing for this time.
    Arm(Duration),
    KeepAlive,
    Disarm,
}

/// Longest line; one that is longer is not Patroni's, and does not parse.
const MAX_LINE: usize = 32;

/// Finds commands in bytes, of which a read may end anywhere.
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line.
    line: Vec<u8>,
}

impl Parser {
    /// The commands that are complete. Other bytes are ignored.
    pub fn parse(&mut self, bytes: &[u8]) -> Vec<Command> {
        bytes.iter().filter_map(|byte| self.next(*byte)).collect()
    }

    fn next(&mut self, byte: u8) -> Option<Command> {
        match byte {
            b'\n' => timeout(&std::mem::take(&mut self.line)),
            b'C' => {
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
            b'1' => Some(Command::KeepAlive),
            b'V' => Some(Command::Disarm),
            _ => None,
        }
    }
}

fn timeout(line: &[u8]) -> Option<Command> {
    let seconds = std::str::from_utf8(line).ok()?.strip_prefix("Ctimeout=")?;
    seconds.parse().ok().map(|seconds| Command::Arm(Duration::from_secs(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Command::{Arm, Disarm, KeepAlive};
    use rstest::rstest;

    const TEN: Command = Arm(Duration::from_secs(10));

    #[rstest]
    #[case("Ctimeout=10\n", &[TEN])]
    #[case("Ctimeout=10\n111V", &[TEN, KeepAlive, KeepAlive, KeepAlive, Disarm])]
    #[case("VCtimeout=10\n1", &[Disarm, TEN, KeepAlive])]
    #[case("Ctimeout=\n1", &[KeepAlive])]
    #[case("Cpretimeout=11\n", &[])]
    #[case("Ctimeout=-1\nx\n 1", &[KeepAlive])]
    // One process was killed within a line, and another has opened the FIFO.
    #[case("Ctimeout=1Ctimeout=10\n1", &[TEN, KeepAlive])]
    #[case("Ctimeout=11111111111111111111111111111111111\n1", &[KeepAlive])]
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
