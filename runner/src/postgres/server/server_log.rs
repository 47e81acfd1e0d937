//! What the log of a server says of why it does not run.

/// To a client that has connected too early: not an error of the server.
pub const STARTING: &str = "the database system is starting up";

/// The last error in it.
#[must_use]
pub fn last_error(log: &str) -> Option<&str> {
    let is_error = |line: &&str| ["FATAL:", "PANIC:", "ERROR:"].iter().any(|sign| line.contains(sign));
    log.lines().rev().find(|line| is_error(line) && !line.contains(STARTING))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_error_of_a_log_is_the_reason() {
        let log = "LOG:  starting PostgreSQL\nFATAL:  first\nLOG:  starting PostgreSQL\nFATAL:  second\n\
                   LOG:  database system is shut down\n";
        assert_eq!(last_error(log), Some("FATAL:  second"));
        assert_eq!(last_error("LOG:  starting\n"), None);
    }

    #[test]
    fn server_that_is_starting_has_no_error() {
        let log = "LOG:  starting PostgreSQL 17.11\nFATAL:  the database system is starting up\n";
        assert_eq!(last_error(log), None);
    }
}
