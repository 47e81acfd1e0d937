//! Reads the [`ClusterShape`] of a serving cluster.

use pgops_api::PgVersion;
use tokio_postgres::{Client, Row};

use super::error::ServerError;
use crate::postgres::cluster_shape::{ClusterShape, LocaleProvider};

const WHAT: &str = "the parameters of the cluster";

/// What `initdb` must be told for a new cluster that matches this one.
pub async fn read_shape(client: &Client, version: PgVersion) -> Result<ClusterShape, ServerError> {
    let row = client.query_one(&query(version.major), &[]).await.map_err(ServerError::query(WHAT))?;
    parse(&row)
}

fn query(major: u32) -> String {
    let (provider, locale, rules) = match major {
        ..15 => ("'c'", "NULL", "NULL"),
        15 => ("datlocprovider::text", "daticulocale::text", "NULL"),
        16 => ("datlocprovider::text", "daticulocale::text", "daticurules::text"),
        _ => ("datlocprovider::text", "datlocale::text", "daticurules::text"),
    };
    format!(include_str!("../sql/cluster_shape.sql"), provider = provider, locale = locale, rules = rules)
}

fn parse(row: &Row) -> Result<ClusterShape, ServerError> {
    let failed = ServerError::query(WHAT);
    let text = |column: &str| row.try_get::<_, String>(column).map_err(failed);
    let optional = |column: &str| row.try_get::<_, Option<String>>(column).map_err(failed);
    let wal_segment_size = text("wal_segment_size")?;
    Ok(ClusterShape {
        install_user: text("install_user")?,
        encoding: text("encoding")?,
        collate: text("collate")?,
        ctype: text("ctype")?,
        provider: provider(&text("provider")?, optional("locale")?, optional("rules")?)?,
        wal_segment_bytes: wal_segment_size.parse().map_err(|_| ServerError::Answer {
            what: "the WAL segment size",
            answer: wal_segment_size.clone(),
        })?,
        checksums: text("data_checksums")? == "on",
        lc_others: [text("lc_messages")?, text("lc_monetary")?, text("lc_numeric")?, text("lc_time")?],
    })
}

fn provider(
    code: &str,
    locale: Option<String>,
    rules: Option<String>,
) -> Result<LocaleProvider, ServerError> {
    let locale = locale.unwrap_or_default();
    match code {
        "c" => Ok(LocaleProvider::Libc),
        "i" => Ok(LocaleProvider::Icu { locale, rules }),
        "b" => Ok(LocaleProvider::Builtin { locale }),
        other => Err(ServerError::Answer { what: "the locale provider", answer: other.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_is_one_row_even_without_template0() {
        for major in [13, 15, 16, 17] {
            let query = query(major);
            assert!(
                query.contains("ORDER BY datname <> 'template0'") && query.contains("LIMIT 1"),
                "{query}"
            );
            assert!(!query.contains("WHERE datname"), "{query}");
        }
    }
}
