//! The one connection between runner and agent. It carries only descriptors: each request gets a channel of its own, a pair
//! of sockets, one end of which the runner sends over it.
//!
//! It is opened before code of users can run in the agent's container, and never again: a program that replaces the agent's
//! socket in the directory that both share, or takes the agent's place after its end, is not asked anything. It stays whole
//! when the runner is killed, since nothing on it is longer than a byte: the next runner of the pod uses it too.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use tokio::net::UnixStream;

use super::connection::Connection;
use super::descriptors::{self, into_stream};

/// Either end of it.
#[derive(Debug)]
pub struct Control(UnixStream);

impl Control {
    #[must_use]
    pub fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// The runner's end: opens a channel, and sends a further descriptor with it if there is one.
    pub async fn open(&self, descriptor: Option<&OwnedFd>) -> io::Result<Connection> {
        let (ours, theirs) = UnixStream::pair()?;
        let descriptors: Vec<_> = [theirs.as_fd()].into_iter().chain(descriptor.map(AsFd::as_fd)).collect();
        descriptors::send(&self.0, &descriptors).await?;
        Ok(Connection::new(ours))
    }

    /// The agent's end: the next channel, and the descriptor that came with it. An error of the kind `UnexpectedEof` says that
    /// the runner's container has ended.
    pub async fn accept(&self) -> io::Result<(Connection, Option<OwnedFd>)> {
        let mut received = descriptors::receive(&self.0).await?.into_iter();
        let channel =
            received.next().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no channel came"))?;
        Ok((Connection::new(into_stream(channel)?), received.next()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{Request, VERSION};
    use super::*;

    #[tokio::test]
    async fn channels_are_apart_and_a_descriptor_comes_with_its_own() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (runner, agent) = (Control::new(ours), Control::new(theirs));
        let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let mut first = runner.open(None).await.unwrap();
        let second = runner.open(Some(&null)).await.unwrap();
        let request = Request::Begin { version: VERSION };
        first.send(&request).await.unwrap();
        drop(second);
        let (mut channel, descriptor) = agent.accept().await.unwrap();
        assert_eq!(channel.receive::<Request>().await.unwrap(), Some(request));
        assert!(descriptor.is_none());
        let (mut channel, descriptor) = agent.accept().await.unwrap();
        assert_eq!(channel.receive::<Request>().await.unwrap(), None, "it was abandoned");
        assert!(descriptor.is_some());
        drop(runner);
        assert_eq!(agent.accept().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn channel_ends_with_an_agent_that_has_not_accepted_it() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let runner = Control::new(ours);
        let mut channel = runner.open(None).await.unwrap();
        drop(theirs);
        assert_eq!(channel.receive::<Request>().await.unwrap(), None);
        assert!(runner.open(None).await.is_err());
    }
}
