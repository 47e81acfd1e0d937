//! The target's server must accept the settings that it will be started with: those of `user.conf`, and
//! those of `ALTER SYSTEM`. A setting that it no longer knows would keep it from starting.

use std::fs;
use std::path::Path;

use pgops_api::{layout, names, serverconf};

use super::super::finding::shortened;
use super::super::{Finding, StepError, Upgrade};
use super::image::has_library;
use crate::postgres::command::{CommandError, Program};
use crate::postgres::scratch::Scratch;

pub(super) async fn findings(upgrade: &Upgrade, scratch: &Scratch) -> Result<Vec<Finding>, StepError> {
    let stored = upgrade.volume.pgdata(upgrade.old_major).join("postgresql.auto.conf");
    let mut text = serverconf::postgresql_conf(&scratch.pgdata());
    if stored.exists() {
        text.extend(["include = '", &stored.display().to_string(), "'\n"]);
    }
    let file = scratch.file("merged.conf");
    fs::write(&file, text).map_err(StepError::volume(format!("write {}", file.display())))?;
    let installation = upgrade.new_installation()?;
    let setting = async |name: &str| {
        let program = Program::new(installation.program("postgres")).args(["-C", name]).arg("-D");
        program.arg(scratch.pgdata()).arg("-c").arg(format!("config_file={}", file.display())).output().await
    };
    match setting("data_directory").await {
        Ok(_) => {}
        Err(CommandError::Ended { tail, .. }) => {
            let text = format!(
                "PostgreSQL {} does not start with the settings of {} and of ALTER SYSTEM; remove what it names: {tail}",
                upgrade.plan.to.version,
                Path::new(layout::CONFIG_DIR).join(names::USER_CONF).display(),
            );
            return Ok(vec![Finding::new("configuration", text)]);
        }
        Err(error) => return Err(error.into()),
    }
    let mut findings = Vec::new();
    for name in ["shared_preload_libraries", "session_preload_libraries", "local_preload_libraries"] {
        let missing = missing(&setting(name).await?, |library| has_library(&installation, library));
        if !missing.is_empty() {
            let text = format!(
                "{name} has what the target image has not; use an image that has it, or take it out of the setting: {}",
                shortened(&missing)
            );
            findings.push(Finding::new("preload-library", text));
        }
    }
    Ok(findings)
}

/// The libraries of a setting that are not there.
fn missing(setting: &str, has_library: impl Fn(&str) -> bool) -> Vec<String> {
    let names = setting.split(',').map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty());
    names.filter(|name| !has_library(name)).map(ToOwned::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_of_a_setting_is_looked_for() {
        let has = |library: &str| library == "auto_explain";
        assert_eq!(missing("", has), [""; 0]);
        assert_eq!(missing("auto_explain, \"pg_cron\",pgaudit\n", has), ["pg_cron", "pgaudit"]);
    }
}
