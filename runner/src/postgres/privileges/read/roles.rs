//! Reads roles and their memberships by plain columns of their catalogs: these decide who is a superuser, so no function may be
//! called for them.

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use tokio_postgres::Client;

use super::super::snapshot::{Membership, Role};
use crate::digest::digest;
use crate::postgres::client::copy::rows;
use crate::postgres::client::error::ServerError;

const WHAT: &str = "the roles";
/// The catalogs' OIDs, on every server: a table of their name may be another one.
const PG_AUTHID: &str = "1260";
const PG_AUTH_MEMBERS: &str = "1261";

/// Times are written in one way, whatever the session's settings.
const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'";

const ROLES: &str = "SELECT a.tableoid, a.oid, a.rolname, a.rolsuper, a.rolcreaterole, a.rolcreatedb, a.rolreplication, \
                     a.rolbypassrls, a.rolcanlogin, a.rolinherit, a.rolvaliduntil, a.rolpassword FROM pg_catalog.pg_authid a";

/// Roles by their OIDs.
pub type Roles = BTreeMap<String, Role>;

/// The roles of a server.
pub async fn roles(client: &Client) -> Result<Roles, ServerError> {
    client.batch_execute(BEGIN).await.map_err(ServerError::query(WHAT))?;
    let read = rows(client, WHAT, ROLES).await;
    let ended = client.batch_execute("ROLLBACK").await.map_err(ServerError::query(WHAT));
    let roles: Roles = read?.iter().map(|columns| role(columns)).collect::<Result<_, _>>()?;
    ended?;
    // A server has at least the one that initdb created.
    if roles.is_empty() { Err(unexpected(&[])) } else { Ok(roles) }
}

/// The memberships of these roles, on a server of `major`.
pub async fn memberships(client: &Client, major: u32, roles: &Roles) -> Result<Vec<Membership>, ServerError> {
    let read = rows(client, WHAT, &memberships_query(major)).await?;
    read.iter().map(|columns| membership(columns, roles)).collect()
}

fn memberships_query(major: u32) -> String {
    let options = if major >= 16 { ", m.inherit_option, m.set_option" } else { "" };
    format!(
        "SELECT m.tableoid, m.roleid, m.member, m.grantor, m.admin_option{options} FROM pg_catalog.pg_auth_members m"
    )
}

fn role(columns: &[Option<String>]) -> Result<(String, Role), ServerError> {
    let [
        Some(table),
        Some(oid),
        Some(name),
        superuser,
        createrole,
        createdb,
        replication,
        bypassrls,
        login,
        inherit,
        until,
        password,
    ] = columns
    else {
        return Err(unexpected(columns));
    };
    if table != PG_AUTHID {
        return Err(unexpected(columns));
    }
    let role = Role {
        name: name.clone(),
        superuser: is_true(superuser.as_deref()),
        createrole: is_true(createrole.as_deref()),
        createdb: is_true(createdb.as_deref()),
        replication: is_true(replication.as_deref()),
        bypassrls: is_true(bypassrls.as_deref()),
        login: is_true(login.as_deref()),
        inherit: is_true(inherit.as_deref()),
        valid_until: until.as_ref().map(|time| seconds(time)),
        password: password.as_ref().map(|password| digest(password.as_bytes())),
    };
    Ok((oid.clone(), role))
}

fn membership(columns: &[Option<String>], roles: &Roles) -> Result<Membership, ServerError> {
    let [Some(table), Some(role), Some(member), grantor, admin, options @ ..] = columns else {
        return Err(unexpected(columns));
    };
    if table != PG_AUTH_MEMBERS {
        return Err(unexpected(columns));
    }
    // Roles that no longer exist may have left some.
    let name = |oid: &String| roles.get(oid).map_or_else(|| oid.clone(), |role| role.name.clone());
    let (inherit, set) = match options {
        [inherit, set] => (is_true(inherit.as_deref()), is_true(set.as_deref())),
        // Before 16 the member decided about the first, and had the second.
        _ => (roles.get(member).is_some_and(|member| member.inherit), true),
    };
    let grantor = grantor.as_ref().map(name).unwrap_or_default();
    Ok(Membership {
        role: name(role),
        member: name(member),
        grantor,
        admin: is_true(admin.as_deref()),
        inherit,
        set,
    })
}

fn is_true(column: Option<&str>) -> bool {
    column == Some("t")
}

/// A time in seconds since 1970. One that is too far away to be counted is as good as none.
fn seconds(time: &str) -> String {
    let time = time.strip_suffix("+00").and_then(|time| time.parse::<DateTime>().ok());
    let time = time.and_then(|time| time.to_zoned(TimeZone::UTC).ok());
    time.map_or_else(|| "Infinity".to_owned(), |time| time.timestamp().as_second().to_string())
}

fn unexpected(columns: &[Option<String>]) -> ServerError {
    // The password is the last of them.
    let shown = columns.iter().take(3).flatten().cloned().collect::<Vec<_>>();
    ServerError::Answer { what: WHAT, answer: shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::client::copy::Columns;

    fn columns(texts: &[&str]) -> Columns {
        texts.iter().map(|&text| (text != "-").then(|| text.to_owned())).collect()
    }

    const TENANT: [&str; 12] = ["1260", "16384", "tenant", "t", "f", "f", "f", "f", "t", "t", "-", "md5"];

    fn roles() -> Roles {
        let app = ["1260", "16385", "app", "f", "f", "f", "f", "f", "t", "f", "-", "-"];
        [columns(&TENANT), columns(&app)].iter().map(|columns| role(columns).unwrap()).collect()
    }

    #[test]
    fn role_has_its_attributes_and_a_digest_of_its_password() {
        let roles = roles();
        let tenant = &roles["16384"];
        assert!(tenant.superuser && tenant.login && !tenant.createrole);
        assert_eq!(tenant.valid_until, None);
        assert_eq!(tenant.password, Some(digest(b"md5")));
        assert_eq!(roles["16385"].password, None);
    }

    #[test]
    fn role_of_another_table_is_an_error() {
        let mut forged = columns(&TENANT);
        forged[0] = Some("16500".to_owned());
        let error = role(&forged).unwrap_err().to_string();
        assert!(error.contains("16500") && !error.contains("md5"), "{error}");
        assert!(role(&columns(&TENANT[..5])).is_err());
    }

    #[test]
    fn membership_has_names_and_the_options_of_its_version() {
        let roles = roles();
        let before_16 = columns(&["1261", "16384", "16385", "10", "t"]);
        let found = membership(&before_16, &roles).unwrap();
        assert_eq!(
            (found.role.as_str(), found.member.as_str(), found.grantor.as_str()),
            ("tenant", "app", "10")
        );
        assert!(found.admin && !found.inherit && found.set);
        let since_16 = columns(&["1261", "16385", "16384", "16384", "f", "t", "f"]);
        let found = membership(&since_16, &roles).unwrap();
        assert!(!found.admin && found.inherit && !found.set);
        assert!(membership(&columns(&["16500", "16384", "16385", "10", "t"]), &roles).is_err());
    }

    #[test]
    fn memberships_are_read_as_the_version_has_them() {
        assert!(!memberships_query(15).contains("inherit_option"));
        assert!(memberships_query(16).contains("m.inherit_option, m.set_option"));
    }

    #[test]
    fn end_of_a_password_is_in_seconds() {
        assert_eq!(seconds("2025-11-24 16:00:00+00"), "1764000000");
        assert_eq!(seconds("2025-11-24 16:00:00.5+00"), "1764000000");
        assert_eq!(seconds("infinity"), "Infinity");
        assert_eq!(seconds("294276-01-01 00:00:00+00"), "Infinity");
    }
}
