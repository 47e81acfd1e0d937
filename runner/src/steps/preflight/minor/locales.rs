//! Locales of the C library that the image lacks: a database whose locale does not exist rejects every connection, and a collation
//! whose locale does not exist fails whenever it is used. In a major upgrade the rehearsal finds them.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use crate::postgres::client::database_error::DatabaseError;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;
use crate::postgres::client::quote::literal;
use crate::postgres::collation::versions::CollationVersion;
use crate::postgres::program::reported_error::ReportedError;
use crate::upgrade::{Finding, shortened};

/// Locales, each with what uses it.
type Used = BTreeMap<String, Vec<String>>;

/// The finding; `scratch` is connected to the target's scratch server, `collations` are those that the databases use, if they
/// are known.
pub async fn findings(
    serving: &Client,
    scratch: &Client,
    collations: Option<&[CollationVersion]>,
) -> Result<Option<Finding>, ServerError> {
    let mut used = of_databases(serving).await?;
    add_collations(&mut used, collations.unwrap_or_default());
    let mut missing = Vec::new();
    for (number, (locale, by)) in used.iter().enumerate() {
        if let Some(refusal) = refusal(scratch, number, locale).await? {
            missing.push(format!("\"{locale}\" of {} ({refusal})", shortened(by)));
        }
    }
    Ok(finding(&missing))
}

async fn of_databases(serving: &Client) -> Result<Used, ServerError> {
    let failed = ServerError::query("the locales of databases");
    let sql = "SELECT DISTINCT locale, datname::text FROM pg_database, \
               unnest(ARRAY[datcollate::text, datctype::text]) AS locale ORDER BY 1, 2";
    let rows = serving.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    let mut used = Used::new();
    for row in &rows {
        let (locale, database) = read(row).map_err(failed)?;
        used.entry(locale).or_default().push(format!("database \"{database}\""));
    }
    Ok(used)
}

fn add_collations(used: &mut Used, collations: &[CollationVersion]) {
    for collation in collations.iter().filter(|collation| collation.provider == "c") {
        used.entry(collation.locale.clone()).or_insert_with(|| vec!["collations in use".to_owned()]);
    }
}

/// Why the server cannot use a locale because it does not exist. One for another encoding than the scratch database's exists.
async fn refusal(scratch: &Client, number: usize, locale: &str) -> Result<Option<String>, ServerError> {
    let create = format!(
        "BEGIN; CREATE COLLATION public.pgops_locale_{number} (provider = libc, locale = {})",
        literal(locale)
    );
    let created = scratch.batch_execute(&create).await;
    scratch.batch_execute("ROLLBACK").await.map_err(ServerError::execute("roll a collation back"))?;
    let Err(error) = created else { return Ok(None) };
    let Some(reported) = error.as_db_error() else {
        return Err(ServerError::execute("create a collation")(error));
    };
    let is_missing =
        ReportedError { message: reported.message().to_owned(), statement: None }.is_missing_locale();
    Ok(is_missing.then(|| DatabaseError::from(error).to_string()))
}

fn finding(missing: &[String]) -> Option<Finding> {
    (!missing.is_empty()).then(|| {
        let text = format!(
            "the target image lacks locales: databases with them would reject every connection, and collations fail when they are \
             used; use an image that has them (localedef, or the package locales-all): {}",
            shortened(missing)
        );
        Finding::new("locale", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_locale_blocks_and_names_what_uses_it() {
        assert_eq!(finding(&[]), None);
        let found = finding(&["\"de_DE.utf8\" of database \"shop\" (ERROR)".to_owned()]).unwrap();
        assert!(
            found.blocks() && found.text.ends_with("\"de_DE.utf8\" of database \"shop\" (ERROR)"),
            "{found}"
        );
    }

    #[test]
    fn locale_of_a_database_is_asked_for_once() {
        let version = |provider: &str, locale: &str| CollationVersion {
            provider: provider.into(),
            locale: locale.into(),
            version: None,
        };
        let mut used = Used::from([("C".to_owned(), vec!["database \"shop\"".to_owned()])]);
        add_collations(&mut used, &[version("c", "C"), version("c", "de_DE"), version("i", "sv")]);
        assert_eq!(used.keys().collect::<Vec<_>>(), ["C", "de_DE"]);
        assert_eq!(used["C"], ["database \"shop\""]);
    }
}
