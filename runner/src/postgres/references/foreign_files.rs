//! Files and programs that definitions of a database name by options: foreign tables, foreign servers and their users, subscriptions.

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::server_settings::program;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings_with};

/// Options that name a file. Of others, such as `password`, nothing is read.
const FILES: [&str; 9] = [
    "database",
    "datasource",
    "filename",
    "passfile",
    "sslcert",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslrootcert",
];
/// Those of them that name other things too, unless their value is an absolute path.
const FILES_IF_ABSOLUTE: [&str; 2] = ["database", "datasource"];
/// The option of a command that a shell runs.
const PROGRAM: &str = "program";

/// What an option names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reference {
    /// A path, which is relative to the data directory unless it is absolute.
    File(String),
    /// The program of a command.
    Program(String),
}

/// An option that names a file or a program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ForeignFile {
    /// The option and the object that has it, such as `filename of foreign table public.log`.
    pub by: String,
    pub reference: Reference,
}

/// What a database names.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DatabaseFiles {
    pub files: Vec<ForeignFile>,
    /// Functions whose body names the data directory.
    pub functions: Vec<String>,
}

impl DatabaseFiles {
    /// Reads the database that `client` is connected to, on a server with that data directory.
    pub async fn read(client: &Client, directory: &str) -> Result<Self, ServerError> {
        let failed = ServerError::query("files that options name");
        let options: Vec<_> = FILES.into_iter().chain([PROGRAM]).collect();
        // Of a connection only paths are read, as it may hold a password.
        let sql = "SELECT o.option_name, o.object, o.option_value FROM ( \
                     SELECT concat('foreign table ', t.ftrelid::regclass) AS object, f.* \
                     FROM pg_foreign_table t CROSS JOIN pg_options_to_table(t.ftoptions) AS f \
                     UNION ALL SELECT concat('server ', quote_ident(s.srvname)), f.* \
                     FROM pg_foreign_server s CROSS JOIN pg_options_to_table(s.srvoptions) AS f \
                     UNION ALL SELECT concat('user mapping of ', COALESCE(quote_ident(r.rolname), 'PUBLIC'), ' for server ', \
                       quote_ident(s.srvname)), f.* \
                     FROM pg_user_mapping m JOIN pg_foreign_server s ON s.oid = m.umserver LEFT JOIN pg_roles r ON r.oid = m.umuser \
                     CROSS JOIN pg_options_to_table(m.umoptions) AS f \
                     UNION ALL SELECT concat('subscription ', quote_ident(s.subname)), w[1], w[2] \
                     FROM pg_subscription s CROSS JOIN regexp_matches(s.subconninfo, \
                       '\\m(passfile|sslcert|sslcrl|sslcrldir|sslkey|sslrootcert)\\s*=\\s*''?([^[:space:]''&]+)', 'g') AS w \
                     WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
                   ) AS o WHERE o.option_name = ANY ($1) ORDER BY o.object, o.option_name";
        let rows = client.query(sql, &[&options as &(dyn ToSql + Sync)]).await.map_err(failed)?;
        let files: Result<Vec<_>, _> = rows.iter().map(foreign_file).collect();
        let functions = "SELECT p.oid::regprocedure::text FROM pg_proc p \
                         JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal') \
                         WHERE p.oid >= 16384 AND strpos(p.prosrc, concat($1::text, '/')) > 0 ORDER BY 1";
        Ok(Self {
            files: files.map_err(failed)?.into_iter().flatten().collect(),
            functions: strings_with(client, "functions with paths", functions, &[&directory]).await?,
        })
    }
}

fn foreign_file(row: &Row) -> Result<Option<ForeignFile>, tokio_postgres::Error> {
    let text = |column: usize| Ok::<_, tokio_postgres::Error>(row.try_get::<_, Lossy>(column)?.0);
    let (option, object) = (text(0)?, text(1)?);
    let value = row.try_get::<_, Option<Lossy>>(2)?.map(|value| value.0).unwrap_or_default();
    Ok(reference(&option, &value)
        .map(|reference| ForeignFile { by: format!("{option} of {object}"), reference }))
}

fn reference(option: &str, value: &str) -> Option<Reference> {
    if option == PROGRAM {
        return program(value).map(|program| Reference::Program(program.to_owned()));
    }
    let may_be_relative = !FILES_IF_ABSOLUTE.contains(&option);
    let is_file = FILES.contains(&option) && (may_be_relative || value.starts_with('/'));
    // `sslrootcert=system` is the trust of the operating system.
    (is_file && !["", "system"].contains(&value)).then(|| Reference::File(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case::relative("filename", "log/x.csv", Some(Reference::File("log/x.csv".into())))]
    #[case::absolute("datasource", "/data/x.gpkg", Some(Reference::File("/data/x.gpkg".into())))]
    #[case::connection("datasource", "PG:dbname=x password=y", None)]
    #[case::name("database", "shop", None)]
    #[case::program("program", "PASSWORD=x /opt/report --now", Some(Reference::Program("/opt/report".into())))]
    #[case::secret("password", "/x", None)]
    #[case::nothing("sslkey", "", None)]
    #[case::no_file("sslrootcert", "system", None)]
    fn option_names_a_file_or_a_program(
        #[case] option: &str,
        #[case] value: &str,
        #[case] expected: Option<Reference>,
    ) {
        assert_eq!(reference(option, value), expected);
    }
}
