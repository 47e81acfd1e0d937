//! A consumer of a logical replication slot.

use crate::database::Database;

/// A slot is in use before its plugin is loaded.
const WAIT: &str = "DO $$ BEGIN
    FOR i IN 1..300 LOOP
        IF EXISTS (SELECT FROM pg_stat_replication WHERE state IN ('catchup', 'streaming')) THEN RETURN; END IF;
        PERFORM pg_sleep(0.1);
    END LOOP;
    RAISE EXCEPTION 'the consumer has not connected';
END $$";

impl Database {
    /// Starts a consumer of a slot of the database `dbname` in the server's pod, where it ends with the server, and waits
    /// until it is connected. It receives what is left when the server stops.
    pub async fn consume_slot(&self, dbname: &str, slot: &str) -> anyhow::Result<()> {
        // The shell looks for the directory itself: the backend that started it may have ended when its child in the background
        // would look.
        let consumer = format!(
            "directory=$(dirname $(readlink /proc/$PPID/exe)); $directory/pg_recvlogical --username=postgres \
             --dbname={dbname} --slot={slot} --start --status-interval=1 --file=- </dev/null >/dev/null 2>&1 &"
        );
        self.sql("postgres", &format!("COPY (SELECT WHERE false) TO PROGRAM '{consumer}'")).await?;
        self.sql("postgres", WAIT).await.map(drop)
    }
}
