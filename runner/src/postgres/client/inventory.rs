//! Everything that the preflight needs to know about the serving database, read in one pass.

use std::collections::BTreeSet;

use pgops_api::PgVersion;
use tokio_postgres::{Client, Row};

use super::catalog::{count_files, count_relations, databases, version};
use super::cluster_shape::read_shape;
use super::error::ServerError;
use super::query::{Lossy, count, strings};
use super::serving_settings::{ServingSettings, serving_settings};
use super::session::Superuser;
use super::settings::{StoredSetting, settings_for_all, stored_libraries};
use super::side_by_side::{connect_in_turn, side_by_side};
use crate::postgres::cluster_shape::ClusterShape;

const LABELS: &str = "the providers of security labels";

/// An extension that is installed in a database.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Extension {
    pub name: String,
    pub version: String,
    pub database: String,
}

/// What the serving database contains.
#[derive(Clone, Debug, PartialEq)]
pub struct Inventory {
    pub version: PgVersion,
    /// What the new cluster must have in common with this one.
    pub shape: ClusterShape,
    /// Databases that could be connected to.
    pub databases: Vec<String>,
    /// Databases that reject the superuser's connection, with the server's error.
    pub unreachable: Vec<(String, String)>,
    /// Libraries that functions of any database need, as `$libdir/name`, with one database that does.
    pub libraries: BTreeSet<(String, String)>,
    /// Extensions of all databases.
    pub extensions: BTreeSet<Extension>,
    /// Names of the settings that are stored with roles and databases.
    pub stored_settings: BTreeSet<String>,
    /// Settings that name libraries for the sessions of databases and roles to load.
    pub stored_libraries: Vec<StoredSetting>,
    /// Providers of the security labels that objects have.
    pub label_providers: BTreeSet<String>,
    /// Settings of `ALTER ROLE ALL`, by name.
    pub settings_for_all: Vec<(String, String)>,
    /// Number of subscriptions.
    pub subscriptions: u64,
    /// What the private servers must know of the server and its slots.
    pub serving: ServingSettings,
    /// Names of the options that columns of user tables have.
    pub column_options: BTreeSet<String>,
    /// Number of tables, views, indexes, … of all databases.
    pub relations: u64,
    /// Number of relations of the largest database.
    pub largest_database: u64,
    /// Number of relations of all databases that have files, with the tables for large values.
    pub files: u64,
}

/// Takes the inventory of the server at `host`, with what else `read` reads of each of its [`Inventory::databases`] in the same
/// session: to begin one takes the server longer than most queries.
pub async fn inventory<T>(
    superuser: &Superuser,
    host: &str,
    read: impl AsyncFn(Client, &str) -> Result<T, ServerError>,
) -> Result<(Inventory, Vec<T>), ServerError> {
    let mut inventory = Inventory::of_server(&superuser.connect_server(host).await?).await?;
    let databases = std::mem::take(&mut inventory.databases);
    let read = &read;
    let all = side_by_side(&databases, |database| async move {
        match connect_in_turn(superuser, host, database).await {
            Ok(client) => {
                let contents = Contents::read(&client, database).await?;
                let other = read(client, database).await?;
                Ok::<_, ServerError>(Ok((contents, other)))
            }
            Err(ServerError::Connect { source, .. }) if source.is_permanent() => Ok(Err(source.to_string())),
            Err(error) => Err(error),
        }
    });
    let mut others = Vec::new();
    for (database, read) in databases.iter().zip(all.await?) {
        match read {
            Ok((contents, other)) => {
                inventory.add_database(database, contents);
                others.push(other);
            }
            Err(why) => inventory.unreachable.push((database.clone(), why)),
        }
    }
    Ok((inventory, others))
}

/// What one database contains.
struct Contents {
    relations: u64,
    files: u64,
    column_options: Vec<String>,
    libraries: Vec<String>,
    label_providers: Vec<String>,
    extensions: Vec<Extension>,
}

impl Contents {
    /// Reads the database that `client` is connected to.
    async fn read(client: &Client, database: &str) -> Result<Self, ServerError> {
        let options = "SELECT DISTINCT split_part(unnest(attoptions), '=', 1) FROM pg_attribute WHERE attrelid >= 16384";
        let libraries = "SELECT DISTINCT probin FROM pg_proc WHERE probin IS NOT NULL AND oid >= 16384";
        let labels = "SELECT DISTINCT provider FROM pg_seclabel";
        Ok(Self {
            relations: count_relations(client).await?,
            files: count_files(client).await?,
            column_options: strings(client, "the options of columns", options).await?,
            libraries: strings(client, "the libraries of functions", libraries).await?,
            label_providers: strings(client, LABELS, labels).await?,
            extensions: extensions(client, database).await?,
        })
    }
}

impl Inventory {
    /// What is the same in each database of the server, with the names of all databases.
    async fn of_server(client: &Client) -> Result<Self, ServerError> {
        let settings = "SELECT DISTINCT split_part(unnest(setconfig), '=', 1) FROM pg_db_role_setting";
        let subscriptions = "SELECT count(*)::text FROM pg_subscription";
        let labels = "SELECT DISTINCT provider FROM pg_shseclabel";
        let version = version(client).await?;
        Ok(Self {
            version,
            shape: read_shape(client, version).await?,
            databases: databases(client).await?,
            unreachable: Vec::new(),
            libraries: BTreeSet::new(),
            extensions: BTreeSet::new(),
            stored_libraries: stored_libraries(client).await?,
            label_providers: strings(client, LABELS, labels).await?.into_iter().collect(),
            settings_for_all: settings_for_all(client).await?,
            stored_settings: strings(client, "stored settings", settings).await?.into_iter().collect(),
            subscriptions: count(client, "the number of subscriptions", subscriptions).await?,
            serving: serving_settings(client).await?,
            column_options: BTreeSet::new(),
            relations: 0,
            largest_database: 0,
            files: 0,
        })
    }

    /// Adds the contents of a database.
    fn add_database(&mut self, database: &str, contents: Contents) {
        self.relations += contents.relations;
        self.files += contents.files;
        self.largest_database = self.largest_database.max(contents.relations);
        self.column_options.extend(contents.column_options);
        self.libraries.extend(contents.libraries.into_iter().map(|library| (library, database.to_owned())));
        self.label_providers.extend(contents.label_providers);
        self.extensions.extend(contents.extensions);
        self.databases.push(database.to_owned());
    }
}

async fn extensions(client: &Client, database: &str) -> Result<Vec<Extension>, ServerError> {
    let failed = ServerError::query("the extensions of a database");
    let sql = "SELECT extname::text, extversion FROM pg_extension";
    let rows = client.query_typed(sql, &[]).await.map_err(failed)?;
    let extension = |row: &Row| {
        let text = |column: usize| row.try_get::<_, Lossy>(column).map(|Lossy(text)| text);
        Ok(Extension { name: text(0)?, version: text(1)?, database: database.to_owned() })
    };
    rows.iter().map(extension).collect::<Result<_, _>>().map_err(failed)
}
