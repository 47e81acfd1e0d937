//! Descriptors that cross a Unix socket, such as that of the interlock: each time with some bytes, which carry them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// How many there is room for; the kernel closes those that do not fit.
const MAX: usize = 2;

/// Sends bytes, of which there must be some, and these descriptors with the first of them.
pub fn send_descriptors(socket: impl AsFd, carrier: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let mut is_sent =
        || descriptors.len() <= MAX && ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    if !descriptors.is_empty() && !is_sent() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more descriptors than fit"));
    }
    sendmsg(socket, &[IoSlice::new(carrier)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives what the peer sends next: how many bytes, and their descriptors. No program that is started inherits these.
pub fn receive_descriptors(socket: impl AsFd, carrier: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(carrier)], &mut ancillary, flags)?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    Ok((received.bytes, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::net::UnixStream;

    #[test]
    fn descriptors_arrive_with_their_bytes() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        send_descriptors(&ours, b"yes", &[null.as_fd()]).unwrap();
        drop(ours);
        let mut carrier = [0; 8];
        let (bytes, descriptors) = receive_descriptors(&theirs, &mut carrier).unwrap();
        assert_eq!((&carrier[..bytes], descriptors.len()), (b"yes".as_slice(), 1));
        let (bytes, descriptors) = receive_descriptors(&theirs, &mut carrier).unwrap();
        assert!(bytes == 0 && descriptors.is_empty());
    }

    #[test]
    fn more_descriptors_than_fit_are_an_error() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        let error = send_descriptors(&ours, b"d", &[null.as_fd(); MAX + 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
