//! Reads of the API server that a review waits for, when the caches do not know enough.
//!
//! Any pod that reaches the webhook can send reviews that need one. So few are made at once: otherwise answers of the API
//! server could use up the memory of the pod.

use std::time::Duration;

use kube::Client;
use tokio::sync::Semaphore;

/// Maximum time to wait for a turn and for the API server: less than that waits for the review.
const TIME_LIMIT: Duration = Duration::from_secs(3);
/// Maximum number of reads at once.
const MAX_READS: usize = 2;

/// The way to the API server.
pub struct Lookups {
    client: Client,
    turns: Semaphore,
}

impl Lookups {
    /// With this client.
    pub fn new(client: Client) -> Self {
        Self { client, turns: Semaphore::new(MAX_READS) }
    }

    /// The result of the read, or the text of why there is none.
    pub async fn read<T>(&self, read: impl AsyncFnOnce(Client) -> kube::Result<T>) -> Result<T, String> {
        let in_turn = async {
            let _turn = self.turns.acquire().await.map_err(|error| error.to_string())?;
            Box::pin(read(self.client.clone())).await.map_err(|error| error.to_string())
        };
        tokio::time::timeout(TIME_LIMIT, in_turn).await.map_err(|elapsed| elapsed.to_string())?
    }
}
