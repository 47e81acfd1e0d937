//! The old version's server must start in the target image, for `pg_upgrade`. It reads the configuration in its data
//! directory then, and a value that the image does not support, such as a time zone or a locale, would keep it from
//! starting.

use std::path::Path;

use super::not_carried_over::CONF;
use crate::postgres::program::command::CommandError;
use crate::postgres::server::private_server::{Data, PrivateServer};
use crate::postgres::server::scratch::Scratch;
use crate::postgres::server_settings::ServerSettings;
use crate::upgrade::{Finding, StepError, UpgradeContext};

/// Has the old version's server read that configuration, with the options that it will be started with. The data directory
/// of `cluster` is in place of its own, which another server uses.
pub async fn check(
    upgrade: &UpgradeContext,
    cluster: &Scratch,
    settings: &ServerSettings,
) -> Result<Option<Finding>, StepError> {
    let pgdata = upgrade.volume.data_dir(upgrade.old_major);
    let mut text = String::new();
    for name in [CONF, "postgresql.auto.conf"] {
        // Not by its path: the server would follow a link and wait for a FIFO.
        let content = upgrade.volume.tree().read_if_exists(&pgdata.join(name))?.unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&content));
        text.push('\n');
    }
    if includes_files(&text) {
        return Ok(None);
    }
    let file = cluster.file("old.conf");
    cluster.programs().agent.write_file(file.clone(), text).await?;
    let server = PrivateServer {
        major: upgrade.old_major,
        data: Data::Old { commit_timestamps: false },
        relations: 0,
        hba: Path::new("/dev/null"),
        settings,
    };
    // To report a setting it reads all of them, and neither takes a lock nor looks at the data.
    let program = upgrade.old_programs().await?.program("postgres").args(["-C", "max_connections"]);
    let program = program.arg("-D").path(&cluster.pgdata()).args(server.options().arguments());
    match program.arg("-c").arg(format!("config_file={}", file.display())).output().await {
        Ok(_) => Ok(None),
        Err(CommandError::Ended { tail, .. }) => Ok(Some(refused(&upgrade.plan.from.version, &tail))),
        Err(error) => Err(error.into()),
    }
}

/// Whether other files belong to a configuration, which it names relative to its own place.
fn includes_files(text: &str) -> bool {
    text.lines().any(|line| line.trim_start().to_ascii_lowercase().starts_with("include"))
}

fn refused(version: &str, refusal: &str) -> Finding {
    let text = format!(
        "PostgreSQL {version} does not start in the target image, as pg_upgrade requires, with the settings of {CONF} in its \
         data directory and of ALTER SYSTEM; change the one it names, or use an image that supports the value: {refusal}"
    );
    Finding::new("old-configuration", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_with_other_files_is_known_by_its_lines() {
        assert!(!includes_files("#include_dir = 'conf.d'\nmax_connections = 100 # include\n"));
        assert!(includes_files("a = 1\n  include_if_exists = 'x.conf'\n"));
        assert!(includes_files("INCLUDE 'x.conf'"));
    }

    #[test]
    fn refused_configuration_blocks_and_names_version_and_reason() {
        let found = refused("13.16", "FATAL:  invalid value for parameter \"TimeZone\": \"US/Pacific\"");
        assert!(found.blocks() && found.text.starts_with("PostgreSQL 13.16 does not start"), "{found}");
        assert!(found.text.ends_with("\"US/Pacific\""), "{found}");
    }
}
