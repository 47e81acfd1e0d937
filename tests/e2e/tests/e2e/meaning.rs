//! What means something else in the target version is noted before the outage, with the objects and what to do.

use anyhow::{Context, ensure};
use pgops_api::names;
use pgops_e2e::with_namespace;

const ROLES: &str =
    "CREATE ROLE manager CREATEROLE LOGIN; CREATE ROLE team; GRANT team TO manager; CREATE ROLE helper;
    GRANT manager TO helper; SET ROLE manager; CREATE ROLE \"the clerk\"; RESET ROLE";
/// A function that 15 hides, a name that 16 reserves, bodies that 15 rejects, some that name what 14 to 17 removed or changed, and one
/// that an index calls and that finds its table by the search path.
const OBJECTS: &str =
    "CREATE FUNCTION regexp_like(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT $1 ~* $2';
    CREATE TABLE system_user (id int);
    CREATE FUNCTION page() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 LIMIT 10OFFSET 3; END $$;
    CREATE FUNCTION third() RETURNS int LANGUAGE sql AS 'SELECT 1 LIMIT 1OFFSET 2';
    CREATE FUNCTION written() RETURNS bigint LANGUAGE sql AS $$
        SELECT b.buffers_backend FROM pg_stat_bgwriter b WHERE current_setting('lc_ctype') <> 'C' $$;
    CREATE FUNCTION within(box, box) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN $1 @ $2; END $$;
    CREATE FUNCTION hour_of(day date) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RETURN EXTRACT(hour FROM day); END $$;
    CREATE FUNCTION lines() RETURNS refcursor LANGUAGE plpgsql AS
        $$ DECLARE c CURSOR (p numeric(5,2)) FOR SELECT p; BEGIN OPEN c(1); RETURN c; END $$;
    CREATE FUNCTION blocks() RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN PERFORM blk_read_time FROM pg_stat_statements; END $$;
    CREATE FUNCTION targets() RETURNS bigint LANGUAGE sql AS
        'SELECT count(*) FROM pg_attribute WHERE attstattarget <> -1';
    CREATE FUNCTION slug(text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace($1, '[^\\w-_]', '', 'g') $$;
    CREATE VIEW agent AS SELECT current_setting('request.header.user-agent', true);
    CREATE FUNCTION minute_of(date) RETURNS float8 LANGUAGE sql AS 'SELECT EXTRACT(minute FROM $1)';
    CREATE FUNCTION backup() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_start_backup('b'); END $$;
    CREATE FUNCTION factor(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
        $$ BEGIN RETURN $1 + (SELECT count(*) FROM system_user); END $$;
    CREATE TABLE items (n int); CREATE INDEX items_factor ON items (factor(n))";
const NOTES: [(&str, &str); 16] = [
    ("hidden-function", "public.regexp_like(text,text) in \"postgres\""),
    ("reserved-word", "public.\"system_user\" in \"postgres\""),
    ("function-body", "public.page()"),
    ("function-body", "public.third()"),
    ("removed-name", "public.backup() (pg_start_backup: pg_backup_start)"),
    ("removed-name", "buffers_backend of pg_stat_bgwriter: pg_stat_io"),
    ("removed-name", "public.written() (lc_ctype: datctype of pg_database, "),
    ("containment-operator", "public.within(box,box)"),
    ("extract-from-date", "public.hour_of(date)"),
    ("extract-from-date", "public.minute_of(date)"),
    ("regular-expression-in-code", "function public.slug(text) in \"postgres\""),
    ("setting-name", "view public.agent in \"postgres\""),
    ("cursor-name", "public.lines()"),
    ("extension-names-17", "public.blocks() (blk_read_time, blk_write_time of pg_stat_statements: "),
    ("statistics-target", "public.targets()"),
    ("maintenance-search-path", "public.factor(integer) (names system_user; used by public.items_factor)"),
];
const MANAGES: &str = "SET SESSION AUTHORIZATION manager; ALTER ROLE \"the clerk\" CONNECTION LIMIT 3;
    GRANT \"the clerk\" TO team; RESET SESSION AUTHORIZATION";

/// Whether `manager` inherits the rights of a role.
const USES: &str =
    "SELECT concat(pg_has_role('manager', 'the clerk', 'USAGE'), pg_has_role('manager', 'team', 'USAGE'))";

#[tokio::test]
async fn changes_of_meaning_are_noted_with_statements_that_work() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("postgres", ROLES).await?;
        orders.sql("postgres", OBJECTS).await?;
        orders.sql("postgres", MANAGES).await?;
        orders.sql("postgres", "REVOKE \"the clerk\" FROM team").await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11").create().await?;
        upgrade.wait_successful().await?;
        for (id, object) in NOTES {
            let note = upgrade.note(id).await?;
            ensure!(note.contains(object), "{object} should be in the note: {note}");
        }

        let note = upgrade.note("createrole").await?;
        let grants = note.find("GRANT ").map(|at| &note[at..]).context("the note has no GRANT")?;
        let expected = "GRANT team TO manager WITH ADMIN OPTION; \
            GRANT \"the clerk\" TO manager WITH ADMIN OPTION, INHERIT FALSE, SET FALSE;";
        ensure!(grants == expected, "the statements are {grants}");
        ensure!(orders.sql("postgres", MANAGES).await.is_err(), "17 does not need the ADMIN OPTION");
        orders.sql("postgres", grants).await?;
        ensure!(orders.value(USES).await? == "ft", "the statements change more than the ADMIN OPTION");
        orders.sql("postgres", MANAGES).await?;
        Ok(())
    })
    .await
}

/// Since 18 the time zone of the session says what an abbreviation means.
#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn changes_of_meaning_include_abbreviations_of_time_zones() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("17.11").ready().await?;
        for statement in [
            "ALTER DATABASE postgres SET timezone = 'Asia/Kolkata'",
            "CREATE TABLE calls (at timestamptz)",
            "CREATE INDEX calls_at ON calls ((at AT TIME ZONE 'IST'))",
            "CREATE FUNCTION call() RETURNS timestamptz LANGUAGE plpgsql AS
                $$ BEGIN RETURN current_date || ' 10:00 IST'; END $$",
        ] {
            orders.sql("postgres", statement).await?;
        }
        let dry = ns.upgrade("orders-18").database("orders").to("18.6");
        let dry = dry.annotation(names::ANNOTATION_DRY_RUN, "true").create().await?;
        dry.wait_successful().await?;
        let note = dry.note("time-zone-abbreviation").await?;
        for part in [
            "IST with TimeZone Asia/Kolkata of database postgres (+02:00 before, +05:30 then)",
            "index public.calls_at in \"postgres\"",
            "function public.call() in \"postgres\"",
        ] {
            ensure!(note.contains(part), "the note should contain {part:?}: {note}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "in make test-all only: its kind has another test"]
async fn rights_of_createrole_are_carried_over_if_the_request_says_so() -> anyhow::Result<()> {
    with_namespace(async |ns| {
        let orders = ns.postgres("orders").version("13.16").ready().await?;
        orders.sql("postgres", ROLES).await?;
        let upgrade = ns.upgrade("orders-17").database("orders").to("17.11");
        let upgrade = upgrade.annotation(names::ANNOTATION_CREATEROLE_GRANTS, "carry").create().await?;
        upgrade.wait_successful().await?;
        ensure!(orders.value(USES).await? == "ft", "more is carried over than the ADMIN OPTION");
        orders.sql("postgres", MANAGES).await?;
        let of_reserved =
            "SELECT count(*) FROM pg_auth_members WHERE member = 'manager'::regrole AND roleid < 16384";
        ensure!(orders.value(of_reserved).await? == "0", "manager got reserved roles");
        let note = upgrade.note("createrole").await?;
        ensure!(note.contains("these are run before clients can connect"), "{note}");
        let report = upgrade.report("report").await?;
        ensure!(!report.contains("(memberships)"), "the grants are taken for a loss:\n{report}");
        Ok(())
    })
    .await
}
