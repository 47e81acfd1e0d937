//! What `pg_upgrade` by itself refuses and pgops upgrades anyway.

use crate::differential::case::Case;

pub(super) const CASES: &[Case] = &[
    Case::remedied(
        "in no time",
        "CREATE TABLE t AS SELECT 1 AS a;\n\nALTER DATABASE \"in no time\" SET statement_timeout = 1",
        "canceling statement due to statement timeout",
        "pgops' sessions and programs override the timeouts of roles and databases",
    ),
    Case::remedied(
        "logins are rejected",
        "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no entry'; END $$;
         CREATE EVENT TRIGGER t ON login EXECUTE FUNCTION f()",
        "no entry",
        "pgops' sessions and programs run without event triggers",
    )
    .on(17..=99),
];
