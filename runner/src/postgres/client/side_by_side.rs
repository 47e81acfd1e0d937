//! Work on several databases of the serving server at once: most of it is waiting for answers, and there may be hundreds
//! of databases.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use futures::{StreamExt, TryStreamExt, stream};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::error::ServerError;
use super::session::Superuser;

/// How many databases at once. Each takes a connection of the clients' and half a core of a server that serves.
const AT_ONCE: usize = 4;
/// How often, and how many times, to try to connect when all connections are taken.
const INTERVAL: Duration = Duration::from_millis(200);
const ATTEMPTS: usize = 50;

/// The results of `work` for all databases, in the order of the databases; the first error ends it.
pub async fn side_by_side<'a, T, E, F: Future<Output = Result<T, E>>>(
    databases: &'a [String],
    work: impl Fn(&'a str) -> F,
) -> Result<Vec<T>, E> {
    stream::iter(databases).map(|database| work(database)).buffered(AT_ONCE).try_collect().await
}

/// Connects to one of them. On a server that is full only a few connections are left to superusers, and the others at work
/// free theirs soon.
pub async fn connect_in_turn(
    superuser: &Superuser,
    host: &str,
    database: &str,
) -> Result<Client, ServerError> {
    let attempts = ConstantBuilder::default().with_delay(INTERVAL).with_max_times(ATTEMPTS);
    (|| superuser.connect(host, database)).retry(attempts).when(is_full).await
}

fn is_full(error: &ServerError) -> bool {
    matches!(error, ServerError::Connect { source, .. } if source.code() == Some(&SqlState::TOO_MANY_CONNECTIONS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn names(count: u64) -> Vec<String> {
        (0..count).map(|number| number.to_string()).collect()
    }

    #[tokio::test]
    async fn databases_are_worked_on_side_by_side_within_the_limit_and_results_keep_their_order() {
        let names = names(20);
        let (running, most) = (&Cell::new(0), &Cell::new(0));
        let results = side_by_side(&names, |database| async move {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            // The later ones are faster.
            let number: u64 = database.parse().unwrap();
            tokio::time::sleep(Duration::from_millis(25 - number)).await;
            running.set(running.get() - 1);
            Ok::<_, ServerError>(database.to_owned())
        });
        assert_eq!(results.await.unwrap(), names);
        assert_eq!(most.get(), AT_ONCE);
    }

    #[tokio::test]
    async fn error_of_one_database_is_the_result() {
        let names = names(9);
        let work =
            side_by_side(
                &names,
                |database| async move { if database == "5" { Err("broken") } else { Ok(()) } },
            );
        assert_eq!(work.await, Err("broken"));
    }
}
