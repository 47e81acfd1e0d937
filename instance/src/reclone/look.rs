//! A look at the server: what it answers or, while it starts, the title of the process that recovers.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::track::Seen;
use crate::session::OwnSessions;

/// Timeout of an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Length of the name of a WAL segment.
const SEGMENT: usize = 24;

/// A receiver that has not reached the primary yet is not in the view.
const QUESTION: &str = "SELECT pg_catalog.pg_is_in_recovery(), \
     (SELECT pid FROM pg_catalog.pg_stat_wal_receiver WHERE status = 'streaming'), \
     coalesce(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_last_wal_replay_lsn(), '0/0'), 0)::pg_catalog.int8";

/// What the server answers; nothing if it does not.
pub async fn ask(sessions: OwnSessions) -> Option<Seen> {
    tokio::time::timeout(TIMEOUT, query(sessions)).await.ok()?.ok()
}

async fn query(mut sessions: OwnSessions) -> Result<Seen, tokio_postgres::Error> {
    let client = sessions.open().await?.client;
    let row = client.query_one(QUESTION, &[]).await?;
    let in_recovery: bool = row.try_get(0)?;
    let replayed: i64 = row.try_get(2)?;
    Ok(if in_recovery {
        Seen::Standby { receiver: row.try_get(1)?, replayed: u64::try_from(replayed).unwrap_or_default() }
    } else {
        Seen::Primary
    })
}

/// The last WAL segment that a process of `/proc` says in its title to recover. Nothing is known of a server that does not change its
/// titles (`update_process_title`). May wait for a process that hangs.
pub fn recovered_segment(processes: &Path) -> Option<String> {
    let entries = fs::read_dir(processes).ok()?;
    let titles = entries.flatten().filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    titles.filter_map(|title| segment(&String::from_utf8_lossy(&title))).max()
}

fn segment(title: &str) -> Option<String> {
    let (_, rest) = title.strip_prefix("postgres:")?.split_once("recovering ")?;
    let segment = rest.get(..SEGMENT)?;
    segment.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| segment.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_is_found_in_the_title_of_the_process_that_recovers() {
        let root = tempfile::tempdir().unwrap();
        for (pid, title) in [
            ("1", "/pgops/bin/pgops-instance\0run\0"),
            ("30", "postgres: startup recovering 000000010000000000000003\0\0\0"),
            ("31", "postgres: orders: startup   recovering 000000010000000000000004"),
            ("32", "postgres: app orders recovering [local] idle"),
            ("33", "psql -c recovering 000000090000000000000001"),
        ] {
            fs::create_dir(root.path().join(pid)).unwrap();
            fs::write(root.path().join(pid).join("cmdline"), title).unwrap();
        }
        fs::create_dir(root.path().join("net")).unwrap();
        assert_eq!(recovered_segment(root.path()).as_deref(), Some("000000010000000000000004"));
        assert_eq!(recovered_segment(&root.path().join("missing")), None);
    }
}
