//! Files that settings and definitions name by their path: in the old data directory, which a major upgrade leaves behind and later
//! deletes, and in the image.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pgops_api::plan::{Step, UpgradeKind};

use super::image::is_on_volume;
use super::references::has_program;
use crate::postgres::client::query::text;
use crate::postgres::program::programs::Programs;
use crate::postgres::references::foreign_files::{DatabaseFiles, Reference};
use crate::postgres::references::own_paths::{data_directory, existing_files, settings_with_own_paths};
use crate::upgrade::{Finding, StepError, UpgradeContext, shortened, warn_step};

/// What pgops mounts into the database's pod, and not into all containers of a worker.
const MOUNTED: &str = "/etc/pgops";

/// The findings about the server at `ip`, of which `files` has what was read of each database; `programs` are the target's.
pub async fn findings(
    upgrade: &UpgradeContext,
    ip: &str,
    databases: &[String],
    files: Vec<DatabaseFiles>,
    programs: &Programs,
) -> Result<Vec<Finding>, StepError> {
    let serving = upgrade.superuser.connect_server(ip).await?;
    let directory = &data_directory(&serving).await?;
    let logs = text(&serving, "the directory of logs", "SHOW log_directory").await?;
    let mut sorted = Sorted::default();
    for (database, files) in databases.iter().zip(files) {
        sorted.add(database, files, directory, &logs);
    }
    let mut findings = Vec::new();
    if upgrade.kind == UpgradeKind::Major {
        let settings = settings_with_own_paths(&serving, directory).await?.into_iter();
        let mut own: Vec<_> = settings.map(|named| format!("{} ({})", named.by, named.path)).collect();
        own.append(&mut sorted.own);
        findings.extend(left_behind(&own, &sorted.logs, &sorted.functions));
    }
    let missing = missing_files(programs, &sorted.of_image).await;
    let lost = existing_files(&serving, &missing.into_iter().collect::<Vec<_>>()).await?;
    let mut lacking: Vec<_> =
        lost.iter().filter_map(|file| Some((file, sorted.of_image.get(file)?))).collect();
    lacking.extend(missing_programs(programs, &sorted.programs).await);
    let lacking: Vec<_> =
        lacking.into_iter().map(|(file, by)| format!("{file} ({})", shortened(by))).collect();
    findings.extend(lacking_in_image(&lacking));
    Ok(findings)
}

/// Files and programs, each with the options that name it.
type By = BTreeMap<String, Vec<String>>;

/// The files that definitions name, by where they are.
#[derive(Debug, Default, Eq, PartialEq)]
struct Sorted {
    /// Options with paths in the data directory, other than logs.
    own: Vec<String>,
    /// Options with paths of logs in the data directory, which the new server writes again.
    logs: Vec<String>,
    /// Functions that name the data directory.
    functions: Vec<String>,
    of_image: By,
    programs: By,
}

impl Sorted {
    fn add(&mut self, database: &str, files: DatabaseFiles, directory: &str, logs: &str) {
        let in_database = |named: &str| format!("{named} in \"{database}\"");
        self.functions.extend(files.functions.iter().map(|function| in_database(function)));
        for file in files.files {
            let by = in_database(&file.by);
            match file.reference {
                Reference::Program(program) => self.programs.entry(program).or_default().push(by),
                Reference::File(path) if Path::new(&path).is_relative() => {
                    let is_log = Path::new(&path).starts_with(logs);
                    let same = if is_log { &mut self.logs } else { &mut self.own };
                    same.push(format!("{by} ({path})"));
                }
                Reference::File(path) if Path::new(&path).starts_with(directory) => {
                    self.own.push(format!("{by} ({path})"));
                }
                Reference::File(path) if is_on_volume(&path) || Path::new(&path).starts_with(MOUNTED) => {}
                Reference::File(path) => self.of_image.entry(path).or_default().push(by),
            }
        }
    }
}

/// The files that the target image lacks, by the names in their directories.
async fn missing_files(programs: &Programs, files: &By) -> BTreeSet<String> {
    let mut directories = BTreeMap::<PathBuf, BTreeSet<String>>::new();
    let mut missing = BTreeSet::new();
    for file in files.keys() {
        let path = Path::new(file);
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let names = match directories.entry(directory.to_owned()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                // One that does not exist has no files.
                let names = programs.agent.list_directory(directory.to_owned()).await.unwrap_or_default();
                new.insert(names.into_iter().collect())
            }
        };
        if !names.contains(&*name.to_string_lossy()) {
            missing.insert(file.clone());
        }
    }
    missing
}

/// The programs that the target image lacks.
async fn missing_programs<'a>(programs: &Programs, named: &'a By) -> Vec<(&'a String, &'a Vec<String>)> {
    let mut missing = Vec::new();
    for (program, by) in named {
        match has_program(programs, program).await {
            Ok(true) => {}
            Ok(false) => missing.push((program, by)),
            // An image need not have a shell.
            Err(error) => {
                warn_step(Step::Preflight, &error);
                break;
            }
        }
    }
    missing
}

fn left_behind(own: &[String], logs: &[String], functions: &[String]) -> Vec<Finding> {
    let own = (!own.is_empty()).then(|| {
        let text = format!(
            "these paths lead into the old data directory, which is not carried over and is deleted: move what they name to another \
             directory of the volume, and change the paths (ALTER SYSTEM SET, ALTER FOREIGN TABLE … OPTIONS (SET filename …)): {}",
            shortened(own)
        );
        Finding::new("data-directory-path", text)
    });
    let functions = (!functions.is_empty()).then(|| {
        let text = format!(
            "functions name files in the old data directory, which is not carried over and is deleted; change them: {}",
            shortened(functions)
        );
        Finding::note("data-directory-path", text)
    });
    let logs = (!logs.is_empty()).then(|| {
        let text = format!(
            "these read the server's logs, of which the old ones are deleted with the old data; copy what is needed: {}",
            shortened(logs)
        );
        Finding::note("data-directory-path", text)
    });
    own.into_iter().chain(functions).chain(logs).collect()
}

fn lacking_in_image(lacking: &[String]) -> Option<Finding> {
    (!lacking.is_empty()).then(|| {
        let text = format!(
            "foreign tables, servers and subscriptions name files and programs that the target image does not have; unless they are \
             mounted into the pod, use an image that has them, or change the options: {}",
            shortened(lacking)
        );
        Finding::note("foreign-file", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::references::foreign_files::ForeignFile;

    fn sorted(paths: &[&str]) -> Sorted {
        let file = |path: &&str| ForeignFile {
            by: "filename of foreign table public.t".to_owned(),
            reference: Reference::File((*path).to_owned()),
        };
        let files = DatabaseFiles { files: paths.iter().map(file).collect(), functions: Vec::new() };
        let mut sorted = Sorted::default();
        sorted.add("shop", files, "/var/pv/13/data", "log");
        sorted
    }

    #[test]
    fn files_in_the_data_directory_are_told_from_those_of_volume_and_image() {
        let found = sorted(&[
            "import/x.csv",
            "log/postgresql.csv",
            "/var/pv/13/data/y.csv",
            "/var/pv/import/z.csv",
            "/etc/pgops/tls/ca.crt",
            "/srv/x.csv",
        ]);
        let of = "filename of foreign table public.t in \"shop\"";
        assert_eq!(found.own, [format!("{of} (import/x.csv)"), format!("{of} (/var/pv/13/data/y.csv)")]);
        assert_eq!(found.logs, [format!("{of} (log/postgresql.csv)")]);
        assert_eq!(found.of_image, [("/srv/x.csv".to_owned(), vec![of.to_owned()])].into());
    }

    #[test]
    fn path_in_the_data_directory_blocks_and_a_log_or_a_function_is_noted() {
        let one = |text: &str| vec![text.to_owned()];
        assert_eq!(left_behind(&[], &[], &[]), []);
        let found = left_behind(
            &one("setting log_directory (/var/pv/13/data/log)"),
            &one("log"),
            &one("public.f() in \"shop\""),
        );
        let blocks: Vec<_> = found.iter().map(Finding::blocks).collect();
        assert_eq!(blocks, [true, false, false]);
        assert!(found[0].text.ends_with(": setting log_directory (/var/pv/13/data/log)"), "{}", found[0]);
        assert!(found[1].text.ends_with(": public.f() in \"shop\""), "{}", found[1]);
    }

    #[test]
    fn file_that_the_image_lacks_is_noted() {
        assert_eq!(lacking_in_image(&[]), None);
        let found = lacking_in_image(&["/srv/x.csv (filename of foreign table t)".to_owned()]).unwrap();
        assert!(!found.blocks() && found.text.contains("/srv/x.csv (filename of"), "{found}");
    }

    #[test]
    fn findings_about_files_are_documented_in_the_findings_page() {
        let page = include_str!("../../../../docs/reference/findings.md");
        for id in ["data-directory-path", "foreign-file"] {
            assert!(page.contains(&format!("`{id}`")), "docs/reference/findings.md lacks {id}");
        }
    }
}
