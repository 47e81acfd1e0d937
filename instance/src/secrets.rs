//! Watches the mounted Secrets: whether the server still accepts the password, and whether it has the user's settings.
//! Both Secrets can be changed without the server, and the password without the Secret.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pgops_api::instance_status::PasswordState;
use pgops_api::{display_chain, layout, names};
use pgops_volume::FileError;
use tokio::time::Instant;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use crate::credentials::Credentials;
use crate::report::StatusReport;
use crate::tls::Tls;

/// Interval between two reads of the files, which the kubelet replaces within about a minute after a change.
const INTERVAL: Duration = Duration::from_secs(15);
/// Time after which the same password is tried again: each rejected attempt is a line in the server's log.
const RETRY: Duration = Duration::from_mins(2);
/// The same, for a password that was accepted.
const RECHECK: Duration = Duration::from_mins(5);
/// Timeout of one attempt.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The user's settings, as they are mounted now.
pub fn settings() -> Option<Vec<u8>> {
    fs::read(Path::new(layout::CONFIG_DIR).join(names::USER_CONF)).ok()
}

/// Reports until the process ends. The server was started with these settings, and with this superuser.
pub fn watch(report: Arc<StatusReport>, started_with: Option<Vec<u8>>, tls: Option<Tls>, superuser: String) {
    tokio::spawn(async move {
        let mut last: Option<Attempt> = None;
        loop {
            // A Secret that was deleted stays mounted: without a file nothing is known.
            let now = settings();
            report.set_settings_changed(now.is_some() && now != started_with);
            // Where clients authenticate by certificates the password is not used.
            let uses_passwords = !tls.as_ref().is_some_and(|tls| tls.server.verifies_clients);
            let read = Credentials::read(Path::new(layout::AUTH_DIR));
            let unusable = read.as_ref().err().and_then(unusable);
            if uses_passwords
                && let Ok(credentials) = read
                && last.as_ref().is_none_or(|last| last.is_outdated(&credentials, Instant::now()))
            {
                let state = attempt(&credentials, tls.as_ref()).await;
                report.set_password(state);
                last = Some(Attempt { credentials, state, at: Instant::now() });
            }
            let rejected = || last.as_ref()?.unknown_superuser(&superuser);
            report.set_credentials_problem(unusable.or_else(rejected));
            tokio::time::sleep(INTERVAL).await;
        }
    });
}

/// Why an instance ends that reads the Secret now; none if it is not known what it would read.
fn unusable(error: &FileError) -> Option<String> {
    (error.kind() == io::ErrorKind::InvalidData).then(|| display_chain(error))
}

/// The last attempt to authenticate.
struct Attempt {
    credentials: Credentials,
    state: PasswordState,
    at: Instant,
}

impl Attempt {
    fn is_outdated(&self, current: &Credentials, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.at);
        let limit = match self.state {
            PasswordState::Accepted => RECHECK,
            PasswordState::Rejected => RETRY,
            PasswordState::Unknown => INTERVAL,
        };
        age >= limit || self.credentials != *current
    }

    /// A wrong password does not matter to the next instance, which uses the pod's socket, but it needs a role of that name.
    fn unknown_superuser(&self, superuser: &str) -> Option<String> {
        let is_other = self.credentials.username != superuser;
        (is_other && self.state == PasswordState::Rejected).then(|| {
            "its key \"username\" has another name than when the server was started, and the server rejects that".to_owned()
        })
    }
}

/// Authenticates as a client does: connections by the socket need no password.
async fn attempt(credentials: &Credentials, tls: Option<&Tls>) -> PasswordState {
    let mut config = Config::new();
    config
        .host("127.0.0.1")
        .port(names::POSTGRES_PORT)
        .user(&credentials.username)
        .password(&credentials.password)
        .dbname("template1")
        .application_name("pgops-instance");
    // The watch of the certificate reports one that cannot be used.
    let Ok(connector) = tls.map(Tls::connector).transpose() else { return PasswordState::Unknown };
    let connecting = async {
        match connector {
            None => config.connect(NoTls).await.map(drop),
            Some(connector) => config.ssl_mode(SslMode::Require).connect(connector).await.map(drop),
        }
    };
    match tokio::time::timeout(TIMEOUT, connecting).await {
        Ok(Ok(())) => PasswordState::Accepted,
        Ok(Err(error)) => state_by_code(error.code()),
        Err(_) => PasswordState::Unknown,
    }
}

/// The server looks for the database once it has authenticated the client.
fn state_by_code(code: Option<&SqlState>) -> PasswordState {
    let rejected = [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION];
    let authenticated = [
        SqlState::INVALID_CATALOG_NAME,
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        SqlState::INSUFFICIENT_PRIVILEGE,
    ];
    match code {
        Some(code) if rejected.contains(code) => PasswordState::Rejected,
        Some(code) if authenticated.contains(code) => PasswordState::Accepted,
        _ => PasswordState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::wrong_password(Some(SqlState::INVALID_PASSWORD), PasswordState::Rejected)]
    #[case::no_such_role(Some(SqlState::INVALID_AUTHORIZATION_SPECIFICATION), PasswordState::Rejected)]
    #[case::no_such_database(Some(SqlState::INVALID_CATALOG_NAME), PasswordState::Accepted)]
    #[case::starting(Some(SqlState::CANNOT_CONNECT_NOW), PasswordState::Unknown)]
    #[case::all_connections_in_use(Some(SqlState::TOO_MANY_CONNECTIONS), PasswordState::Unknown)]
    #[case::no_answer(None, PasswordState::Unknown)]
    fn password_is_rejected_only_if_the_server_says_so(
        #[case] code: Option<SqlState>,
        #[case] expected: PasswordState,
    ) {
        assert_eq!(state_by_code(code.as_ref()), expected);
    }

    #[test]
    fn superuser_that_the_server_rejects_is_a_problem_unless_only_the_password_is_wrong() {
        let attempt = |username: &str, state| {
            let credentials = Credentials { username: username.into(), password: "a".into() };
            Attempt { credentials, state, at: Instant::now() }
        };
        assert!(attempt("someone", PasswordState::Rejected).unknown_superuser("postgres").is_some());
        for (username, state) in [
            ("postgres", PasswordState::Rejected),
            ("another", PasswordState::Accepted),
            ("another", PasswordState::Unknown),
        ] {
            assert_eq!(attempt(username, state).unknown_superuser("postgres"), None, "{username} {state:?}");
        }
    }

    #[test]
    fn secret_that_no_instance_can_read_is_a_problem_and_one_that_is_not_mounted_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let problem = || unusable(&Credentials::read(directory.path()).err().unwrap());
        assert_eq!(problem(), None);
        fs::write(directory.path().join("username"), "postgres").unwrap();
        for password in [&b""[..], b"two\nlines", b"\xff"] {
            fs::write(directory.path().join("password"), password).unwrap();
            let problem = problem().unwrap();
            assert!(problem.contains("password") && !problem.contains("two"), "{problem}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn password_is_tried_again_when_it_changes_or_after_a_while() {
        let credentials =
            |password: &str| Credentials { username: "postgres".into(), password: password.into() };
        for (state, limit) in [(PasswordState::Accepted, RECHECK), (PasswordState::Rejected, RETRY)] {
            let last = Attempt { credentials: credentials("a"), state, at: Instant::now() };
            assert!(!last.is_outdated(&credentials("a"), last.at + INTERVAL), "{state:?}");
            assert!(last.is_outdated(&credentials("b"), last.at + INTERVAL), "{state:?}");
            assert!(last.is_outdated(&credentials("a"), last.at + limit), "{state:?}");
        }
    }
}
