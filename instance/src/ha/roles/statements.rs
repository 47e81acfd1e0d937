//! The statements. They have what the server stores instead of a password, and no password.

use pgops_api::names::{REPLICATION_USER, REWIND_USER};
use postgres_protocol::password::scram_sha_256;

use crate::ha::secret::Passwords;

/// Of both roles, whatever a user has made of them.
const ATTRIBUTES: &str =
    "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS CONNECTION LIMIT -1 VALID UNTIL 'infinity'";

/// What `pg_rewind` executes on the server that it reads, from `PostgreSQL`'s documentation.
const REWIND_FUNCTIONS: &str = "pg_catalog.pg_ls_dir(text, boolean, boolean), pg_catalog.pg_stat_file(text, boolean), \
     pg_catalog.pg_read_binary_file(text), pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)";

/// Names of the roles.
pub const ROLES: [&str; 2] = [REPLICATION_USER, REWIND_USER];

/// Makes a role, without any right.
pub fn create(role: &str) -> String {
    format!("CREATE ROLE {role}")
}

/// Gives both roles their rights and passwords. Each is a statement of its own.
pub fn complete(passwords: &Passwords) -> [String; 3] {
    let alter = |role: &str, replication: &str, password: &str| {
        let verifier = scram_sha_256(password.as_bytes());
        format!("ALTER ROLE {role} {replication} {ATTRIBUTES} PASSWORD '{verifier}'")
    };
    [
        alter(REPLICATION_USER, "REPLICATION", &passwords.replication),
        alter(REWIND_USER, "NOREPLICATION", &passwords.rewind),
        format!("GRANT EXECUTE ON FUNCTION {REWIND_FUNCTIONS} TO {REWIND_USER}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_verifiers_and_only_the_rights_that_they_need() {
        let passwords = Passwords { replication: "s3cret-r".to_owned(), rewind: "s3cret-w".to_owned() };
        let [replication, rewind, grant] = complete(&passwords);
        for (statement, begin) in [
            (&replication, "ALTER ROLE pgops_replication REPLICATION LOGIN NOSUPERUSER "),
            (&rewind, "ALTER ROLE pgops_rewind NOREPLICATION LOGIN NOSUPERUSER "),
        ] {
            assert!(statement.starts_with(begin), "{statement}");
            assert!(statement.contains(" PASSWORD 'SCRAM-SHA-256$4096:"), "{statement}");
        }
        assert!(grant.ends_with(" TO pgops_rewind"), "{grant}");
        let all = [replication, rewind, grant, create(REPLICATION_USER), create(REWIND_USER)];
        for statement in all {
            assert!(!statement.contains("s3cret"), "{statement}");
            assert!(!statement.contains([';', '\n']), "a server for a single user reads lines: {statement}");
        }
    }
}
