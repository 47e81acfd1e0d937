//! A stream from which only so much can be read: a server that runs code of users may send anything.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// Bytes that one session may receive. The catalogs of 100,000 tables take a fraction of it.
const LIMIT: usize = 256 << 20;

/// A stream that ends with an error once [`LIMIT`] bytes have been read.
pub struct LimitedStream {
    stream: UnixStream,
    left: usize,
}

impl LimitedStream {
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, left: LIMIT }
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = std::task::ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        let read = buffer.filled().len() - before;
        match self.left.checked_sub(read) {
            Some(left) => self.left = left,
            None => {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::FileTooLarge,
                    format!("the server has sent more than {} MiB", LIMIT >> 20),
                )));
            }
        }
        Poll::Ready(result)
    }
}

impl AsyncWrite for LimitedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn stream_ends_at_its_limit() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut limited = LimitedStream { left: 5, ..LimitedStream::new(ours) };
        theirs.write_all(b"12345").await.unwrap();
        limited.read_exact(&mut [0; 5]).await.unwrap();
        theirs.write_all(b"6").await.unwrap();
        let error = limited.read_exact(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
