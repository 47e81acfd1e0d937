//! Tells the runner that a request is being worked on: it takes an agent for stopped that says nothing.

use std::pin::pin;

use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::agent::connection::Connection;
use crate::agent::protocol::{HEARTBEAT, Response};

/// When to tell it.
pub fn heartbeat() -> Interval {
    let mut interval = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The output of `work`, during which the runner is told.
pub async fn at_work<T>(channel: &mut Connection, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut heartbeat = heartbeat();
    loop {
        tokio::select! {
            output = &mut work => return output,
            _ = heartbeat.tick() => {}
        }
        // If the runner waits no longer, the work is completed nevertheless.
        let _ = channel.send(&Response::AtWork).await;
    }
}
