//! A connection between runner and agent: messages in JSON, each after its length, and before the first one a byte that
//! may carry a descriptor.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::protocol::MAX_MESSAGE;

/// The byte before the first message.
const PREAMBLE: [u8; 1] = [b'p'];

/// A connection on which whole messages are sent and received.
#[derive(Debug)]
pub struct Connection(Framed<UnixStream, LengthDelimitedCodec>);

impl Connection {
    /// The runner's end: sends the preamble, with a descriptor if there is one.
    pub async fn initiate(stream: UnixStream, descriptor: Option<&OwnedFd>) -> io::Result<Self> {
        let descriptor = descriptor.map(AsFd::as_fd);
        let sent = loop {
            stream.writable().await?;
            match stream.try_io(Interest::WRITABLE, || send_preamble(&stream, descriptor)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => break sent,
            }
        };
        sent?;
        Ok(Self::framed(stream))
    }

    /// The agent's end: receives the preamble, and the descriptor that came with it.
    pub async fn accept(stream: UnixStream) -> io::Result<(Self, Option<OwnedFd>)> {
        let descriptor = loop {
            stream.readable().await?;
            match stream.try_io(Interest::READABLE, || receive_preamble(&stream)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => break received,
            }
        };
        let descriptor = descriptor?;
        Ok((Self::framed(stream), descriptor))
    }

    fn framed(stream: UnixStream) -> Self {
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

    /// Whether the peer has closed the connection, on which it has nothing more to send.
    pub fn is_closed(&mut self) -> bool {
        self.0.next().now_or_never().is_some()
    }

    /// Waits until the peer closes the connection; what it still sends is dropped.
    pub async fn closed(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

fn send_preamble(stream: &UnixStream, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<_> = descriptor.into_iter().collect();
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    sendmsg(stream, &[IoSlice::new(&PREAMBLE)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive_preamble(stream: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut preamble = [0; 1];
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(stream, &mut [IoSliceMut::new(&mut preamble)], &mut ancillary, flags)?;
    if received.bytes == 0 || preamble != PREAMBLE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the peer is not a runner"));
    }
    let descriptor = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok(descriptor)
}

#[cfg(test)]
mod tests {
    use super::super::protocol::{Request, Response, VERSION};
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn pair() -> (Connection, Connection) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let runner = Connection::initiate(ours, None).await.unwrap();
        let (agent, descriptor) = Connection::accept(theirs).await.unwrap();
        assert!(descriptor.is_none());
        (runner, agent)
    }

    #[tokio::test]
    async fn message_arrives_whole_and_the_end_is_seen() {
        let (mut runner, mut agent) = pair().await;
        let request = Request::Begin { version: VERSION };
        runner.send(&request).await.unwrap();
        assert_eq!(agent.receive::<Request>().await.unwrap(), Some(request));
        drop(agent);
        assert_eq!(runner.receive::<Response>().await.unwrap(), None);
    }

    #[tokio::test]
    async fn descriptor_arrives_with_the_first_byte() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "content").unwrap();
        let file = OwnedFd::from(std::fs::File::open(&path).unwrap());
        Connection::initiate(ours, Some(&file)).await.unwrap();
        let (_, received) = Connection::accept(theirs).await.unwrap();
        let text = std::io::read_to_string(std::fs::File::from(received.unwrap())).unwrap();
        assert_eq!(text, "content");
    }

    #[rstest::rstest]
    #[case::longer_than_allowed(&[0xff, 0xff, 0xff, 0xff])]
    #[case::not_json(&[0, 0, 0, 2, b'{', b'x'])]
    #[case::unknown_message(b"\0\0\0\x0a{\"Evil\":1}")]
    #[case::cut_off(&[0, 0, 0, 9, b'{'])]
    #[tokio::test]
    async fn malformed_answer_is_an_error(#[case] bytes: &[u8]) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut runner = Connection::initiate(ours, None).await.unwrap();
        theirs.write_all(bytes).await.unwrap();
        drop(theirs);
        runner.receive::<Response>().await.unwrap_err();
    }
}
