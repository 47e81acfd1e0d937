//! The lines of a program's output.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::agent::protocol::MAX_LINE;

/// Splits a stream into lines, however long they are and whatever their encoding: the rest of a line that is too long is
/// left out, and what is not valid UTF-8 is replaced.
pub struct Lines<R> {
    stream: BufReader<R>,
    /// The beginning of a line whose end has not been read yet.
    line: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub fn new(stream: R) -> Self {
        Self { stream: BufReader::new(stream), line: Vec::new() }
    }

    /// The next line; `None` at the end. Nothing is lost if it is not awaited to the end.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            // A stream that cannot be read any more has ended.
            let read = self.stream.fill_buf().await.unwrap_or_default();
            let end = memchr::memchr(b'\n', read);
            let text = &read[..end.unwrap_or(read.len())];
            let room = MAX_LINE.saturating_sub(self.line.len()).min(text.len());
            self.line.extend_from_slice(&text[..room]);
            let at_end = read.is_empty();
            let consumed = end.map_or(read.len(), |end| end + 1);
            self.stream.consume(consumed);
            if end.is_some() || (at_end && !self.line.is_empty()) {
                return Some(String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned());
            }
            if at_end {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &[u8]) -> Vec<String> {
        let mut lines = Lines::new(text);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn lines_are_split_and_the_last_needs_no_newline() {
        assert_eq!(all(b"one\n\ntwo").await, ["one", "", "two"]);
        assert_eq!(all(b"").await, [""; 0]);
    }

    #[tokio::test]
    async fn line_in_another_encoding_does_not_end_the_output() {
        assert_eq!(all(b"gr\xfc\xdfe\nnext\n").await, ["gr\u{fffd}\u{fffd}e", "next"]);
    }

    #[tokio::test]
    async fn long_line_is_cut() {
        let text = [vec![b'x'; MAX_LINE + 100_000], b"\nnext".to_vec()].concat();
        let lines = all(&text).await;
        assert_eq!((lines[0].len(), lines[1].as_str()), (MAX_LINE, "next"));
    }
}
