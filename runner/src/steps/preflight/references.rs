//! What definitions and settings name, and the target image lacks: time zones, files of text search dictionaries, programs
//! of commands, files of TLS. In a major upgrade the definitions are read where they were restored, in a minor one on the serving
//! server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use pgops_api::plan::{Step, UpgradeKind};
use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::program::command::{CommandError, Program};
use crate::postgres::program::programs::Programs;
use crate::postgres::references::definitions::definitions_with_zones;
use crate::postgres::references::dictionaries::{DIRECTORY, dictionary_files};
use crate::postgres::references::server_settings::ServerSettings;
use crate::postgres::references::time_zones::{
    ZoneUse, current_name, is_accepted, zone_names, zones_in, zones_of_functions, zones_of_settings,
};
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::{Finding, shortened, warn_step};

/// Collects what is missing, database by database.
pub struct References {
    /// The time zones of the serving database, in lower case.
    zones: BTreeSet<String>,
    /// Whether the scratch server accepts a time zone.
    accepted: BTreeMap<String, bool>,
    /// The files of the target's text search dictionaries, if they could be listed.
    files: Option<BTreeSet<String>>,
    missing_zones: Vec<MissingZone>,
    missing_files: Vec<String>,
    of_server: Vec<Finding>,
}

/// A time zone that the target does not have.
struct MissingZone {
    name: String,
    /// What the target calls it.
    current: Option<&'static str>,
    zone_use: ZoneUse,
    object: String,
    /// `None` for a setting of the whole server.
    database: Option<String>,
}

impl References {
    /// Reads what is the same for all databases of a serving server; `programs` are the target's, and `scratch` is connected
    /// to its scratch server.
    pub async fn begin(
        serving: &Client,
        scratch: &Client,
        programs: &Programs,
        kind: UpgradeKind,
    ) -> Result<Self, ServerError> {
        let settings = ServerSettings::read(serving).await?;
        let directory = programs.installation.sharedir.join(DIRECTORY);
        let files = programs.agent.list_directory(directory).await;
        // An image need not have a shell.
        let commands = missing_programs(&settings, programs).await;
        let commands = commands.inspect_err(|error| warn_step(Step::Preflight, error)).ok().flatten();
        let mut references = Self {
            zones: zone_names(serving).await?,
            accepted: BTreeMap::new(),
            files: files
                .inspect_err(|error| warn_step(Step::Preflight, error))
                .ok()
                .map(|names| names.into_iter().collect()),
            missing_zones: Vec::new(),
            missing_files: Vec::new(),
            of_server: commands.into_iter().chain(files_left_behind(&settings, kind)).collect(),
        };
        references.read_settings(zones_of_settings(serving).await?, None, scratch).await?;
        Ok(references)
    }

    /// Reads what must exist for the definitions of a serving database to be restored into the scratch server.
    pub async fn read_source(
        &mut self,
        serving: &Client,
        scratch: &Scratch,
        database: &str,
    ) -> Result<(), ServerError> {
        let named = dictionary_files(serving).await?;
        if let Some(files) = &self.files {
            let missing = named.into_iter().filter(|named| !files.contains(&named.file));
            let missing =
                missing.map(|named| format!("{} of {} in \"{database}\"", named.file, named.dictionary));
            self.missing_files.extend(missing);
        }
        let settings = zones_of_functions(serving).await?;
        if !settings.is_empty() {
            let scratch = scratch.connect("template1").await?;
            self.read_settings(settings, Some(database), &scratch).await?;
        }
        Ok(())
    }

    /// Objects and the time zones that they set. The restore rejects one that does not exist, without naming it.
    async fn read_settings(
        &mut self,
        settings: Vec<(String, String)>,
        database: Option<&str>,
        scratch: &Client,
    ) -> Result<(), ServerError> {
        for (object, name) in settings {
            if self.zones.contains(&name.to_ascii_lowercase()) {
                self.read_zone(scratch, name, ZoneUse::Evaluated, object, database).await?;
            }
        }
        Ok(())
    }

    /// Reads what the definitions of a database name, on a server of that major version that `client` is connected to;
    /// `scratch` is connected to the scratch server.
    pub async fn read_definitions(
        &mut self,
        client: &Client,
        scratch: &Client,
        database: &str,
        major: u32,
    ) -> Result<(), ServerError> {
        for definition in definitions_with_zones(client, major).await? {
            for (name, zone_use) in zones_in(&definition, &self.zones) {
                self.read_zone(scratch, name, zone_use, definition.object.clone(), Some(database)).await?;
            }
        }
        Ok(())
    }

    /// A time zone that an object names.
    async fn read_zone(
        &mut self,
        scratch: &Client,
        name: String,
        zone_use: ZoneUse,
        object: String,
        database: Option<&str>,
    ) -> Result<(), ServerError> {
        if self.accepts(scratch, &name).await? {
            return Ok(());
        }
        let mut current = current_name(&name);
        if let Some(current_zone) = current
            && !self.accepts(scratch, current_zone).await?
        {
            current = None;
        }
        let database = database.map(ToOwned::to_owned);
        self.missing_zones.push(MissingZone { name, current, zone_use, object, database });
        Ok(())
    }

    async fn accepts(&mut self, scratch: &Client, zone: &str) -> Result<bool, ServerError> {
        if let Some(accepted) = self.accepted.get(zone) {
            return Ok(*accepted);
        }
        let accepted = is_accepted(scratch, zone).await?;
        self.accepted.insert(zone.to_owned(), accepted);
        Ok(accepted)
    }

    /// All findings.
    #[must_use]
    pub fn finish(self) -> Vec<Finding> {
        let mut findings = self.of_server;
        findings.extend(missing_zones(&self.missing_zones));
        findings.extend(missing_files(&self.missing_files));
        findings
    }
}

/// What helps if a time zone is missing.
const USE_AN_IMAGE: &str =
    "use an image that has them (since Debian 13 former names are in the package tzdata-legacy)";

fn missing_zones(missing: &[MissingZone]) -> Vec<Finding> {
    let named = |zone_use| {
        let of_use = missing.iter().filter(|zone| zone.zone_use == zone_use);
        of_use.map(ToString::to_string).collect::<Vec<_>>()
    };
    let evaluated = named(ZoneUse::Evaluated);
    let mentioned = named(ZoneUse::Mentioned);
    let evaluated = (!evaluated.is_empty()).then(|| {
        let text = format!(
            "expressions and settings use time zones that the target image does not have: afterwards rows could not be inserted, \
             queries would fail, and a dump could not be restored; {USE_AN_IMAGE}, or change the names: {}",
            shortened(&evaluated)
        );
        Finding::new("time-zone", text)
    });
    let mentioned = (!mentioned.is_empty()).then(|| {
        let text = format!(
            "functions and other definitions name time zones that the target image does not have, and fail if they use them; \
             {USE_AN_IMAGE}, or change the names, in tables too: {}",
            shortened(&mentioned)
        );
        Finding::note("time-zone-name", text)
    });
    evaluated.into_iter().chain(mentioned).collect()
}

impl std::fmt::Display for MissingZone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, current, zone_use: _, object, database } = self;
        write!(f, "\"{name}\"")?;
        if let Some(current) = current {
            write!(f, " (now \"{current}\")")?;
        }
        write!(f, " in {object}")?;
        database.as_ref().map_or(Ok(()), |database| write!(f, " of \"{database}\""))
    }
}

fn missing_files(missing: &[String]) -> Option<Finding> {
    (!missing.is_empty()).then(|| {
        let text = format!(
            "text search dictionaries name files that the target image does not have in its directory {DIRECTORY}; use an \
             image that has them, or ALTER or DROP the dictionaries: {}",
            shortened(missing)
        );
        Finding::new("text-search-file", text)
    })
}

/// A note: a program may also be mounted into the database's pod.
async fn missing_programs(
    settings: &ServerSettings,
    programs: &Programs,
) -> Result<Option<Finding>, CommandError> {
    let mut missing = Vec::new();
    for (setting, program) in settings.programs() {
        if !has_program(programs, program).await? {
            missing.push(format!("{program} ({setting})"));
        }
    }
    Ok((!missing.is_empty()).then(|| {
        let text = format!(
            "the target image does not have programs that settings name; unless they are mounted into the pod, use an image \
             that has them, or change the settings: {}",
            shortened(&missing)
        );
        Finding::note("command-program", text)
    }))
}

/// Whether a shell of the image finds a program, as the server's will.
pub async fn has_program(programs: &Programs, name: &str) -> Result<bool, CommandError> {
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let shell = Program::new(&programs.agent, Path::new("/bin/sh"))
        .env("PATH", &format!("{path}:{}", programs.installation.bindir.display()))
        .args(["-c", "command -v \"$1\"", "sh", name]);
    match shell.output().await {
        Ok(_) => Ok(true),
        Err(CommandError::Ended { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

fn files_left_behind(settings: &ServerSettings, kind: UpgradeKind) -> Option<Finding> {
    if kind == UpgradeKind::Minor {
        // The data directory stays.
        return None;
    }
    let files: Vec<_> = settings
        .files_in_data_directory()
        .iter()
        .map(|(setting, file)| format!("{setting} = {file}"))
        .collect();
    (!files.is_empty()).then(|| {
        let text = format!(
            "ssl is on with files in the data directory, which is not carried over: the target would not start; put them on \
             a volume of their own, and set their paths: {}",
            shortened(&files)
        );
        Finding::new("tls-file", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(zone_use: ZoneUse) -> MissingZone {
        MissingZone {
            name: "US/Pacific".into(),
            current: Some("America/Los_Angeles"),
            zone_use,
            object: "view public.v".into(),
            database: Some("shop".into()),
        }
    }

    fn texts(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn missing_zone_of_an_expression_blocks_and_is_named_with_object_and_current_name() {
        let found = missing_zones(&[zone(ZoneUse::Evaluated)]);
        assert!(found.len() == 1 && found[0].blocks(), "{found:?}");
        let text = &texts(&found)[0];
        let expected = "\"US/Pacific\" (now \"America/Los_Angeles\") in view public.v of \"shop\"";
        assert!(text.starts_with("[time-zone] ") && text.ends_with(expected), "{text}");
        assert!(text.contains("tzdata-legacy"), "{text}");
    }

    #[test]
    fn missing_zone_that_is_only_mentioned_is_a_note() {
        let found = missing_zones(&[zone(ZoneUse::Mentioned)]);
        assert!(found.len() == 1 && !found[0].blocks(), "{found:?}");
        assert_eq!(missing_zones(&[]), []);
    }

    #[test]
    fn missing_file_of_a_dictionary_blocks() {
        assert_eq!(missing_files(&[]), None);
        let found = missing_files(&["ours.stop of public.d in \"shop\"".to_owned()]).unwrap();
        assert!(found.blocks() && found.text.ends_with("ours.stop of public.d in \"shop\""), "{found}");
    }

    #[test]
    fn findings_are_documented_in_the_findings_page() {
        let page = include_str!("../../../../docs/reference/findings.md");
        for id in ["time-zone", "time-zone-name", "text-search-file", "command-program", "tls-file"] {
            assert!(page.contains(&format!("`{id}`")), "docs/reference/findings.md lacks {id}");
        }
    }
}
