//! The versions that a target has of the collations of another server, asked of a scratch server without data of users.

use tokio_postgres::Client;

use super::versions::{CollationInUse, CollationVersion};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{strings, text};
use crate::postgres::client::quote::literal;

/// The same collations with the versions of the scratch server that `client` is connected to. It needs to have none of them: one
/// is created for each locale of ICU, and all locales of the C library have one version.
pub async fn target_versions(
    client: &Client,
    collations: &[CollationVersion],
) -> Result<Vec<CollationVersion>, ServerError> {
    let library = "SELECT max(pg_collation_actual_version(oid)) AS version FROM pg_collation \
                   WHERE collprovider = 'c' HAVING max(pg_collation_actual_version(oid)) IS NOT NULL";
    let library = strings(client, "the version of the C library's collations", library).await?.pop();
    let mut versions = Vec::new();
    for (number, collation) in collations.iter().enumerate() {
        let version = match (collation.provider.as_str(), &collation.version) {
            ("c", Some(_)) => library.clone(),
            ("i", Some(_)) => Some(icu_version(client, number, &collation.locale).await?),
            // Of PostgreSQL itself, which keeps it in a major version; or the library has no version of it, and is asked.
            _ => collation.version.clone(),
        };
        versions.push(CollationVersion { version, ..collation.clone() });
    }
    Ok(versions)
}

async fn icu_version(client: &Client, number: usize, locale: &str) -> Result<String, ServerError> {
    let name = format!("pgops_{number}");
    let create = format!("CREATE COLLATION public.{name} (provider = icu, locale = {})", literal(locale));
    client.batch_execute(&create).await.map_err(ServerError::execute("create a collation"))?;
    let version = format!(
        "SELECT COALESCE(pg_collation_actual_version(oid), '') FROM pg_collation WHERE collname = '{name}'"
    );
    text(client, "the version of a collation", &version).await
}

/// The collations in use in a database, with the versions that the target has of them.
#[must_use]
pub fn with_target_versions(in_use: Vec<CollationInUse>, target: &[CollationVersion]) -> Vec<CollationInUse> {
    let replaced = in_use.into_iter().map(|mut it| {
        let same = |other: &&CollationVersion| {
            other.provider == it.collation.provider && other.locale == it.collation.locale
        };
        if let Some(there) = target.iter().find(same) {
            it.collation.version.clone_from(&there.version);
        }
        it
    });
    replaced.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::answers::question::Locale;
    use crate::postgres::collation::versions::{DEFAULT_COLLATION, changed_collations};

    fn version(version: &str) -> CollationVersion {
        CollationVersion { provider: "c".into(), locale: "de_DE.UTF-8".into(), version: Some(version.into()) }
    }

    #[test]
    fn change_of_the_target_is_a_change_of_what_is_in_use() {
        let before = [version("2.31")];
        let in_use = || {
            let (name, locale) = ("the default of shop".to_owned(), Locale::default());
            vec![CollationInUse { oid: DEFAULT_COLLATION, name, collation: version("2.31"), locale }]
        };
        let changes =
            |target: &str| changed_collations(&before, &with_target_versions(in_use(), &[version(target)]));
        assert!(changes("2.31").is_empty());
        assert_eq!(changes("2.36")[0].to_string(), "the default of shop (2.31 → 2.36)");
    }
}
