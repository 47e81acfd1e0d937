//! Descriptors that cross a socket between two containers: each time one byte, which carries up to two of them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use pgops_volume::{receive_descriptors, send_descriptors};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The byte that carries them.
const CARRIER: [u8; 1] = [b'd'];

/// Sends these descriptors.
pub async fn send(stream: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    stream.async_io(Interest::WRITABLE, || send_now(stream, descriptors)).await
}

/// Receives the descriptors that the peer sends next.
pub async fn receive(stream: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    stream.async_io(Interest::READABLE, || receive_now(stream)).await
}

/// Sends these descriptors on any socket.
pub fn send_now(socket: impl AsFd, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_descriptors(socket, &CARRIER, descriptors)
}

/// Receives the descriptors that the peer of any socket sends next. No program that is started inherits them.
pub fn receive_now(socket: impl AsFd) -> io::Result<Vec<OwnedFd>> {
    let mut carrier = [0; 1];
    let (bytes, descriptors) = receive_descriptors(socket, &mut carrier)?;
    if bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if carrier != CARRIER {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no descriptors where some were expected"));
    }
    Ok(descriptors)
}

/// The stream of a descriptor that was received.
pub fn into_stream(descriptor: OwnedFd) -> io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(descriptor);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    fn file(content: &str) -> OwnedFd {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, content).unwrap();
        std::fs::File::open(&path).unwrap().into()
    }

    fn content(descriptor: OwnedFd) -> String {
        std::io::read_to_string(std::fs::File::from(descriptor)).unwrap()
    }

    #[tokio::test]
    async fn descriptors_arrive_in_their_order_and_apart_from_those_sent_next() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (one, two, three) = (file("one"), file("two"), file("three"));
        send(&ours, &[one.as_fd(), two.as_fd()]).await.unwrap();
        send(&ours, &[]).await.unwrap();
        send(&ours, &[three.as_fd()]).await.unwrap();
        drop(ours);
        let received = receive(&theirs).await.unwrap();
        assert_eq!(received.into_iter().map(content).collect::<Vec<_>>(), ["one", "two"]);
        assert!(receive(&theirs).await.unwrap().is_empty());
        assert_eq!(receive(&theirs).await.unwrap().into_iter().map(content).collect::<Vec<_>>(), ["three"]);
        assert_eq!(receive(&theirs).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn bytes_in_place_of_descriptors_are_an_error() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"x").await.unwrap();
        assert_eq!(receive(&theirs).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn descriptor_of_a_file_is_an_error() {
        assert!(into_stream(file("one")).is_err());
    }
}
