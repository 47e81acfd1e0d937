//! What the server knows of itself: one row, which is cheap however large its databases are, and their size, which is not.

use tokio_postgres::{Client, Error, Row};

/// Settings of the session, before everything else. A statement ends at this time limit even if its client has left.
const SETTINGS: &str = "SET search_path = pg_catalog, pg_temp; SET statement_timeout = 2000";

/// The largest distance between two transaction ids.
const WRAPAROUND: i64 = 1 << 31;

/// Every user may read these views, so that a role that is not a superuser any more sees all but the states of others.
/// Prepared transactions keep rows alive as open ones do.
const STATISTICS: &str = "\
    SELECT pg_is_in_recovery() AS in_recovery, \
        current_setting('max_connections')::int8 AS max_connections, \
        sessions.*, wal.*, frozen.*, archiver.*, checkpoints.* \
    FROM (SELECT count(*) AS connections, \
            count(*) FILTER (WHERE state = 'active') AS active, \
            count(*) FILTER (WHERE state = 'idle') AS idle, \
            count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction, \
            extract(epoch FROM clock_timestamp() - \
                least(min(xact_start), (SELECT min(prepared) FROM pg_prepared_xacts)))::float8 AS oldest_transaction \
        FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()) AS sessions, \
        (SELECT ((CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END) \
            - '0/0'::pg_lsn)::float8 AS wal_position) AS wal, \
        (SELECT max(age(datfrozenxid))::int8 AS transaction_age, max(mxid_age(datminmxid))::int8 AS multixact_age \
        FROM pg_database) AS frozen, \
        (SELECT archived_count, failed_count AS archive_failures, \
            extract(epoch FROM last_archived_time)::float8 AS last_archived FROM pg_stat_archiver) AS archiver, ";

const CHECKPOINTS: &str = "(SELECT num_timed AS scheduled, num_requested AS requested \
    FROM pg_stat_checkpointer) AS checkpoints";
const CHECKPOINTS_BEFORE_17: &str = "(SELECT checkpoints_timed AS scheduled, checkpoints_req AS requested \
    FROM pg_stat_bgwriter) AS checkpoints";

/// It reads the size of each file, so it is asked seldom.
const DATABASES_SIZE: &str = "SELECT sum(pg_database_size(oid))::int8 AS size FROM pg_database";

/// What the server knows of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    pub in_recovery: bool,
    pub max_connections: i64,
    /// Sessions of clients, without the one that asks.
    pub connections: i64,
    pub active: i64,
    pub idle: i64,
    pub idle_in_transaction: i64,
    /// Seconds since the oldest open or prepared transaction began; none if there is none.
    pub oldest_transaction: Option<f64>,
    /// Bytes of WAL since the cluster was initialised, written or replayed; none before a standby has replayed any.
    pub wal_position: Option<f64>,
    pub transaction_age: i64,
    pub multixact_age: i64,
    pub archived: i64,
    pub archive_failures: i64,
    /// When the archiver last succeeded, in Unix time.
    pub last_archived: Option<f64>,
    pub scheduled_checkpoints: i64,
    pub requested_checkpoints: i64,
}

impl Statistics {
    /// Transaction ids, and ids of multixacts, that are left before the oldest one that is in use would be reached.
    pub fn ids_left(&self) -> [(&'static str, i64); 2] {
        [("transaction", WRAPAROUND - self.transaction_age), ("multixact", WRAPAROUND - self.multixact_age)]
    }

    /// Connections of clients in no other state: those that run a fastpath function, hide their state or are just starting.
    pub fn other(&self) -> i64 {
        (self.connections - self.active - self.idle - self.idle_in_transaction).max(0)
    }
}

/// Prepares a session for the queries below.
pub async fn prepare(client: &Client) -> Result<(), Error> {
    client.batch_execute(SETTINGS).await
}

/// Reads the statistics of a server of this major version.
pub async fn read(client: &Client, major: u32) -> Result<Statistics, Error> {
    from_row(&client.query_one(&query(major), &[]).await?)
}

/// The size of all databases, in bytes.
pub async fn databases_size(client: &Client) -> Result<i64, Error> {
    client.query_one(DATABASES_SIZE, &[]).await?.try_get("size")
}

fn query(major: u32) -> String {
    let checkpoints = if major >= 17 { CHECKPOINTS } else { CHECKPOINTS_BEFORE_17 };
    format!("{STATISTICS}{checkpoints}")
}

fn from_row(row: &Row) -> Result<Statistics, Error> {
    Ok(Statistics {
        in_recovery: row.try_get("in_recovery")?,
        max_connections: row.try_get("max_connections")?,
        connections: row.try_get("connections")?,
        active: row.try_get("active")?,
        idle: row.try_get("idle")?,
        idle_in_transaction: row.try_get("idle_in_transaction")?,
        oldest_transaction: row.try_get("oldest_transaction")?,
        wal_position: row.try_get("wal_position")?,
        transaction_age: row.try_get("transaction_age")?,
        multixact_age: row.try_get("multixact_age")?,
        archived: row.try_get("archived_count")?,
        archive_failures: row.try_get("archive_failures")?,
        last_archived: row.try_get("last_archived")?,
        scheduled_checkpoints: row.try_get("scheduled")?,
        requested_checkpoints: row.try_get("requested")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_no_known_state_are_the_rest() {
        let statistics =
            Statistics { connections: 7, active: 1, idle: 2, idle_in_transaction: 3, ..Default::default() };
        assert_eq!(statistics.other(), 1);
    }

    #[test]
    fn ids_are_left_up_to_the_wraparound() {
        let statistics = Statistics { transaction_age: 200_000_000, multixact_age: 1, ..Default::default() };
        assert_eq!(statistics.ids_left(), [("transaction", 1_947_483_648), ("multixact", 2_147_483_647)]);
    }

    #[test]
    fn checkpoints_are_read_from_the_view_of_the_version() {
        assert!(query(17).contains("pg_stat_checkpointer") && !query(17).contains("pg_stat_bgwriter"));
        assert!(query(16).contains("pg_stat_bgwriter") && !query(16).contains("pg_stat_checkpointer"));
    }
}
