//! With which parameters a server was built. Its data files can be read only by one that was built with the same.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use super::error::ServerError;
use super::query::Lossy;

/// Of a cluster, not of a build. The signedness of characters is carried over by `pg_upgrade`.
const OF_THE_CLUSTER: [&str; 3] =
    ["bytes_per_wal_segment", "data_page_checksum_version", "default_char_signedness"];
/// The version of the system catalogs, which only servers of one major version have in common.
const OF_THE_MAJOR_VERSION: &str = "catalog_version_no";

/// What `pg_control` says of a server's build, by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BuildParameters(BTreeMap<String, String>);

/// Reads it.
pub async fn build_parameters(client: &Client) -> Result<BuildParameters, ServerError> {
    let failed = ServerError::query("the parameters of the server's build");
    let sql = "SELECT key, COALESCE(value, '') FROM jsonb_each_text(to_jsonb(pg_control_init())) \
               UNION ALL SELECT 'catalog_version_no', catalog_version_no::text FROM pg_control_system()";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| Ok((row.try_get::<_, Lossy>(0)?.0, row.try_get::<_, Lossy>(1)?.0));
    rows.iter().map(read).collect::<Result<_, _>>().map(BuildParameters).map_err(failed)
}

/// Whether the other server has to read the system catalogs too, as in a minor upgrade.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Catalogs {
    Same,
    /// It makes its own.
    Own,
}

impl BuildParameters {
    /// The parameters in which another server differs, each with both values. What only one of them knows is left out.
    #[must_use]
    pub fn differences(&self, other: &Self, catalogs: Catalogs) -> Vec<String> {
        let counts = |name: &str| {
            !OF_THE_CLUSTER.contains(&name) && (name != OF_THE_MAJOR_VERSION || catalogs == Catalogs::Same)
        };
        let differences = self.0.iter().filter(|(name, _)| counts(name)).filter_map(|(name, before)| {
            let after = other.0.get(name).filter(|after| *after != before)?;
            Some(format!("{name} ({before} before, {after} then)"))
        });
        differences.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(parameters: &[(&str, &str)]) -> BuildParameters {
        BuildParameters(parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    #[test]
    fn parameters_of_another_build_differ_and_those_of_clusters_do_not() {
        let before = data(&[
            ("blocks_per_segment", "131072"),
            ("bytes_per_wal_segment", "67108864"),
            ("catalog_version_no", "202209061"),
            ("data_page_checksum_version", "0"),
            ("database_block_size", "8192"),
            ("date_time_integer", "true"),
        ]);
        let after = data(&[
            ("blocks_per_segment", "131072"),
            ("bytes_per_wal_segment", "16777216"),
            ("catalog_version_no", "202307071"),
            ("data_page_checksum_version", "1"),
            ("database_block_size", "32768"),
            ("default_char_signedness", "true"),
        ]);
        let block_size = "database_block_size (8192 before, 32768 then)";
        assert_eq!(before.differences(&after, Catalogs::Own), [block_size]);
        let catalogs = "catalog_version_no (202209061 before, 202307071 then)";
        assert_eq!(before.differences(&after, Catalogs::Same), [catalogs, block_size]);
        assert_eq!(before.differences(&before, Catalogs::Same), [""; 0]);
    }
}
