//! A stream from which only so much can be read, and not for ever: a server that runs code of users may send anything, or
//! nothing.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::time::{Sleep, sleep};

/// Bytes that one session may receive. The catalogs of 100,000 tables take a fraction of it.
const LIMIT: usize = 256 << 20;

/// A stream that ends with an error once [`LIMIT`] bytes have been read, or once its time is over.
pub struct LimitedStream {
    stream: UnixStream,
    left: usize,
    time: Duration,
    end: Pin<Box<Sleep>>,
}

impl LimitedStream {
    /// Ends after `time`.
    pub fn new(stream: UnixStream, time: Duration) -> Self {
        Self { stream, left: LIMIT, time, end: Box::pin(sleep(time)) }
    }
}

impl AsyncRead for LimitedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the session has taken longer than {} s", self.time.as_secs()),
            )));
        }
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
        let mut limited = LimitedStream { left: 5, ..LimitedStream::new(ours, Duration::from_mins(1)) };
        theirs.write_all(b"12345").await.unwrap();
        limited.read_exact(&mut [0; 5]).await.unwrap();
        theirs.write_all(b"6").await.unwrap();
        let error = limited.read_exact(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn stream_of_a_silent_server_ends_after_its_time() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let mut limited = LimitedStream::new(ours, Duration::from_mins(1));
        let error = limited.read_exact(&mut [0; 1]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
