//! Limits how often an event is logged that any client can cause.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time between two logged events.
const INTERVAL: Duration = Duration::from_mins(1);

/// Permits one event a minute, and counts the others.
#[derive(Default)]
pub struct Throttle(Mutex<State>);

#[derive(Default)]
struct State {
    last: Option<Instant>,
    suppressed: u64,
}

impl Throttle {
    /// Whether to log the event; if so, the number of events since the last one that was logged.
    pub fn permit(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            state.suppressed += 1;
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn throttle_permits_one_event_a_minute_and_counts_the_others() {
        let throttle = Throttle::default();
        assert_eq!(throttle.permit(), Some(0));
        assert_eq!((throttle.permit(), throttle.permit()), (None, None));
        tokio::time::advance(INTERVAL).await;
        assert_eq!(throttle.permit(), Some(2));
        assert_eq!(throttle.permit(), None);
    }
}
