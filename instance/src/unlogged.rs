//! What keeps statements with a password out of the server's log: not even what the server stores instead of it may be there, since
//! that can be attacked by guessing.

/// The settings with which the server logs no statement, and `pg_stat_statements` keeps none, if that is loaded.
pub fn settings(major: u32) -> impl Iterator<Item = (&'static str, &'static str)> {
    let settings = [
        (0, "log_statement", "none"),
        (0, "log_min_duration_statement", "-1"),
        (0, "log_min_error_statement", "panic"),
        (0, "pg_stat_statements.track_utility", "off"),
        (12, "log_transaction_sample_rate", "0"),
        (13, "log_min_duration_sample", "-1"),
    ];
    let known = settings.into_iter().filter(move |(since, ..)| *since <= major);
    known.map(|(_, name, value)| (name, value))
}

/// The same, for a session. In a message of its own: whether the server logs a message, it decides before it executes any
/// statement of it.
pub fn statement(major: u32) -> String {
    settings(major).map(|(name, value)| format!("SET {name} = '{value}'")).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `exec_simple_query()` logs the whole message by the settings at its beginning, and a sample of transactions likewise.
    #[test]
    fn nothing_is_logged_by_any_setting_that_the_server_knows() {
        for setting in [
            "log_statement",
            "log_min_duration_statement",
            "log_transaction_sample_rate",
            "log_min_duration_sample",
        ] {
            assert!(statement(13).contains(&format!("SET {setting} = ")), "{setting}");
        }
        assert!(!statement(11).contains("sample"), "a server rejects what it does not know");
    }
}
