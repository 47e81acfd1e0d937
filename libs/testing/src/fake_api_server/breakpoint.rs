//! Suspends a client before one of its calls.

use std::sync::{Arc, Mutex};

use http::Method;
use tokio::sync::Semaphore;

/// Suspends a client before one of its calls, until it is resumed.
#[derive(Clone)]
pub struct Breakpoint {
    at: usize,
    counts: fn(&Method, &str) -> bool,
    calls: Arc<Mutex<usize>>,
    reached: Arc<Semaphore>,
    resumed: Arc<Semaphore>,
}

impl Breakpoint {
    /// Before the call with this number, from 0, among those that count by method and path.
    #[must_use]
    pub fn before_call(at: usize, counts: fn(&Method, &str) -> bool) -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self { at, counts, calls: Arc::default(), reached: closed(), resumed: closed() }
    }

    /// Waits until the client is suspended.
    pub async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    /// Resumes the client.
    pub fn resume(&self) {
        self.resumed.add_permits(1);
    }

    pub(super) async fn suspend_at_call(&self, method: &Method, path: &str) {
        if !(self.counts)(method, path) {
            return;
        }
        let call = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls - 1
        };
        if call == self.at {
            self.reached.add_permits(1);
            self.resumed.acquire().await.unwrap().forget();
        }
    }
}
