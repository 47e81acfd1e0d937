//! Asks the serving database, over TCP, as the superuser of its auth secret.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use pgops_api::{PgVersion, layout, names};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Row, Transaction};

use crate::postgres::program::initdb::{ClusterShape, LocaleProvider};

/// A question to the server was not answered.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The secret is not where it is mounted.
    #[error("failed to read the superuser's {key} from {path}: does the auth secret have that key?")]
    Secret {
        /// Key of the secret.
        key: &'static str,
        /// The mounted file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No connection.
    #[error("failed to connect to database \"{database}\" at {host} as the superuser of the auth secret")]
    Connect {
        /// Database connected to.
        database: String,
        /// The pod's address.
        host: String,
        /// What the server or the kernel said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A query failed.
    #[error("failed to ask the server for {what}")]
    Query {
        /// What was asked.
        what: &'static str,
        /// What the server said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The server's answer is not one that we know.
    #[error("failed to understand the server's {what}: \"{answer}\"")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// What the server said.
        answer: String,
    },
}

/// The superuser of the auth secret. Its password never leaves this type but for a connection.
pub struct Superuser {
    /// Name of the role.
    pub name: String,
    password: String,
}

impl Superuser {
    /// Reads the mounted secret.
    pub fn read() -> Result<Self, ServerError> {
        let read = |key: &'static str| {
            let path = PathBuf::from(layout::AUTH_DIR).join(key);
            fs::read_to_string(&path)
                .map(|text| text.trim_end_matches('\n').to_owned())
                .map_err(|source| ServerError::Secret { key, path, source })
        };
        Ok(Self { name: read("username")?, password: read("password")? })
    }

    /// The password, for the environment of a client program.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Connects to `database` at `host`.
    pub async fn connect(&self, host: &str, database: &str) -> Result<Client, ServerError> {
        connect(host, database, &self.name, Some(&self.password)).await
    }

    /// Connects with more settings, such as `-c lock_timeout=60s`; no statement comes before the caller's. That must
    /// name nothing which a user's could be taken for.
    pub async fn connect_with(
        &self,
        host: &str,
        database: &str,
        settings: &str,
    ) -> Result<Client, ServerError> {
        open(host, database, &self.name, Some(&self.password), settings).await
    }
}

/// Connects to a server whose host is an address, or the directory of its socket.
///
/// What users have put into their schemas must not be taken for a function of the system's: it would run as superuser.
/// Not from the start, since what runs at each login is written for the path that everybody has.
pub async fn connect(
    host: &str,
    database: &str,
    user: &str,
    password: Option<&str>,
) -> Result<Client, ServerError> {
    let client = open(host, database, user, password, "").await?;
    // Settings that only some versions know.
    let settings = format!(
        "{SAFE_PATH}; SELECT set_config(name, '0', false) FROM pg_settings \
         WHERE name IN ('transaction_timeout', 'idle_session_timeout')"
    );
    let what = "a session without limits and schemas of users";
    client.batch_execute(&settings).await.map_err(|source| ServerError::Query { what, source })?;
    Ok(client)
}

/// Takes schemas of users off the path.
pub const SAFE_PATH: &str = "SET search_path = pg_catalog, pg_temp";
/// Gives back the path that the server, the database and the role have.
pub const EVERYBODYS_PATH: &str = "RESET search_path";

/// Executes a statement that names nothing which a user's could be taken for, with the path that everybody has: what
/// users wrote runs in it as they do (functions in indexes, as their owner) or on account of it (event triggers).
pub async fn as_everybody(client: &Client, statement: &str) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(EVERYBODYS_PATH).await?;
    let done = client.batch_execute(statement).await;
    if !client.is_closed() {
        client.batch_execute(SAFE_PATH).await?;
    }
    done
}

async fn open(
    host: &str,
    database: &str,
    user: &str,
    password: Option<&str>,
    settings: &str,
) -> Result<Client, ServerError> {
    let failed =
        |source| ServerError::Connect { database: database.to_owned(), host: host.to_owned(), source };
    let mut config = Config::new();
    config
        .host(host)
        .port(names::POSTGRES_PORT)
        .user(user)
        .dbname(database)
        .application_name("pgops")
        .options(format!("{SESSION_SETTINGS} {settings}"))
        .connect_timeout(Duration::from_secs(5));
    if let Some(password) = password {
        config.password(password);
    }
    let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
    tokio::spawn(connection);
    Ok(client)
}

/// Settings of every session of ours, and of the programs that we run. An image may have the JIT's provider
/// without its LLVM: then costly queries fail. What users have set for their own sessions must not stop ours.
pub const SESSION_SETTINGS: &str = "-c jit=off -c statement_timeout=0 -c lock_timeout=0 \
    -c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off";

/// More settings, for programs whose work takes long, on a server of that major version.
#[must_use]
pub fn lasting(major: u32) -> &'static str {
    if major >= 17 { "-c transaction_timeout=0" } else { "" }
}

/// An extension of one database.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// The version that is installed.
    pub version: String,
    /// Where.
    pub database: String,
}

/// What the serving database says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Inventory {
    /// `server_version`.
    pub version: PgVersion,
    /// What a new cluster must have too.
    pub shape: ClusterShape,
    /// Databases that can be connected to.
    pub databases: Vec<String>,
    /// Databases that let nobody in, with the server's words.
    pub unreachable: Vec<(String, String)>,
    /// Libraries that functions of any database need, as `$libdir/name`, with one database that does.
    pub libraries: BTreeSet<(String, String)>,
    /// Extensions of all databases.
    pub extensions: BTreeSet<Extension>,
    /// Settings kept with roles and databases, by name.
    pub stored_settings: BTreeSet<String>,
    /// Settings of `ALTER ROLE ALL`, by name.
    pub settings_for_all: Vec<(String, String)>,
    /// How many subscriptions there are.
    pub subscriptions: u64,
    /// Names of the options that columns of user tables have.
    pub column_options: BTreeSet<String>,
    /// Tables, views, indexes, … of all databases.
    pub relations: u64,
    /// The same of the largest database.
    pub largest_database: u64,
}

/// The version of the server.
pub async fn version(client: &Client) -> Result<PgVersion, ServerError> {
    let text = ask(client, "its version", "SHOW server_version").await?;
    // Distributions append their own: `13.16 (Debian 13.16-0+deb11u1)`.
    let number = text.split_whitespace().next().unwrap_or_default();
    number.parse().map_err(|_| ServerError::Answer { what: "version", answer: text.clone() })
}

/// The databases that can be connected to.
pub async fn databases(client: &Client) -> Result<Vec<String>, ServerError> {
    strings(
        client,
        "its databases",
        // One whose DROP was interrupted has the limit -2, and takes no connections.
        "SELECT datname::text FROM pg_database WHERE datallowconn AND datconnlimit <> -2 ORDER BY datname",
    )
    .await
}

/// Number of relations in the database that `client` is connected to, the system's own left out.
pub async fn relations(client: &Client) -> Result<u64, ServerError> {
    let sql = "SELECT count(*)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
               AND n.nspname NOT LIKE 'pg\\_temp\\_%' AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'";
    count(client, "its relations", sql).await
}

/// Number of users' tables in the database that `client` is connected to.
pub async fn tables(client: &Client) -> Result<u64, ServerError> {
    let sql = "SELECT count(*)::text FROM pg_class WHERE relkind IN ('r', 'p', 'f') AND oid >= 16384";
    count(client, "its tables", sql).await
}

async fn count(client: &Client, what: &'static str, sql: &str) -> Result<u64, ServerError> {
    let text = ask(client, what, sql).await?;
    text.parse().map_err(|_| ServerError::Answer { what, answer: text.clone() })
}

/// Whether `pg_dump` can lock every table of the database that `client` is connected to, and leave half of
/// the server's room for locks to others: when it is used up, their statements fail too.
pub async fn has_room_for_locks(client: &Client) -> Result<bool, ServerError> {
    let sql = "SELECT (count(*) <= current_setting('max_locks_per_transaction')::int8 / 2.0 * \
               (current_setting('max_connections')::int8 + current_setting('max_prepared_transactions')::int8))::text \
               FROM pg_class WHERE relkind IN ('r', 'p', 'f') AND oid >= 16384";
    Ok(ask(client, "room for locks", sql).await? == "true")
}

/// Takes the inventory of the server at `host`.
pub async fn inventory(superuser: &Superuser, host: &str) -> Result<Inventory, ServerError> {
    let client = superuser.connect(host, "postgres").await?;
    let version = version(&client).await?;
    let shape = shape(&client, version).await?;
    let settings = "SELECT DISTINCT split_part(unnest(setconfig), '=', 1) FROM pg_db_role_setting";
    let mut inventory = Inventory {
        version,
        shape,
        databases: databases(&client).await?,
        unreachable: Vec::new(),
        libraries: BTreeSet::new(),
        extensions: BTreeSet::new(),
        settings_for_all: settings_for_all(&client).await?,
        stored_settings: strings(&client, "stored settings", settings).await?.into_iter().collect(),
        subscriptions: count(&client, "its subscriptions", "SELECT count(*)::text FROM pg_subscription")
            .await?,
        column_options: BTreeSet::new(),
        relations: 0,
        largest_database: 0,
    };
    for database in std::mem::take(&mut inventory.databases) {
        let client = match superuser.connect(host, &database).await {
            Err(ServerError::Connect { source, .. }) if is_for_good(&source) => {
                inventory.unreachable.push((database, pgops_api::display_chain(&source)));
                continue;
            }
            client => client?,
        };
        inventory.databases.push(database.clone());
        let count = relations(&client).await?;
        inventory.relations += count;
        inventory.largest_database = inventory.largest_database.max(count);
        let sql = "SELECT DISTINCT split_part(unnest(attoptions), '=', 1) FROM pg_attribute WHERE attrelid >= 16384";
        inventory.column_options.extend(strings(&client, "options of its columns", sql).await?);
        let sql = "SELECT DISTINCT probin FROM pg_proc WHERE probin IS NOT NULL AND oid >= 16384";
        let libraries = strings(&client, "libraries of its functions", sql).await?;
        inventory.libraries.extend(libraries.into_iter().map(|library| (library, database.clone())));
        inventory.extensions.extend(extensions(&client, &database).await?);
    }
    Ok(inventory)
}

/// Whether the server itself has refused a connection, for a reason that does not pass: neither for want of
/// resources (class 53) nor because somebody stops or starts it (57).
fn is_for_good(error: &tokio_postgres::Error) -> bool {
    let code = error.as_db_error().map(|error| error.code().code());
    code.is_some_and(|code| !code.starts_with("53") && !code.starts_with("57"))
}

/// What `initdb` must be told, as template0 has it: databases may differ from it, a new cluster may not.
async fn shape(client: &Client, version: PgVersion) -> Result<ClusterShape, ServerError> {
    let what = "the shape of its cluster";
    let (provider, locale, rules) = match version.major {
        ..15 => ("'c'", "NULL", "NULL"),
        15 => ("datlocprovider::text", "daticulocale::text", "NULL"),
        16 => ("datlocprovider::text", "daticulocale::text", "daticurules::text"),
        _ => ("datlocprovider::text", "datlocale::text", "daticurules::text"),
    };
    let sql = format!(
        "SELECT (SELECT rolname::text FROM pg_authid WHERE oid = 10), pg_encoding_to_char(encoding)::text, \
         datcollate::text, datctype::text, {provider}::text, {locale}::text, {rules}::text, \
         (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size'), \
         (SELECT setting FROM pg_settings WHERE name = 'data_checksums'), \
         (SELECT setting FROM pg_settings WHERE name = 'lc_messages'), \
         (SELECT setting FROM pg_settings WHERE name = 'lc_monetary'), \
         (SELECT setting FROM pg_settings WHERE name = 'lc_numeric'), \
         (SELECT setting FROM pg_settings WHERE name = 'lc_time') \
         FROM pg_database WHERE datname = 'template0'"
    );
    let row = client.query_one(&sql, &[]).await.map_err(|source| ServerError::Query { what, source })?;
    let text =
        |index: usize| row.try_get::<_, String>(index).map_err(|source| ServerError::Query { what, source });
    let optional = |index: usize| {
        row.try_get::<_, Option<String>>(index).map_err(|source| ServerError::Query { what, source })
    };
    let locale = || optional(5).map(Option::unwrap_or_default);
    let provider = match text(4)?.as_str() {
        "c" => LocaleProvider::Libc,
        "i" => LocaleProvider::Icu { locale: locale()?, rules: optional(6)? },
        "b" => LocaleProvider::Builtin { locale: locale()? },
        other => return Err(ServerError::Answer { what: "locale provider", answer: other.to_owned() }),
    };
    let bytes = text(7)?;
    Ok(ClusterShape {
        install_user: text(0)?,
        encoding: text(1)?,
        collate: text(2)?,
        ctype: text(3)?,
        provider,
        wal_segment_bytes: bytes
            .parse()
            .map_err(|_| ServerError::Answer { what: "WAL segment size", answer: bytes.clone() })?,
        checksums: text(8)? == "on",
        lc_others: [text(9)?, text(10)?, text(11)?, text(12)?],
    })
}

/// The settings of `ALTER ROLE ALL`.
pub async fn settings_for_all(client: &Client) -> Result<Vec<(String, String)>, ServerError> {
    let what = "the settings of ALTER ROLE ALL";
    let sql = "SELECT split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1) \
               FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setdatabase = 0 AND setrole = 0";
    let failed = |source| ServerError::Query { what, source };
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    rows.iter().map(|row| Ok((row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?))).collect()
}

/// Gives a setting to all roles.
pub async fn set_for_all(client: &mut Client, name: &str, value: &str) -> Result<(), ServerError> {
    let what = "a setting of ALTER ROLE ALL";
    let failed = |source| ServerError::Query { what, source };
    alter_all(client, name, value).await.map_err(failed)?.commit().await.map_err(failed)
}

/// Why a server would not give a setting to all roles; nothing is changed. That it does not know it is not told.
pub async fn refuses_for_all(
    client: &mut Client,
    name: &str,
    value: &str,
) -> Result<Option<String>, ServerError> {
    let failed = |source| ServerError::Query { what: "a setting of ALTER ROLE ALL", source };
    match alter_all(client, name, value).await {
        Ok(tried) => tried.rollback().await.map(|()| None).map_err(failed),
        Err(error) if error.code() == Some(&SqlState::UNDEFINED_OBJECT) => Ok(None),
        Err(error) if error.as_db_error().is_some() => Ok(Some(pgops_api::display_chain(&error))),
        Err(error) => Err(failed(error)),
    }
}

/// The setting in a transaction, which ends without it if it is not committed.
async fn alter_all<'a>(
    client: &'a mut Client,
    name: &str,
    value: &str,
) -> Result<Transaction<'a>, tokio_postgres::Error> {
    let mut transaction = client.transaction().await?;
    let attempt = transaction.transaction().await?;
    // A list such as search_path would become one quoted name if it were given as a literal. For this transaction
    // alone: with default_transaction_read_only the session could not write it down any more.
    let source = if attempt.execute("SELECT set_config($1, $2, true)", &[&name, &value]).await.is_ok() {
        attempt.commit().await?;
        "FROM CURRENT".to_owned()
    } else {
        // A setting that only a new connection takes is no list.
        attempt.rollback().await?;
        format!("TO '{}'", value.replace('\'', "''"))
    };
    transaction.batch_execute(&format!("ALTER ROLE ALL SET {} {source}", identifier(name))).await?;
    Ok(transaction)
}

/// A name as it stands in a statement.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn ask(client: &Client, what: &'static str, sql: &str) -> Result<String, ServerError> {
    let row = client.query_one(sql, &[]).await.map_err(|source| ServerError::Query { what, source })?;
    row.try_get(0).map_err(|source| ServerError::Query { what, source })
}

async fn extensions(client: &Client, database: &str) -> Result<Vec<Extension>, ServerError> {
    let failed = |source| ServerError::Query { what: "its extensions", source };
    let sql = "SELECT extname::text, extversion FROM pg_extension";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let extension = |row: &Row| {
        Ok(Extension { name: row.try_get(0)?, version: row.try_get(1)?, database: database.to_owned() })
    };
    rows.iter().map(extension).collect::<Result<_, _>>().map_err(failed)
}

/// The one column of a query, as text.
pub async fn strings(client: &Client, what: &'static str, sql: &str) -> Result<Vec<String>, ServerError> {
    strings_with(client, what, sql, &[]).await
}

/// Text of which the server has no valid form in UTF-8, such as a name that was given in a database of another
/// encoding. It is shown as well as it can be.
struct Lossy(String);

impl<'a> FromSql<'a> for Lossy {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    fn accepts(kind: &Type) -> bool {
        <String as FromSql>::accepts(kind)
    }
}

/// The one column of a query with parameters, as text.
pub async fn strings_with(
    client: &Client,
    what: &'static str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<String>, ServerError> {
    let rows = client.query(sql, parameters).await.map_err(|source| ServerError::Query { what, source })?;
    let text = |row: &Row| Ok(row.try_get::<_, Lossy>(0)?.0);
    rows.iter().map(|row| text(row).map_err(|source| ServerError::Query { what, source })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_another_encoding_is_shown_and_stops_nothing() {
        let read = |raw| Lossy::from_sql(&Type::TEXT, raw).map(|text| text.0).unwrap();
        assert_eq!(read("Zoë".as_bytes()), "Zoë");
        assert_eq!(read(b"Zo\xeb"), "Zo\u{fffd}");
    }
}
