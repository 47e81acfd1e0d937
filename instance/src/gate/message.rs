//! What a client says: a program that it is about to execute, or a step of a clone that PID 1 is to do.

use std::fmt;
use std::time::Duration;

use super::program::Gated;
use super::request::{Request, RequestError};

/// First byte of an answer: the step is done.
pub const DONE: u8 = b'D';

/// A step of a clone that changes more than `pg_basebackup` may.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CloneStep {
    /// What an earlier clone has left is removed.
    Prepare,
    /// The complete clone becomes the data directory.
    Publish,
}

impl CloneStep {
    const ALL: [Self; 2] = [Self::Prepare, Self::Publish];

    fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare-clone",
            Self::Publish => "publish-clone",
        }
    }

    fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let name = bytes.strip_suffix(&[0])?;
        Self::ALL.into_iter().find(|step| step.name().as_bytes() == name)
    }
}

impl fmt::Display for CloneStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "the leftovers of a clone are removed",
            Self::Publish => "the clone is now the data directory",
        })
    }
}

/// What a client says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    Execute(Request),
    Clone(CloneStep),
}

impl Message {
    /// Its form on the socket, after its length.
    pub fn encode(&self) -> Result<Vec<u8>, RequestError> {
        match self {
            Self::Execute(request) => request.encode(),
            Self::Clone(step) => Ok([step.name().as_bytes(), &[0]].concat()),
        }
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, RequestError> {
        match CloneStep::of_bytes(bytes) {
            Some(step) => Ok(Self::Clone(step)),
            None => Request::decode(bytes).map(Self::Execute),
        }
    }

    /// Time for the decision, and for what PID 1 does: removing a directory of a large database takes long.
    pub fn timeout(&self) -> Duration {
        match self {
            Self::Execute(_) => Duration::from_secs(5),
            Self::Clone(_) => Duration::from_mins(10),
        }
    }

    /// What a refusal begins with.
    pub fn refused(&self) -> String {
        match self {
            Self::Execute(request) if request.program == Gated::PgCtl => {
                "the server is not promoted".to_owned()
            }
            Self::Execute(request) => format!("{} is not started", request.program),
            Self::Clone(CloneStep::Prepare) => "a clone is not begun".to_owned(),
            Self::Clone(CloneStep::Publish) => "the clone does not become the data directory".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_survives_the_socket() {
        let request = Request { program: Gated::PgBasebackup, arguments: vec!["publish-clone".into()] };
        let messages = CloneStep::ALL.map(Message::Clone);
        for message in messages.into_iter().chain([Message::Execute(request)]) {
            assert_eq!(Message::decode(&message.encode().unwrap()), Ok(message));
        }
        for bytes in [b"publish-clone".as_slice(), b"publish-clone\0x\0", b"publish\0", b""] {
            assert_eq!(Message::decode(bytes), Err(RequestError::UnknownProgram), "{bytes:?}");
        }
    }
}
