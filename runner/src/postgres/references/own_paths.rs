//! Settings that lead into the server's own data directory, which a major upgrade does not carry over.

use tokio_postgres::{Client, Row};

use super::paths::{paths_below, relative_files};
use super::server_settings::{ServerSettings, TLS_FILES};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::file_settings::OF_THE_POD;
use crate::postgres::client::query::{Lossy, strings_with, text};
use crate::postgres::client::settings::{OWNER, STORED};

/// Commands that a server runs while it serves; the others belong to a recovery.
const RUN_BY_A_PRIMARY: [&str; 2] = ["archive_command", "ssl_passphrase_command"];

/// Something that names a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamedPath {
    /// What names it, such as `setting log_directory`.
    pub by: String,
    pub path: String,
}

/// The data directory of a server.
pub async fn data_directory(client: &Client) -> Result<String, ServerError> {
    text(client, "the data directory", "SHOW data_directory").await
}

/// The settings that lead into the data directory: in effect, in files that are not read yet, and stored for roles and databases.
/// Those of its own `postgresql.conf` are left behind with it, and files of TLS have a finding of their own.
pub async fn settings_with_own_paths(
    client: &Client,
    directory: &str,
) -> Result<Vec<NamedPath>, ServerError> {
    let sql = format!(
        "SELECT concat('setting ', s.name), s.setting FROM ( \
           SELECT name, setting, sourcefile FROM pg_settings \
           UNION (SELECT DISTINCT ON (name) name, setting, sourcefile FROM pg_file_settings \
             WHERE name IS NOT NULL ORDER BY name, seqno DESC) \
         ) AS s \
         WHERE strpos(s.setting, $1) > 0 AND lower(s.name) <> ALL ($2::text[]) \
         AND (s.sourcefile IS NULL OR left(s.sourcefile, length($1) + 1) <> concat($1, '/') \
           OR s.sourcefile = concat($1, '/postgresql.auto.conf')) \
         UNION \
         SELECT concat('setting ', split_part(setting, '=', 1), ' of ', {OWNER}), substr(setting, strpos(setting, '=') + 1) \
         FROM {STORED} WHERE strpos(setting, $1) > 0 ORDER BY 1"
    );
    let own: Vec<_> = OF_THE_POD.iter().chain(&TLS_FILES).copied().collect();
    let failed = ServerError::query("settings with paths");
    let rows = client.query(&sql, &[&directory, &own]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    let mut named = Vec::new();
    for row in &rows {
        let (by, value) = read(row).map_err(failed)?;
        let paths = paths_below(&value, directory).into_iter();
        named.extend(paths.map(|path| NamedPath { by: by.clone(), path: path.to_owned() }));
    }
    named.extend(commands_with_own_files(client).await?);
    Ok(named)
}

/// The commands in effect that name existing files relative to the data directory, where the server runs them.
async fn commands_with_own_files(client: &Client) -> Result<Vec<NamedPath>, ServerError> {
    let settings = ServerSettings::read(client).await?;
    let mut named = Vec::new();
    for (setting, command) in settings.commands().into_iter().filter(|(it, _)| RUN_BY_A_PRIMARY.contains(it))
    {
        let files: Vec<_> = relative_files(command).into_iter().map(ToOwned::to_owned).collect();
        let existing = existing_files(client, &files).await?.into_iter();
        named.extend(existing.map(|path| NamedPath { by: format!("setting {setting}"), path }));
    }
    Ok(named)
}

/// Those of the files and directories that exist in the server's pod; relative ones in its data directory.
pub async fn existing_files(client: &Client, paths: &[String]) -> Result<Vec<String>, ServerError> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT DISTINCT f.path FROM unnest($1::text[]) AS f (path) \
               WHERE (pg_stat_file(f.path, true)).size IS NOT NULL ORDER BY 1";
    strings_with(client, "files of the server", sql, &[&paths]).await
}
