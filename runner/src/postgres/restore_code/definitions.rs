//! Definitions in the serving database that use functions of roles without superuser rights.

use std::fmt;

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings, texts};

/// A function of a role without superuser rights that definitions use.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CodeInDefinitions {
    pub database: String,
    /// Qualified name with arguments.
    pub function: String,
    pub owner: String,
    /// Number of definitions that use it.
    pub uses: u64,
    /// The first of them.
    pub objects: Vec<String>,
    /// Whether a partition key is among them.
    pub in_partition_key: bool,
}

impl CodeInDefinitions {
    /// Whether reading the schema calls it: up to 12 the server simplifies a partition key whenever it opens the table,
    /// as `pg_dump` does with the superuser's rights (`RelationBuildPartitionKey`; from 13 on only if the key is used).
    #[must_use]
    pub fn runs_in_dump(&self, old_major: u32) -> bool {
        self.in_partition_key && old_major <= 12
    }
}

impl fmt::Display for CodeInDefinitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, function, owner, objects, .. } = self;
        write!(f, "{function} of \"{owner}\" in \"{database}\" (used by {}", objects.join(", "))?;
        let shown = u64::try_from(objects.len()).unwrap_or(u64::MAX);
        match self.uses.saturating_sub(shown) {
            0 => f.write_str(")"),
            more => write!(f, " and {more} more)"),
        }
    }
}

/// What the query begins with: any function of a role without superuser rights.
const ANY_FUNCTION: &str =
    "SELECT p.oid::text FROM pg_proc p JOIN pg_authid o ON o.oid = p.proowner WHERE NOT o.rolsuper LIMIT 1";

/// Those of the database that `client` is connected to.
pub async fn code_in_definitions(
    client: &Client,
    database: &str,
) -> Result<Vec<CodeInDefinitions>, ServerError> {
    // Most databases have none, and what follows takes long to plan.
    if strings(client, "functions of roles", ANY_FUNCTION).await?.is_empty() {
        return Ok(Vec::new());
    }
    let failed = ServerError::query("functions that definitions use");
    let rows =
        client.query_typed(include_str!("../sql/code_in_definitions.sql"), &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        Ok(CodeInDefinitions {
            database: database.to_owned(),
            function: row.try_get::<_, Lossy>(0)?.0,
            owner: row.try_get::<_, Lossy>(1)?.0,
            uses: u64::try_from(row.try_get::<_, i64>(2)?).unwrap_or(0),
            objects: texts(row, 3)?,
            in_partition_key: row.try_get(4)?,
        })
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(uses: u64, in_partition_key: bool) -> CodeInDefinitions {
        CodeInDefinitions {
            database: "shop".into(),
            function: "s.key(integer)".into(),
            owner: "tenant".into(),
            uses,
            objects: vec!["table s.t".into(), "index s.i".into()],
            in_partition_key,
        }
    }

    #[test]
    fn code_in_definitions_names_the_first_objects_and_counts_the_others() {
        let text = |uses| code(uses, false).to_string();
        assert_eq!(text(2), "s.key(integer) of \"tenant\" in \"shop\" (used by table s.t, index s.i)");
        assert!(text(100).ends_with("index s.i and 98 more)"), "{}", text(100));
    }

    /// Otherwise it would not be run where it finds something.
    #[test]
    fn query_begins_with_the_functions_that_are_looked_for_first() {
        let sql = include_str!("../sql/code_in_definitions.sql");
        let (_, beginning) = sql.split_once("WITH RECURSIVE code").unwrap();
        let (beginning, _) = beginning.split_once("UNION").unwrap();
        for part in ["pg_proc p", "JOIN pg_authid o ON o.oid = p.proowner", "WHERE NOT o.rolsuper"] {
            assert!(beginning.contains(part) && ANY_FUNCTION.contains(part), "{part}");
        }
    }

    #[test]
    fn code_of_a_partition_key_runs_in_the_dump_of_versions_up_to_12() {
        assert!(code(1, true).runs_in_dump(12));
        assert!(!code(1, true).runs_in_dump(13) && !code(1, false).runs_in_dump(12));
    }
}
