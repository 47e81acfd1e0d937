//! The body of a watch: each event as soon as its line is complete.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, Incoming};

use crate::call::Resource;
use crate::database::Database;
use crate::reduction::Reduction;

/// The longest line. An object in Kubernetes has 1.5 MiB at most.
const MAX_LINE: usize = 2 * 1024 * 1024;
/// What is kept of the buffer when an event was larger.
const SPARE: usize = 16 * 1024;

/// Why a watch ends before the API server ends it.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The connection to the API server.
    #[error("failed to read a watch from the API server")]
    Connection(#[from] hyper::Error),
    /// A line that is not an event.
    #[error("failed to parse an event of a watch")]
    Event(#[from] serde_json::Error),
    /// A line that is larger than any object.
    #[error("an event of a watch is larger than {MAX_LINE} bytes")]
    TooLarge,
}

/// The events of the database's own objects.
pub struct Events<B = Incoming> {
    upstream: B,
    lines: Lines,
}

/// Splits what arrives, and reduces each line.
struct Lines {
    database: Arc<Database>,
    resource: Resource,
    /// The begin of a line.
    partial: Vec<u8>,
}

impl<B> Events<B> {
    /// The events in the response of the API server.
    pub fn new(upstream: B, database: Arc<Database>, resource: Resource) -> Self {
        Self { upstream, lines: Lines { database, resource, partial: Vec::new() } }
    }
}

impl<B> Body for Events<B>
where
    B: Body<Data = Bytes> + Unpin,
    EventsError: From<B::Error>,
{
    type Data = Bytes;
    type Error = EventsError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EventsError>>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.upstream).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => frame,
            };
            // Trailers have no events.
            let Ok(bytes) = frame.into_data() else { continue };
            let events = self.lines.push(&bytes)?;
            if !events.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(events.into()))));
            }
        }
    }
}

impl Lines {
    /// The events that are complete with these bytes. Whole lines, since Patroni decodes each chunk by itself, and a
    /// character must not be split.
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, EventsError> {
        let reduction = Reduction::new(&self.database, self.resource);
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, more) = (&rest[..end], &rest[end + 1..]);
            if self.partial.is_empty() {
                reduction.event(line, &mut events)?;
            } else {
                self.partial.extend_from_slice(line);
                reduction.event(&self.partial, &mut events)?;
                self.partial.clear();
                self.partial.shrink_to(SPARE);
            }
            rest = more;
        }
        if self.partial.len() + rest.len() > MAX_LINE {
            return Err(EventsError::TooLarge);
        }
        self.partial.extend_from_slice(rest);
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::orders;

    fn lines() -> Lines {
        Lines { database: Arc::new(orders()), resource: Resource::Pods, partial: Vec::new() }
    }

    fn event(name: &str) -> String {
        format!(
            "{{\"type\":\"ADDED\",\"object\":{{\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"demo\",\
             \"uid\":\"u\",\"resourceVersion\":\"1\",\"annotations\":{{\"status\":\"größer\"}}}}}}}}\n"
        )
    }

    fn count(events: &[u8]) -> usize {
        let text = std::str::from_utf8(events).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.matches("\"type\":\"ADDED\"").count()
    }

    #[test]
    fn events_are_the_same_however_the_bytes_arrive() {
        let text = [event("orders-0"), event("shop-0"), event("orders-1")].concat();
        let whole = lines().push(text.as_bytes()).unwrap();
        assert_eq!(count(&whole), 2);
        for size in [1, 2, 3, 50, 200] {
            let mut lines = lines();
            let mut events = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                let complete = lines.push(chunk).unwrap();
                count(&complete);
                events.extend(complete);
            }
            assert_eq!(events, whole, "in chunks of {size}");
        }
    }

    #[test]
    fn line_without_end_is_given_up() {
        let mut lines = lines();
        assert!(lines.push(&vec![b' '; MAX_LINE]).unwrap().is_empty());
        assert!(matches!(lines.push(b" "), Err(EventsError::TooLarge)));
    }

    #[test]
    fn line_that_is_not_an_event_is_an_error() {
        assert!(matches!(lines().push(b"not JSON\n"), Err(EventsError::Event(_))));
        assert!(matches!(lines().push(b"{\"type\":\"ADDED\",\"object\":{}}\n"), Err(EventsError::Event(_))));
    }
}
