//! Whether a scratch server still has all calls of functions that it has counted: code that a restore runs as superuser can
//! reset the counts, or make the server crash, which discards them.

use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;

/// Since this version a database has no time of a reset before the first (`pg_stat_database`, of which any reset of a count
/// sets it). Before, it is the time at which the database was first seen.
const EMPTY_BEFORE_A_RESET: u32 = 15;

/// A crash sets that of the whole server (`pgstat_reset_after_failure`), as a reset does.
const RESETS: &str = "SELECT extract(epoch FROM b.stats_reset)::text, extract(epoch FROM d.stats_reset)::text \
     FROM pg_stat_bgwriter b, pg_stat_database d WHERE d.datname = current_database()";

/// The counts of a scratch server before anything was restored.
pub struct CallCounts {
    major: u32,
    server: Option<String>,
}

/// When counts were reset.
struct Resets {
    of_server: Option<String>,
    of_database: Option<String>,
}

impl CallCounts {
    /// Those of a scratch server of `major`, which runs no code of users yet.
    pub async fn begin(scratch: &Client, major: u32) -> Result<Self, ServerError> {
        Ok(Self { major, server: Resets::read(scratch).await?.of_server })
    }

    /// Whether those of the database that `restored` is connected to were reset. To be asked once they were read.
    pub async fn were_reset(&self, restored: &Client) -> Result<bool, ServerError> {
        Ok(self.is_reset(&Resets::read(restored).await?))
    }

    fn is_reset(&self, resets: &Resets) -> bool {
        resets.of_server != self.server
            || (self.major >= EMPTY_BEFORE_A_RESET && resets.of_database.is_some())
    }
}

impl Resets {
    async fn read(client: &Client) -> Result<Self, ServerError> {
        let failed = ServerError::query("when the counts of a scratch server were reset");
        let row = client.query_typed_one(RESETS, &[]).await.map_err(failed)?;
        let column = |column: usize| row.try_get(column).map_err(failed);
        Ok(Self { of_server: column(0)?, of_database: column(1)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::nothing(17, "1", None, false)]
    #[case::counts_of_the_database(17, "1", Some("2"), true)]
    #[case::crash_or_counts_of_the_server(17, "2", None, true)]
    #[case::database_that_was_first_seen(14, "1", Some("2"), false)]
    #[case::crash_of_an_old_version(14, "2", Some("2"), true)]
    fn reset_of_counts_is_noticed(
        #[case] major: u32,
        #[case] of_server: &str,
        #[case] of_database: Option<&str>,
        #[case] expected: bool,
    ) {
        let before = CallCounts { major, server: Some("1".to_owned()) };
        let of_database = of_database.map(ToOwned::to_owned);
        let resets = Resets { of_server: Some(of_server.to_owned()), of_database };
        assert_eq!(before.is_reset(&resets), expected);
    }
}
