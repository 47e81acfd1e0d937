//! Libraries that functions, sessions and replication slots need. The target image must have those that the serving pod has: a function
//! whose library is missing fails when it is called, so an index or a constraint that calls it refuses rows; and a slot
//! whose output plugin is missing retains WAL until the volume is full.

use std::collections::{BTreeMap, BTreeSet};

use pgops_api::plan::Step;
use tokio_postgres::Client;

use crate::postgres::client::inventory::Inventory;
use crate::postgres::client::libraries::{Plugins, has_library_path, served_libraries};
use crate::postgres::client::settings::StoredSetting;
use crate::postgres::program::programs::Programs;
use crate::steps::preflight::image::is_on_volume;
use crate::steps::preflight::stored_libraries;
use crate::upgrade::{Finding, StepError, shortened, warn_step};

/// Libraries by name, each with what needs it.
type Needed = BTreeMap<String, Vec<String>>;

/// What functions need and the target image lacks.
pub async fn of_functions(
    client: &Client,
    programs: &Programs,
    inventory: &Inventory,
) -> Result<Vec<Finding>, StepError> {
    let mut needed = Needed::new();
    for (library, database) in &inventory.libraries {
        needed.entry(library.clone()).or_default().push(format!("\"{database}\""));
    }
    let lacking = Lacking::find(client, programs, &needed).await?;
    Ok(lacking.findings(&needed, "missing-library", |library, databases| Text {
        subject: format!("functions in database {databases} need {library}"),
        remedy: "drop the extension or the functions",
    }))
}

/// What the sessions of databases and roles load, and the target image lacks: every connection would fail.
pub async fn of_sessions(
    client: &Client,
    programs: &Programs,
    inventory: &Inventory,
) -> Result<Vec<Finding>, StepError> {
    let needed = of_stored_settings(&inventory.stored_libraries);
    let lacking = Lacking::find(client, programs, &needed).await?;
    Ok(lacking.findings(&needed, "preload-library", |library, settings| Text {
        subject: format!("sessions load {library} by {settings}"),
        remedy: "remove it from the setting",
    }))
}

/// With the settings, each with what it is stored for.
fn of_stored_settings(stored: &[StoredSetting]) -> Needed {
    let mut needed = Needed::new();
    for (setting, library) in stored_libraries::named(stored) {
        needed.entry(library).or_default().push(setting);
    }
    needed
}

/// Output plugins that the target image lacks.
pub async fn of_plugins(
    client: &Client,
    programs: &Programs,
    plugins: &Plugins,
) -> Result<Vec<Finding>, StepError> {
    let lacking = Lacking::find(client, programs, plugins).await?;
    Ok(lacking.findings(plugins, "output-plugin", |plugin, slots| Text {
        subject: format!("replication slots {slots} need the output plugin {plugin}"),
        remedy: "drop the slots",
    }))
}

/// Parts of a finding.
struct Text {
    /// Who needs what.
    subject: String,
    /// What helps apart from another image.
    remedy: &'static str,
}

/// What the target image lacks.
struct Lacking {
    libraries: BTreeSet<String>,
    /// Those of them that the serving server may have: only these are lost by the upgrade.
    served: BTreeSet<String>,
    /// Whether names without a path are looked for elsewhere too.
    has_library_path: bool,
}

impl Lacking {
    async fn find(client: &Client, programs: &Programs, needed: &Needed) -> Result<Self, StepError> {
        // The worker does not see the volume, which the new pod has as the old one.
        let elsewhere = needed.keys().filter(|name| !is_on_volume(name));
        let asked: Vec<String> = elsewhere.cloned().collect();
        let found = programs.agent.has_libraries(&programs.installation, asked.clone()).await?;
        let lacking = asked.into_iter().zip(found).filter(|(_, found)| !found);
        let lacking: Vec<_> = lacking.map(|(name, _)| name).collect();
        if lacking.is_empty() {
            return Ok(Self { libraries: BTreeSet::new(), served: BTreeSet::new(), has_library_path: false });
        }
        let served = served_libraries(client, &lacking).await.unwrap_or_else(|error| {
            // It cannot say what it has: then it counts as having all that it was told to use.
            warn_step(Step::Preflight, &error);
            lacking.clone()
        });
        Ok(Self {
            libraries: lacking.into_iter().collect(),
            served: served.into_iter().collect(),
            has_library_path: has_library_path(client).await?,
        })
    }

    /// Whether the upgrade would take the library away for certain.
    fn is_lost(&self, library: &str) -> bool {
        let is_found_elsewhere = self.has_library_path && !library.contains('/');
        self.served.contains(library) && !is_found_elsewhere
    }

    /// A finding for each needed library that the target image lacks.
    fn findings(&self, needed: &Needed, id: &'static str, text: impl Fn(&str, &str) -> Text) -> Vec<Finding> {
        let lacking = needed.iter().filter(|(name, _)| self.libraries.contains(*name));
        let finding = |(name, by): (&String, &Vec<String>)| {
            let Text { subject, remedy } = text(name, &shortened(by));
            if self.is_lost(name) {
                let remedy = format!("use an image that has it, or {remedy}");
                Finding::new(id, format!("{subject}, which the target image does not have: {remedy}"))
            } else {
                Finding::note(
                    id,
                    format!(
                        "{subject}, which neither the target image nor the serving server has in its own directory: {remedy} if \
                         they are not needed"
                    ),
                )
            }
        };
        lacking.map(finding).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn findings(lacking: &Lacking) -> Vec<Finding> {
        let by = |name: &str| (name.to_owned(), vec!["\"shop\"".to_owned()]);
        let needed: Needed = ["$libdir/a", "$libdir/b", "$libdir/c", "d"].map(by).into();
        lacking.findings(&needed, "missing-library", |library, databases| Text {
            subject: format!("functions in database {databases} need {library}"),
            remedy: "drop the extension or the functions",
        })
    }

    #[test]
    fn library_that_only_the_serving_server_has_blocks() {
        let found = findings(&Lacking {
            libraries: set(&["$libdir/a", "$libdir/b"]),
            served: set(&["$libdir/a"]),
            has_library_path: false,
        });
        let [lost, missing]: [Finding; 2] = found.try_into().unwrap();
        assert!(lost.blocks() && lost.text.contains("database \"shop\" need $libdir/a, which"), "{lost}");
        assert!(
            !missing.blocks() && missing.text.contains("$libdir/b"),
            "its functions fail today too: {missing}"
        );
    }

    #[test]
    fn libraries_of_sessions_are_named_with_their_settings() {
        let stored = [
            ("session_preload_libraries", "role app", "auto_explain, ours"),
            ("session_preload_libraries", "database shop", "ours"),
            ("local_preload_libraries", "role app", "ours"),
            ("work_mem", "role app", "theirs"),
        ];
        let stored = stored.map(|(name, owner, value)| StoredSetting {
            name: name.to_owned(),
            owner: owner.to_owned(),
            value: value.to_owned(),
        });
        let needed = of_stored_settings(&stored);
        let names: Vec<_> = needed.keys().map(String::as_str).collect();
        assert_eq!(names, ["$libdir/plugins/ours", "auto_explain", "ours"]);
        let settings =
            ["role app", "database shop"].map(|owner| format!("session_preload_libraries of {owner}"));
        assert_eq!(needed["ours"], settings);
    }

    #[test]
    fn library_without_a_path_may_be_found_elsewhere() {
        let lacking =
            |has_library_path| Lacking { libraries: set(&["d"]), served: set(&["d"]), has_library_path };
        assert!(findings(&lacking(false))[0].blocks());
        assert!(!findings(&lacking(true))[0].blocks());
    }
}
