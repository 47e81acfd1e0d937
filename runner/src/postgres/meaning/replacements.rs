//! What is to be used instead of a name that a version has removed, by the release notes of 13 to 18. Which names are lost is
//! known from the servers; one that is not here is only said to be removed.

/// Sorted by name: functions, columns of system views, settings.
const REPLACEMENTS: &[(&str, &str)] = &[
    ("buffers_backend", "pg_stat_io"),
    ("buffers_backend_fsync", "pg_stat_io"),
    ("buffers_checkpoint", "buffers_written of pg_stat_checkpointer"),
    ("checkpoint_sync_time", "sync_time of pg_stat_checkpointer"),
    ("checkpoint_write_time", "write_time of pg_stat_checkpointer"),
    ("checkpoints_req", "num_requested of pg_stat_checkpointer"),
    ("checkpoints_timed", "num_timed of pg_stat_checkpointer"),
    ("colliculocale", "colllocale"),
    ("daticulocale", "datlocale"),
    ("force_parallel_mode", "debug_parallel_query"),
    ("lc_collate", "datcollate of pg_database"),
    ("lc_ctype", "datctype of pg_database"),
    ("max_dead_tuples", "max_dead_tuple_bytes"),
    ("num_dead_tuples", "num_dead_item_ids"),
    ("op_bytes", "read_bytes, write_bytes, extend_bytes"),
    ("parent", "path"),
    ("pg_start_backup", "pg_backup_start"),
    ("pg_stop_backup", "pg_backup_stop"),
    ("wal_sync", "pg_stat_io"),
    ("wal_sync_time", "pg_stat_io"),
    ("wal_write", "pg_stat_io"),
    ("wal_write_time", "pg_stat_io"),
];

/// What is to be used instead of a name that was removed, if that is known.
#[must_use]
pub fn replacement(name: &str) -> Option<&'static str> {
    let position = REPLACEMENTS.binary_search_by_key(&name, |(removed, _)| *removed).ok()?;
    REPLACEMENTS.get(position).map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_are_sorted_by_name() {
        assert!(REPLACEMENTS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn replacement_is_known_for_what_was_renamed() {
        assert_eq!(replacement("pg_stop_backup"), Some("pg_backup_stop"));
        assert_eq!(replacement("pg_is_in_backup"), None);
    }
}
