//! The settings that are in the `Postgres` itself. Before a request makes them the server is asked whether it accepts them, and
//! when they have changed it reads them, if it accepts them.

mod checker;
mod libraries;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pgops_api::instance_status::{CheckedSettings, InlineSettings, UNKNOWN_SETTINGS};
use pgops_api::settings::digest;
use pgops_api::{layout, names};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_postgres::Row;

use crate::mounted_settings::{SecretCheck, changed};
use crate::report::StatusReport;
use crate::secrets;
use crate::session::OwnSessions;
pub use checker::{Checker, Refusal};

/// Interval between two reads of the files, which the kubelet replaces within about a minute after a change.
const INTERVAL: Duration = Duration::from_secs(2);
/// Time after which a server has read its settings.
const RELOAD: Duration = Duration::from_millis(500);
/// Timeout of a query.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What the watch needs.
pub struct Watch {
    pub checker: Checker,
    pub report: Arc<StatusReport>,
    /// Has the server read its settings.
    pub reload: Arc<Notify>,
    /// By which the server is asked.
    pub sessions: OwnSessions,
    /// The settings with which the server was started.
    pub started_with: String,
    /// The contents of the `configSecret` with which it was started.
    pub secret: SecretCheck,
}

/// The settings that are in the `Postgres` itself, as they are mounted now; none as long as their ConfigMap does not exist.
pub fn inline() -> Option<String> {
    read(names::INLINE_CONF)
}

fn read(name: &str) -> Option<String> {
    fs::read_to_string(Path::new(layout::SETTINGS_DIR).join(name)).ok()
}

/// Watches until the process ends.
pub fn watch(mut watch: Watch) {
    tokio::spawn(async move {
        let mut checked: Option<String> = None;
        let mut seen = watch.started_with.clone();
        let mut knows_memory = false;
        watch
            .report
            .set_inline_settings(InlineSettings { digest: digest(&seen), ..InlineSettings::default() });
        loop {
            let candidate = read(names::CANDIDATE_CONF);
            if candidate != checked {
                let result = match &candidate {
                    Some(text) => Some(watch.candidate(text).await),
                    None => None,
                };
                watch.report.set_candidate(result);
                checked = candidate;
            }
            if let Some(now) = changed(inline(), &seen) {
                watch.read_again(&now).await;
                seen = now;
                knows_memory = false;
            }
            knows_memory &= !watch.check_secret().await;
            tokio::time::sleep(INTERVAL).await;
            // Not before the first pause: the server is starting.
            if !knows_memory {
                watch.report.set_shared_buffers(watch.checker.shared_buffers().await);
                knows_memory = true;
            }
        }
    });
}

impl Watch {
    async fn candidate(&self, text: &str) -> CheckedSettings {
        let error = match self.checker.check_candidate().await {
            Ok(()) => None,
            Err(Refusal::Rejected(words) | Refusal::Unknown(words)) => Some(words),
        };
        CheckedSettings { digest: digest(text), error }
    }

    /// Asks about contents of the `configSecret` that have changed: the server reads them when it is started the next time. Returns
    /// whether it has asked.
    async fn check_secret(&mut self) -> bool {
        let Some(mounted) = self.secret.due(secrets::settings(), Instant::now()) else { return false };
        let rejection = match self.checker.check_present().await {
            Err(Refusal::Rejected(words)) => Some(words),
            Ok(()) | Err(Refusal::Unknown(_)) => None,
        };
        self.secret.record(mounted, rejection.is_some(), Instant::now());
        self.report.set_config_secret_rejection(rejection);
        true
    }

    /// Has the server read the settings, unless it would reject them.
    async fn read_again(&self, text: &str) {
        if let Err(Refusal::Rejected(words) | Refusal::Unknown(words)) = self.checker.check_present().await {
            tracing::warn!("the server does not read the changed settings of the Postgres: {words}");
            self.report.set_rejected_settings(digest(text), words);
            return;
        }
        self.reload.notify_one();
        tokio::time::sleep(RELOAD).await;
        let Effect { pending_restart, overridden } = self.effect().await;
        tracing::info!(
            pending_restart = pending_restart.join(", "),
            overridden = overridden.join(", "),
            "the server has read changed settings of the Postgres"
        );
        self.report.set_inline_settings(InlineSettings {
            digest: digest(text),
            pending_restart,
            overridden,
            ..InlineSettings::default()
        });
    }

    /// What the settings do. A server that does not answer is about to be restarted anyway.
    async fn effect(&self) -> Effect {
        let unknown =
            || Effect { pending_restart: vec![UNKNOWN_SETTINGS.to_owned()], overridden: Vec::new() };
        match tokio::time::timeout(TIMEOUT, effect(self.sessions.clone())).await {
            Ok(Ok(effect)) => effect,
            Ok(Err(error)) => {
                tracing::warn!("failed to ask what the changed settings of the Postgres do: {error}");
                unknown()
            }
            Err(_) => unknown(),
        }
    }
}

/// What settings that were read do, by their names.
struct Effect {
    /// They wait for a restart.
    pending_restart: Vec<String>,
    /// Others take precedence over them.
    overridden: Vec<String>,
}

const PENDING_RESTART: &str =
    "SELECT name::pg_catalog.text FROM pg_catalog.pg_settings WHERE pending_restart ORDER BY name";
/// Those that a later file sets too: pgops' own part of `postgresql.conf`, or the file of `ALTER SYSTEM`. The view's column `applied`
/// does not tell, if the names are written in another case.
const OVERRIDDEN: &str = "SELECT DISTINCT pg_catalog.lower(name)::pg_catalog.text FROM pg_catalog.pg_file_settings AS own \
    WHERE sourcefile OPERATOR(pg_catalog.=) $1 AND EXISTS (\
        SELECT FROM pg_catalog.pg_file_settings AS later \
        WHERE pg_catalog.lower(later.name) OPERATOR(pg_catalog.=) pg_catalog.lower(own.name) \
        AND later.seqno OPERATOR(pg_catalog.>) own.seqno AND later.sourcefile OPERATOR(pg_catalog.<>) $1) \
    ORDER BY 1";

async fn effect(mut sessions: OwnSessions) -> Result<Effect, tokio_postgres::Error> {
    let session = sessions.open().await?;
    let file = format!("{}/{}", layout::SETTINGS_DIR, names::INLINE_CONF);
    Ok(Effect {
        pending_restart: texts(&session.client.query(PENDING_RESTART, &[]).await?)?,
        overridden: texts(&session.client.query(OVERRIDDEN, &[&file]).await?)?,
    })
}

fn texts(rows: &[Row]) -> Result<Vec<String>, tokio_postgres::Error> {
    rows.iter().map(|row| row.try_get(0)).collect()
}
