//! What the serving server's files of settings hold, asked before any other question that makes it read them: a FIFO among them
//! would block each of these for ever, and the server itself at its next start.

use crate::postgres::client::file_settings::{FileSettings, LIMIT, file_settings};
use crate::upgrade::{Finding, StepError, UpgradeContext};

/// Asks the server at `ip`, in a session of its own. A server that does not answer ends the preflight: further questions would
/// not be answered either.
pub async fn read(upgrade: &UpgradeContext, ip: &str) -> Result<FileSettings, StepError> {
    let client = upgrade.superuser.connect_server(ip).await?;
    file_settings(&client).await?.ok_or_else(|| StepError::Findings(vec![unanswered()]))
}

fn unanswered() -> Finding {
    let text = format!(
        "the server has not read its files of settings within {} s, so it would neither start again nor reload them: one of those \
         that postgresql.conf, user.conf and postgresql.auto.conf include is a FIFO, or on a file system that does not answer. \
         Find it (find \"$PGDATA\" -maxdepth 2 -type p); write to it (: > FIFO), which also ends the session that waits for it; \
         delete it, and apply a new request",
        LIMIT.as_secs()
    );
    Finding::new("configuration", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_does_not_read_its_files_is_a_finding_with_a_remedy() {
        let finding = unanswered();
        assert!(finding.blocks() && finding.text.contains("within 30 s"), "{finding}");
        for part in ["FIFO", "find \"$PGDATA\"", ": > FIFO"] {
            assert!(finding.text.contains(part), "{part} in {finding}");
        }
    }
}
