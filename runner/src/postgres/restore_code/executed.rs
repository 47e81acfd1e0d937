//! Which functions a restore into the scratch server has called: that server counts the calls (`track_functions = all`).
//!
//! Which functions are trusted is read from the serving database. Code that ran as superuser in the scratch server may have
//! changed everything there: it can hide its calls, but it cannot make itself trusted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, count, texts};

const WHAT: &str = "the functions that a restore has called";

/// Sessions in the current database apart from this one. A session reports its counts before it leaves the list.
const OTHER_SESSIONS: &str = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() \
     AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
/// How long to wait for the restore's session: code that it has run may have opened others, which stay.
const SESSIONS_TIMEOUT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Before 15 a process collects the counts, and gives out those of half a second ago (`PGSTAT_STAT_INTERVAL`).
const COLLECTOR_DELAY: Duration = Duration::from_millis(600);

/// A function that was called.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Call {
    /// Qualified name with arguments.
    function: String,
    /// The first objects whose definitions use it.
    objects: Vec<String>,
}

/// Owner of a function in the serving database.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Owner {
    name: String,
    is_superuser: bool,
}

/// A function that restoring a database calls, and whose owner is not a superuser.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UntrustedCall {
    pub database: String,
    /// Qualified name with arguments.
    pub function: String,
    /// `None` if the serving database has no such function.
    pub owner: Option<String>,
    /// The first objects whose definitions use it; none if another function calls it.
    pub objects: Vec<String>,
}

impl fmt::Display for UntrustedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { database, function, objects, .. } = self;
        let owner = self.owner.as_ref().map_or_else(String::new, |owner| format!(" of \"{owner}\""));
        let users = if objects.is_empty() { "another function".to_owned() } else { objects.join(", ") };
        write!(f, "{function}{owner} in \"{database}\" (used by {users})")
    }
}

/// The functions that restoring `database` has called without being a superuser's; `restored` is connected to it on the
/// scratch server of `major`, `source` on the serving one. The program that restores it must have ended.
pub async fn untrusted_calls(
    restored: &Client,
    major: u32,
    source: &Client,
    database: &str,
) -> Result<Vec<UntrustedCall>, ServerError> {
    wait_for_counts(restored, major).await?;
    let calls = calls(restored).await?;
    if calls.is_empty() {
        return Ok(Vec::new());
    }
    let functions: Vec<_> = calls.iter().map(|call| call.function.clone()).collect();
    Ok(untrusted(database, calls, &owners(source, &functions).await?))
}

/// Waits until the session of the restore, which ends a moment after its program, has reported what it counted.
async fn wait_for_counts(restored: &Client, major: u32) -> Result<(), ServerError> {
    let end = Instant::now() + SESSIONS_TIMEOUT;
    while count(restored, "the sessions of a restore", OTHER_SESSIONS).await? > 0 && Instant::now() < end {
        tokio::time::sleep(POLL_INTERVAL).await;
    }
    if major < 15 {
        tokio::time::sleep(COLLECTOR_DELAY).await;
    }
    Ok(())
}

async fn calls(restored: &Client) -> Result<Vec<Call>, ServerError> {
    let failed = ServerError::query(WHAT);
    let rows =
        restored.query_typed(include_str!("../sql/executed_functions.sql"), &[]).await.map_err(failed)?;
    let call = |row: &Row| Ok(Call { function: row.try_get::<_, Lossy>(0)?.0, objects: texts(row, 1)? });
    rows.iter().map(call).collect::<Result<_, _>>().map_err(failed)
}

async fn owners(source: &Client, functions: &[String]) -> Result<BTreeMap<String, Owner>, ServerError> {
    let failed = ServerError::query("the owners of functions");
    let rows =
        source.query(include_str!("../sql/function_owners.sql"), &[&functions]).await.map_err(failed)?;
    let owner = |row: &Row| {
        let name = row.try_get::<_, Lossy>(1)?.0;
        Ok((row.try_get::<_, Lossy>(0)?.0, Owner { name, is_superuser: row.try_get(2)? }))
    };
    rows.iter().map(owner).collect::<Result<_, _>>().map_err(failed)
}

fn untrusted(database: &str, calls: Vec<Call>, owners: &BTreeMap<String, Owner>) -> Vec<UntrustedCall> {
    let untrusted = calls.into_iter().filter_map(|Call { function, objects }| {
        let owner = owners.get(&function);
        let trusted = owner.is_some_and(|owner| owner.is_superuser);
        (!trusted).then(|| UntrustedCall {
            database: database.to_owned(),
            owner: owner.map(|owner| owner.name.clone()),
            function,
            objects,
        })
    });
    untrusted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(function: &str, objects: &[&str]) -> Call {
        Call { function: function.into(), objects: objects.iter().map(|&object| object.to_owned()).collect() }
    }

    fn owners() -> BTreeMap<String, Owner> {
        let owner = |name: &str, is_superuser| Owner { name: name.into(), is_superuser };
        [
            ("s.key(integer)".to_owned(), owner("tenant", false)),
            ("public.st_x(geometry)".to_owned(), owner("postgres", true)),
        ]
        .into()
    }

    #[test]
    fn untrusted_call_is_named_with_owner_and_objects() {
        let calls = vec![call("s.key(integer)", &["table s.t"]), call("public.st_x(geometry)", &[])];
        let found: Vec<_> = untrusted("shop", calls, &owners()).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["s.key(integer) of \"tenant\" in \"shop\" (used by table s.t)"]);
    }

    #[test]
    fn untrusted_call_may_be_of_a_function_that_the_source_lacks() {
        let found = untrusted("shop", vec![call("pg_catalog.planted()", &[])], &owners());
        assert_eq!(found[0].to_string(), "pg_catalog.planted() in \"shop\" (used by another function)");
    }
}
