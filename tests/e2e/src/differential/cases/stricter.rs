//! What `pg_upgrade` passes and the preflight refuses, because something would be lost or would not start.

use crate::differential::case::Case;

pub(super) const CASES: &[Case] = &[
    Case::stricter(
        "slot",
        "SELECT pg_create_logical_replication_slot('feed', 'pgoutput')",
        &[("logical-slot", "feed (pgoutput in slot)")],
        "the slot would be lost",
    )
    .on(10..=16)
    .undo("SELECT pg_drop_replication_slot('feed')"),
    Case::stricter(
        "reserved role",
        "CREATE ROLE mine; UPDATE pg_authid SET rolname = 'pg_mine' WHERE rolname = 'mine'",
        &[("reserved-role", "pg_mine")],
        "the role would be lost",
    )
    .in_server()
    .undo("UPDATE pg_authid SET rolname = 'mine' WHERE rolname = 'pg_mine'; DROP ROLE mine"),
    Case::stricter(
        "setting of ALTER SYSTEM",
        "ALTER SYSTEM SET operator_precedence_warning = on",
        &[("configuration", "operator_precedence_warning")],
        "the new server would not start with it",
    )
    .in_server()
    .on(10..=13)
    .across(14)
    .undo("ALTER SYSTEM RESET operator_precedence_warning"),
    Case::stricter(
        "setting of ALTER ROLE ALL",
        "ALTER ROLE ALL SET vacuum_cleanup_index_scale_factor = 1",
        &[("removed-setting", "vacuum_cleanup_index_scale_factor")],
        "it could not be set for all roles again",
    )
    .in_server()
    .on(10..=13)
    .across(14)
    .undo("ALTER ROLE ALL RESET vacuum_cleanup_index_scale_factor"),
    Case::stricter(
        "value of ALTER ROLE ALL",
        "ALTER ROLE ALL SET password_encryption = 'on'",
        &[("setting-value", "password_encryption")],
        "it could not be set for all roles again",
    )
    .in_server()
    .on(10..=13)
    .across(14)
    .undo("ALTER ROLE ALL RESET password_encryption"),
    Case::stricter(
        "preloaded library",
        "ALTER SYSTEM SET session_preload_libraries = 'adminpack'",
        &[("preload-library", "adminpack")],
        "no session could start on the new server",
    )
    .in_server()
    .on(15..=16)
    .across(17)
    .undo("ALTER SYSTEM RESET session_preload_libraries"),
    Case::stricter(
        "event trigger of an ordinary role",
        "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
         ALTER FUNCTION f() OWNER TO pg_monitor; CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION f()",
        &[("event-trigger-code", "t (calls public.f() of \"pg_monitor\")")],
        "the DDL of pgops would run the role's code as superuser",
    )
    .on(11..=99)
    .before(17),
    // Debian has the former names in a package of their own since 13, which has 17.
    Case::stricter(
        "time zone",
        "CREATE TABLE t (seen timestamptz, CHECK ((seen AT TIME ZONE 'US/Pacific')::time >= '00:00'))",
        &[(
            "time-zone",
            "\"US/Pacific\" (now \"America/Los_Angeles\") in constraint t_seen_check on table public.t",
        )],
        "rows could not be inserted",
    )
    .on(10..=16)
    .across(17),
    Case::stricter(
        "tablespace within the data",
        "CREATE TABLESPACE within LOCATION '/var/pv/13/spaces'",
        &[("tablespace-within-data", "/var/pv/13/spaces")],
        "it would be deleted with the old data",
    )
    .in_server()
    .on(13..=13)
    .directories(&["13/spaces"])
    .undo("DROP TABLESPACE within"),
];
