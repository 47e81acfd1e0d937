//! A channel between runner and agent: messages in JSON, each after its length.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::descriptors;
use super::protocol::MAX_MESSAGE;

/// A channel on which whole messages are sent and received.
#[derive(Debug)]
pub struct Connection(Framed<UnixStream, LengthDelimitedCodec>);

impl Connection {
    #[must_use]
    pub fn new(stream: UnixStream) -> Self {
        let codec = LengthDelimitedCodec::builder().max_frame_length(MAX_MESSAGE).new_codec();
        Self(Framed::new(stream, codec))
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &impl Serialize) -> io::Result<()> {
        self.0.send(Bytes::from(serde_json::to_vec(message)?)).await
    }

    /// Sends bytes in place of a message.
    #[cfg(test)]
    pub async fn send_raw(&mut self, message: Vec<u8>) -> io::Result<()> {
        self.0.send(Bytes::from(message)).await
    }

    /// Receives a message; `None` once the peer has closed the connection.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(message) = self.0.next().await.transpose()? else { return Ok(None) };
        Ok(Some(serde_json::from_slice(&message)?))
    }

    /// Sends a descriptor, or that there is none, between two messages.
    pub async fn send_descriptor(&mut self, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        descriptors::send(self.0.get_ref(), descriptor.as_slice()).await
    }

    /// Receives what [`Self::send_descriptor`] sends. The peer must not have sent a message before it that is not received yet.
    pub async fn receive_descriptor(&mut self) -> io::Result<Option<OwnedFd>> {
        Ok(descriptors::receive(self.0.get_ref()).await?.into_iter().next())
    }

    /// Whether the peer has closed the connection, on which it has nothing more to send.
    pub fn is_closed(&mut self) -> bool {
        self.0.next().now_or_never().is_some()
    }

    /// Waits until the peer closes the connection; what it still sends is dropped.
    pub async fn closed(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{Request, Response, VERSION};
    use super::*;
    use std::os::fd::AsFd;
    use tokio::io::AsyncWriteExt;

    fn pair() -> (Connection, Connection) {
        let (runner, agent) = UnixStream::pair().unwrap();
        (Connection::new(runner), Connection::new(agent))
    }

    #[tokio::test]
    async fn message_arrives_whole_and_the_end_is_seen() {
        let (mut runner, mut agent) = pair();
        let request = Request::Begin { version: VERSION };
        runner.send(&request).await.unwrap();
        assert_eq!(agent.receive::<Request>().await.unwrap(), Some(request));
        drop(agent);
        assert_eq!(runner.receive::<Response>().await.unwrap(), None);
    }

    #[tokio::test]
    async fn descriptor_arrives_before_the_message_that_follows_it() {
        let (mut runner, mut agent) = pair();
        let null = OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        agent.send_descriptor(Some(null.as_fd())).await.unwrap();
        agent.send(&Response::Done).await.unwrap();
        assert!(runner.receive_descriptor().await.unwrap().is_some());
        assert_eq!(runner.receive::<Response>().await.unwrap(), Some(Response::Done));
        agent.send_descriptor(None).await.unwrap();
        assert!(runner.receive_descriptor().await.unwrap().is_none());
    }

    #[rstest::rstest]
    #[case::longer_than_allowed(&[0xff, 0xff, 0xff, 0xff])]
    #[case::not_json(&[0, 0, 0, 2, b'{', b'x'])]
    #[case::unknown_message(b"\0\0\0\x0a{\"Evil\":1}")]
    #[case::cut_off(&[0, 0, 0, 9, b'{'])]
    #[tokio::test]
    async fn malformed_answer_is_an_error(#[case] bytes: &[u8]) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut runner = Connection::new(ours);
        theirs.write_all(bytes).await.unwrap();
        drop(theirs);
        runner.receive::<Response>().await.unwrap_err();
    }
}
