//! The target's server must accept the settings that it will be started with: those of `user.conf`, and
//! those of `ALTER SYSTEM`. A setting that it no longer knows would keep it from starting, and so would a library
//! that it cannot load.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pgops_api::{layout, names, serverconf};

use super::super::finding::shortened;
use super::super::{Finding, StepError, Upgrade};
use super::image::has_library;
use crate::postgres::client::inventory::Inventory;
use crate::postgres::client::settings::rejection_for_all;
use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::installation::Installation;
use crate::postgres::server::scratch::Scratch;

/// A setting whose libraries the server loads when it starts.
const OF_THE_SERVER: &str = "shared_preload_libraries";
/// Settings whose libraries each session loads: without one of them nobody gets in.
const OF_SESSIONS: [&str; 2] = ["session_preload_libraries", "local_preload_libraries"];
/// From this version on a server that is only asked for a setting can be made to load its libraries.
const TELLS_ITS_MEMORY: u32 = 15;

/// What the settings have shown while no server ran.
#[derive(Default)]
pub(super) struct Looked {
    pub findings: Vec<Finding>,
    /// Settings of sessions, each with its libraries that are there.
    of_sessions: Vec<(&'static str, Vec<String>)>,
}

/// Looks at the settings that the new server will have; the scratch server's data directory stands for its own.
/// Those of `ALTER ROLE ALL` hold in every session too.
pub(super) async fn look(
    upgrade: &Upgrade,
    scratch: &Scratch,
    inventory: &Inventory,
) -> Result<Looked, StepError> {
    let for_all = &inventory.settings_for_all;
    let merged = Merged::write(upgrade, scratch)?;
    if let Err(refusal) = merged.value("data_directory").await? {
        let text = format!(
            "PostgreSQL {} does not start with the settings of {} and of ALTER SYSTEM; remove what it names: {refusal}",
            upgrade.plan.to.version,
            Path::new(layout::CONFIG_DIR).join(names::USER_CONF).display(),
        );
        return Ok(Looked { findings: vec![Finding::new("configuration", text)], of_sessions: Vec::new() });
    }
    let mut looked = Looked::default();
    if upgrade.old_major >= CARRIES_SUBSCRIPTIONS && upgrade.new_major >= COUNTS_ORIGINS {
        let room = merged.value(ORIGINS).await?.unwrap_or_default();
        looked.findings.extend(too_many_origins(&room, inventory.subscriptions));
    }
    let mut of_the_server = Vec::new();
    for setting in [OF_THE_SERVER].into_iter().chain(OF_SESSIONS) {
        let stored = for_all.iter().filter(|(name, _)| name == setting).map(|(_, value)| value.as_str());
        let merged_value = merged.value(setting).await?.unwrap_or_default();
        let named = stored.chain([merged_value.as_str()]).flat_map(|value| libraries(setting, value));
        // What the server itself has loaded is there for every session.
        let named: BTreeSet<_> = named.filter(|library| !of_the_server.contains(library)).collect();
        let (there, missing): (Vec<_>, Vec<_>) =
            named.into_iter().partition(|library| has_library(&merged.installation, library));
        if !missing.is_empty() {
            let text = format!(
                "{setting} has what the target image has not; use an image that has it, or take it out of the setting: {}",
                shortened(&missing)
            );
            looked.findings.push(Finding::new(ID, text));
        }
        if setting != OF_THE_SERVER {
            looked.of_sessions.push((setting, there));
            continue;
        }
        if missing.is_empty() && !there.is_empty() && upgrade.new_major >= TELLS_ITS_MEMORY {
            // The libraries may want some of it, so they are loaded first.
            let refusal = merged.value("shared_memory_size").await?.err();
            looked.findings.extend(refusal.map(|refusal| refused(setting, &refusal)));
        }
        of_the_server = there;
    }
    Ok(looked)
}

impl Looked {
    /// Whether sessions can load what they would, and would have the settings of `ALTER ROLE ALL`, in the scratch
    /// server, which runs by now. `pg_dumpall` leaves these out, so nothing else would try their values.
    pub async fn in_sessions(
        &self,
        scratch: &Scratch,
        for_all: &[(String, String)],
    ) -> Result<Vec<Finding>, StepError> {
        let mut findings = Vec::new();
        let mut client = scratch.connect("template1").await?;
        for (name, value) in for_all {
            let refusal = rejection_for_all(&mut client, name, value).await?;
            findings.extend(refusal.map(|refusal| {
                let text = format!(
                    "ALTER ROLE ALL keeps {name}, whose value the target refuses; RESET it: {refusal}"
                );
                Finding::new("setting-value", text)
            }));
        }
        for (setting, libraries) in self.of_sessions.iter().filter(|(_, libraries)| !libraries.is_empty()) {
            let psql =
                scratch.client("psql").args(["--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname=template1"]);
            // One session, as one library may need another.
            let loads =
                libraries.iter().map(|library| format!("--command=LOAD '{}'", library.replace('\'', "''")));
            let refusal = answer(psql.args(loads).output().await)?.err();
            findings.extend(refusal.map(|refusal| refused(setting, &refusal)));
        }
        Ok(findings)
    }
}

/// The settings in one file.
struct Merged {
    installation: Installation,
    pgdata: PathBuf,
    file: PathBuf,
}

impl Merged {
    fn write(upgrade: &Upgrade, scratch: &Scratch) -> Result<Self, StepError> {
        let stored = upgrade.volume.pgdata(upgrade.old_major).join("postgresql.auto.conf");
        let mut text = serverconf::postgresql_conf(&scratch.pgdata());
        if stored.exists() {
            text.extend(["include = '", &stored.display().to_string(), "'\n"]);
        }
        let file = scratch.file("merged.conf");
        fs::write(&file, text).map_err(StepError::volume(format!("write {}", file.display())))?;
        Ok(Self { installation: upgrade.new_installation()?, pgdata: scratch.pgdata(), file })
    }

    /// What the target's server makes of a setting, or why it would not start.
    async fn value(&self, setting: &str) -> Result<Result<String, String>, CommandError> {
        let program = Program::new(self.installation.program("postgres")).args(["-C", setting]).arg("-D");
        let program = program.arg(&self.pgdata).arg("-c").arg(format!("config_file={}", self.file.display()));
        // The files of TLS may be where only the database's pod sees them, and the scratch server's segments of WAL are
        // of the usual size.
        answer(
            program
                .args(["-c", "ssl=off", "-c", "min_wal_size=32MB", "-c", "max_wal_size=64MB"])
                .output()
                .await,
        )
    }
}

/// What a program said, or what it refused with.
fn answer(output: Result<String, CommandError>) -> Result<Result<String, String>, CommandError> {
    match output {
        Err(CommandError::Ended { tail, .. }) => Ok(Err(tail)),
        Err(error) => Err(error),
        Ok(output) => Ok(Ok(output)),
    }
}

/// The setting that says how many subscriptions a server can have, and from which version on there is one of its own.
const ORIGINS: &str = "max_active_replication_origins";
const COUNTS_ORIGINS: u32 = 18;
/// From this version on subscriptions come along with what they have received.
const CARRIES_SUBSCRIPTIONS: u32 = 17;

/// A server with more of them than it has room for does not start.
fn too_many_origins(room: &str, subscriptions: u64) -> Option<Finding> {
    let room: u64 = room.trim().parse().ok()?;
    (subscriptions > room).then(|| {
        let text = format!(
            "the target has room for {room} subscriptions by its setting {ORIGINS} and not by max_replication_slots, and \
             there are {subscriptions}; the version that serves does not know it, so drop some, and make them again \
             afterwards"
        );
        Finding::new("subscriptions", text)
    })
}

const ID: &str = "preload-library";

/// What it means that libraries were refused. Only a library that cannot be loaded is in the way for certain: what else
/// they want may be there in the database's own pod.
fn refused(setting: &str, refusal: &str) -> Finding {
    const SIGNS: [&str; 3] = ["could not load library", "could not access file", "incompatible library"];
    if SIGNS.iter().any(|sign| refusal.contains(sign)) {
        let text = format!(
            "the target image has what {setting} names, and cannot load it; use an image that can, or take it out of the \
             setting: {refusal}"
        );
        return Finding::new(ID, text);
    }
    let text =
        format!("the target image loads what {setting} names, and was refused in the worker: {refusal}");
    Finding::note(ID, text)
}

/// The libraries of a setting, as the server looks for them.
fn libraries(setting: &str, value: &str) -> Vec<String> {
    let names = value.split(',').map(|name| name.trim().trim_matches('"')).filter(|name| !name.is_empty());
    let place = |name: &str| match setting {
        // Anybody may set it, so it reaches only what was put there for that.
        "local_preload_libraries" if !name.contains('/') => format!("$libdir/plugins/{name}"),
        _ => name.to_owned(),
    };
    names.map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_library_of_a_setting_is_looked_for() {
        assert_eq!(libraries(OF_THE_SERVER, ""), [""; 0]);
        assert_eq!(
            libraries(OF_THE_SERVER, "auto_explain, \"pg_cron\",pgaudit\n"),
            ["auto_explain", "pg_cron", "pgaudit"]
        );
    }

    #[test]
    fn subscriptions_that_the_target_has_no_room_for_are_counted() {
        assert_eq!(too_many_origins("10\n", 10), None);
        let text = too_many_origins("10\n", 11).unwrap().to_string();
        assert!(text.contains("there are 11"), "{text}");
    }

    #[test]
    fn only_a_library_that_cannot_be_loaded_is_in_the_way() {
        let unloadable =
            "FATAL:  could not load library \"x.so\": libLLVM.so.19: cannot open shared object file";
        assert!(refused(OF_THE_SERVER, unloadable).blocks());
        assert!(!refused(OF_THE_SERVER, "FATAL:  x: no licence").blocks());
    }

    #[test]
    fn what_anybody_may_load_is_where_it_was_put_for_that() {
        assert_eq!(
            libraries("local_preload_libraries", "debugger,$libdir/x"),
            ["$libdir/plugins/debugger", "$libdir/x"]
        );
        assert_eq!(libraries("session_preload_libraries", "debugger"), ["debugger"]);
    }
}
