//! Everything that the preflight needs to know about the serving database, read in one pass.

use std::collections::BTreeSet;

use pgops_api::PgVersion;
use tokio_postgres::{Client, Row};

use super::catalog::{count_relations, databases, version};
use super::cluster_shape::read_shape;
use super::error::ServerError;
use super::query::{count, strings};
use super::serving_settings::{ServingSettings, serving_settings};
use super::session::Superuser;
use super::settings::{settings_for_all, stored_libraries};
use crate::postgres::cluster_shape::ClusterShape;

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
    /// Libraries that sessions of databases and roles load: settings by name.
    pub stored_libraries: Vec<(String, String)>,
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
}

/// Takes the inventory of the server at `host`.
pub async fn inventory(superuser: &Superuser, host: &str) -> Result<Inventory, ServerError> {
    let mut inventory = Inventory::of_server(&superuser.connect_server(host).await?).await?;
    for database in std::mem::take(&mut inventory.databases) {
        match superuser.connect(host, &database).await {
            Ok(client) => inventory.add_database(&client, database).await?,
            Err(ServerError::Connect { source, .. }) if source.is_permanent() => {
                inventory.unreachable.push((database, source.to_string()));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(inventory)
}

impl Inventory {
    /// What is the same in each database of the server, with the names of all databases.
    async fn of_server(client: &Client) -> Result<Self, ServerError> {
        let settings = "SELECT DISTINCT split_part(unnest(setconfig), '=', 1) FROM pg_db_role_setting";
        let subscriptions = "SELECT count(*)::text FROM pg_subscription";
        let version = version(client).await?;
        Ok(Self {
            version,
            shape: read_shape(client, version).await?,
            databases: databases(client).await?,
            unreachable: Vec::new(),
            libraries: BTreeSet::new(),
            extensions: BTreeSet::new(),
            stored_libraries: stored_libraries(client).await?,
            settings_for_all: settings_for_all(client).await?,
            stored_settings: strings(client, "stored settings", settings).await?.into_iter().collect(),
            subscriptions: count(client, "the number of subscriptions", subscriptions).await?,
            serving: serving_settings(client).await?,
            column_options: BTreeSet::new(),
            relations: 0,
            largest_database: 0,
        })
    }

    /// Adds the contents of the database that `client` is connected to.
    async fn add_database(&mut self, client: &Client, database: String) -> Result<(), ServerError> {
        let relations = count_relations(client).await?;
        self.relations += relations;
        self.largest_database = self.largest_database.max(relations);
        let sql = "SELECT DISTINCT split_part(unnest(attoptions), '=', 1) FROM pg_attribute WHERE attrelid >= 16384";
        self.column_options.extend(strings(client, "the options of columns", sql).await?);
        let sql = "SELECT DISTINCT probin FROM pg_proc WHERE probin IS NOT NULL AND oid >= 16384";
        let libraries = strings(client, "the libraries of functions", sql).await?;
        self.libraries.extend(libraries.into_iter().map(|library| (library, database.clone())));
        self.extensions.extend(extensions(client, &database).await?);
        self.databases.push(database);
        Ok(())
    }
}

async fn extensions(client: &Client, database: &str) -> Result<Vec<Extension>, ServerError> {
    let failed = ServerError::query("the extensions of a database");
    let sql = "SELECT extname::text, extversion FROM pg_extension";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let extension = |row: &Row| {
        Ok(Extension { name: row.try_get(0)?, version: row.try_get(1)?, database: database.to_owned() })
    };
    rows.iter().map(extension).collect::<Result<_, _>>().map_err(failed)
}
