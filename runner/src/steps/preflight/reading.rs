//! What the checks read of each serving database, in one session for each. The findings follow from it without the database.

use pgops_api::PgVersion;
use pgops_api::plan::UpgradeKind;
use tokio_postgres::Client;

use super::check::Check;
use super::checks::{self, Found};
use super::language_modules::ReadModules;
use super::{duties, stored_expressions, table_statistics};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::inventory::{Inventory, inventory};
use crate::postgres::collation::rules::RulesInUse;
use crate::postgres::duties::duty::Duty;
use crate::postgres::extension::index_methods::{ExtensionIndexes, extension_indexes};
use crate::postgres::extension::stored_results::{StoredResult, stored_results};
use crate::postgres::references::foreign_files::DatabaseFiles;
use crate::postgres::references::own_paths::data_directory;
use crate::postgres::table_statistics::TableStatistics;
use crate::upgrade::{StepError, UpgradeContext};

/// What was read: each part has one item for each of the inventory's databases, in their order.
#[derive(Default)]
pub struct Readings {
    pub rules: Vec<Result<RulesInUse, ServerError>>,
    /// What each check has found.
    pub objects: Vec<Vec<Vec<Found>>>,
    /// What each duty of release notes concerns.
    pub duties: Vec<Vec<Vec<String>>>,
    pub indexes: Vec<Vec<ExtensionIndexes>>,
    pub results: Vec<Vec<StoredResult>>,
    pub files: Vec<DatabaseFiles>,
    pub modules: Vec<ReadModules>,
    pub statistics: Vec<Vec<TableStatistics>>,
    /// Tables with stored expressions.
    pub expressions: Vec<Vec<String>>,
}

/// What was read of one database.
struct Reading {
    rules: Result<RulesInUse, ServerError>,
    objects: Vec<Vec<Found>>,
    duties: Vec<Vec<String>>,
    indexes: Vec<ExtensionIndexes>,
    results: Vec<StoredResult>,
    files: DatabaseFiles,
    modules: ReadModules,
    statistics: Vec<TableStatistics>,
    expressions: Vec<String>,
}

/// Takes the inventory of the server at `ip`, and reads its databases.
pub async fn read(upgrade: &UpgradeContext, ip: &str) -> Result<(Inventory, Readings), StepError> {
    let reader = Reader {
        upgrade,
        checks: checks::of_database(upgrade),
        duties: duties::of_upgrade(upgrade)?,
        directory: data_directory(&upgrade.superuser.connect_server(ip).await?).await?,
    };
    let (inventory, read) =
        inventory(&upgrade.superuser, ip, async |client, database: &str| reader.read(client, database).await)
            .await?;
    let mut readings = Readings::default();
    for reading in read {
        readings.add(reading);
    }
    Ok((inventory, readings))
}

/// What is the same for all databases.
struct Reader<'a> {
    upgrade: &'a UpgradeContext,
    checks: Vec<&'static Check>,
    duties: Vec<(&'static Duty, PgVersion)>,
    /// The data directory.
    directory: String,
}

impl Reader<'_> {
    async fn read(&self, client: Client, database: &str) -> Result<Reading, ServerError> {
        let (upgrade, major) = (self.upgrade, self.upgrade.old_major);
        Ok(Reading {
            objects: checks::read(&client, &self.checks).await?,
            duties: duties::read(&client, &self.duties).await?,
            indexes: extension_indexes(&client).await?,
            results: stored_results(&client).await?,
            files: DatabaseFiles::read(&client, &self.directory).await?,
            modules: ReadModules::read(&client).await,
            statistics: table_statistics::read(upgrade, &client).await,
            rules: RulesInUse::read_if_possible(&client, major, database).await,
            // Last, as code of users may run in the session then.
            expressions: match upgrade.kind {
                UpgradeKind::Major => stored_expressions::read(client, database).await?,
                UpgradeKind::Minor => Vec::new(),
            },
        })
    }
}

impl Readings {
    fn add(&mut self, reading: Reading) {
        self.rules.push(reading.rules);
        self.objects.push(reading.objects);
        self.duties.push(reading.duties);
        self.indexes.push(reading.indexes);
        self.results.push(reading.results);
        self.files.push(reading.files);
        self.modules.push(reading.modules);
        self.statistics.push(reading.statistics);
        self.expressions.push(reading.expressions);
    }
}
