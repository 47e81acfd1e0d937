use super::*;

fn read(output: &str) -> RestoreErrors {
    let mut reader = ErrorReader::default();
    output.lines().for_each(|line| reader.line(line));
    reader.finish()
}

fn messages(errors: &RestoreErrors) -> Vec<&str> {
    errors.errors.iter().map(|error| error.error.message.as_str()).collect()
}

/// As `pg_restore --verbose` prints it without `--exit-on-error`.
const OUTPUT: &str = r#"pg_restore: connecting to new database "shop"
pg_restore: creating VIEW "public.written"
pg_restore: while PROCESSING TOC:
pg_restore: from TOC entry 219; 1259 16391 VIEW written postgres
pg_restore: error: could not execute query: ERROR:  column b.buffers_backend does not exist
LINE 14:  SELECT buffers_backend
                 ^
Command was: 
-- For binary upgrade, must preserve pg_type oid
SELECT pg_catalog.binary_upgrade_set_next_pg_type_oid('16393'::pg_catalog.oid);

CREATE VIEW "public"."written" AS
 SELECT buffers_backend FROM pg_stat_bgwriter b WHERE 'pg_restore' <> '
pg_restore: of a user';


pg_restore: error: could not execute query: ERROR:  relation "public.written" does not exist
Command was: ALTER VIEW "public"."written" OWNER TO "app";


pg_restore: creating VIEW "public.twice"
pg_restore: from TOC entry 220; 1259 16395 VIEW twice postgres
pg_restore: error: could not execute query: ERROR:  relation "public.written" does not exist
LINE 3:   FROM "public"."written";
Command was: CREATE VIEW "public"."twice" AS
 SELECT 1 FROM "public"."written";


pg_restore: from TOC entry 3420; 0 0 COMMENT VIEW "twice" postgres
pg_restore: error: could not execute query: ERROR:  relation "public.twice" does not exist
Command was: COMMENT ON VIEW "public"."twice" IS 'twice';


pg_restore: from TOC entry 221; 1255 16400 FUNCTION calls(integer) postgres
pg_restore: error: could not execute query: ERROR:  function public.gone(integer) does not exist
Command was: CREATE FUNCTION "public"."calls"("a" integer) RETURNS integer
    LANGUAGE "sql"
    RETURN "public"."gone"("a");


pg_restore: from TOC entry 222; 2617 16410 OPERATOR < postgres
pg_restore: error: could not execute query: ERROR:  negator operator >= is already the negator of operator >
Command was: CREATE OPERATOR "public".< (
    FUNCTION = "public"."version_lt",
    LEFTARG = "public"."version",
    RIGHTARG = "public"."version",
    COMMUTATOR = OPERATOR("public".>)
);

-- For binary upgrade, handle extension membership the hard way
ALTER EXTENSION "debversion" ADD OPERATOR "public".< ("public"."version", "public"."version");


pg_restore: from TOC entry 223; 2616 16412 OPERATOR CLASS version_ops postgres
pg_restore: error: could not execute query: ERROR:  operator does not exist: public.version public.< public.version
Command was: CREATE OPERATOR CLASS "public"."version_ops"
    DEFAULT FOR TYPE "public"."version" USING "btree" AS
    OPERATOR 1 "public".<("public"."version","public"."version");


pg_restore: warning: errors ignored on restore: 7
"#;

#[test]
fn restore_errors_are_all_reported_without_their_consequences() {
    let errors = read(OUTPUT);
    assert_eq!(
        messages(&errors),
        [
            "column b.buffers_backend does not exist",
            "function public.gone(integer) does not exist",
            "negator operator >= is already the negator of operator >",
        ]
    );
    assert_eq!(errors.more, 0);
}

#[test]
fn restore_error_has_the_object_of_the_source_and_its_statement() {
    let errors = read(OUTPUT).errors;
    assert_eq!(errors[0].source, Some(CatalogId { class: 1259, oid: 16391 }));
    assert_eq!(errors[0].error.statement.as_deref(), Some("CREATE VIEW \"public\".\"written\" AS"));
    assert_eq!(errors[0].object.as_ref().unwrap().to_string(), "view public.written");
    assert_eq!(
        errors[2].error.statement.as_deref(),
        Some(
            "CREATE OPERATOR \"public\".< (LEFTARG = \"public\".\"version\", RIGHTARG = \"public\".\"version\")"
        )
    );
}

/// The output of `pg_restore` 15 for a schema that uses a function `zz` which the target lacks, without the names of most
/// objects that it has created and without blank lines: of 31 errors five have a cause of their own.
#[test]
fn restore_errors_of_a_schema_are_those_with_a_cause_of_their_own() {
    let output = include_str!("fixtures/pg_restore-15.txt");
    assert_eq!(output.lines().filter(|line| line.starts_with("pg_restore: error:")).count(), 31);
    let errors = read(output);
    let objects = errors.errors.iter().map(|error| error.object.as_ref().unwrap().to_string());
    assert_eq!(
        objects.collect::<Vec<_>>(),
        ["table public.t", "domain public.dd", "view public.v0", "table public.idt", "view public.ofext"]
    );
    assert!(messages(&errors).iter().all(|message| *message == "function zz() does not exist"), "{errors:?}");
}

#[test]
fn restore_error_of_a_grant_has_no_object_of_the_source() {
    let errors = read(
        "pg_restore: while PROCESSING TOC:\n\
         pg_restore: from TOC entry 3421; 0 0 ACL FUNCTION \"pg_start_backup\" postgres\n\
         pg_restore: error: could not execute query: ERROR:  function pg_catalog.pg_start_backup(text) does not exist\n\
         Command was: GRANT ALL ON FUNCTION \"pg_catalog\".\"pg_start_backup\"(\"label\" \"text\") TO \"pg_monitor\";\n",
    );
    assert_eq!(messages(&errors), ["function pg_catalog.pg_start_backup(text) does not exist"]);
    assert_eq!((errors.errors[0].source, errors.errors[0].object.as_ref()), (None, None));
}

#[test]
fn restore_without_its_database_has_one_error() {
    let errors = read(
        "pg_restore: while PROCESSING TOC:\n\
         pg_restore: from TOC entry 3400; 1262 16384 DATABASE shop postgres\n\
         pg_restore: error: could not execute query: ERROR:  invalid LC_COLLATE locale name: \"xx_YY\"\n\
         Command was: CREATE DATABASE \"shop\" WITH TEMPLATE = template0;\n\
         pg_restore: error: connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: FATAL:  database \"shop\" does not exist\n",
    );
    assert_eq!(messages(&errors), ["invalid LC_COLLATE locale name: \"xx_YY\""]);
}

#[test]
fn restore_that_loses_its_connection_has_no_errors_after_that() {
    let lost = "pg_restore: error: could not execute query: server closed the connection unexpectedly\n\tThis probably means\nCommand was: SELECT 1;\n";
    let later = "pg_restore: from TOC entry 5; 1259 5 TABLE t postgres\npg_restore: error: could not execute query: no connection to the server\n";
    let errors =
        read(&format!("pg_restore: from TOC entry 4; 1259 4 TABLE s postgres\n{lost}{later}{later}"));
    assert_eq!(errors.errors.len(), 1, "{errors:?}");
}

#[test]
fn restore_errors_of_psql_are_all_reported_without_their_consequences() {
    let errors = read(
        "psql:/tmp/globals.sql:20: ERROR:  role name \"pg_x\" is reserved\n\
         DETAIL:  Role names starting with \"pg_\" are reserved.\n\
         psql:/tmp/globals.sql:20: STATEMENT:  CREATE ROLE \"pg_x\";\n\
         psql:/tmp/globals.sql:21: ERROR:  role \"pg_x\" does not exist\n\
         psql:/tmp/globals.sql:21: STATEMENT:  ALTER ROLE \"pg_x\" WITH LOGIN PASSWORD 'hunter2';\n\
         psql:/tmp/globals.sql:40: ERROR:  unrecognized configuration parameter \"gone\"\n\
         STATEMENT:  ALTER ROLE \"a\" SET \"gone\" TO 'on';\n",
    );
    let messages = messages(&errors);
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].contains("is reserved") && messages[1].contains("unrecognized"), "{messages:?}");
    assert!(!format!("{errors:?}").contains("hunter2"));
}

#[test]
fn restore_errors_have_no_values_of_users() {
    let errors = read(
        "pg_restore: from TOC entry 4; 1259 4 INDEX i postgres\n\
         pg_restore: error: could not execute query: ERROR:  invalid input syntax for type integer: \"hunter2\"\n\
         DETAIL:  Key (a)=(hunter2) is duplicated.\n\
         Command was: CREATE INDEX \"i\" ON \"public\".\"t\" (\"a\") WHERE \"a\" <> 'hunter2';\n",
    );
    assert_eq!(errors.errors.len(), 1);
    assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
}

#[test]
fn restore_errors_are_bounded_and_the_others_counted() {
    let mut reader = ErrorReader::default();
    let long = "x".repeat(60_000);
    for number in 0..MAX_ERRORS + 100 {
        reader.line(&format!("pg_restore: from TOC entry {number}; 1259 {number} VIEW v{number} postgres"));
        reader.line("pg_restore: error: could not execute query: ERROR:  column \"a\" does not exist");
        reader.line(&format!("Command was: CREATE VIEW \"public\".\"v{number}\" AS"));
        if number % 1000 == 0 {
            (0..100).for_each(|_| reader.line(&long));
            let held = reader.unfinished.as_ref().unwrap();
            assert!(held.lines.len() <= MAX_LINES && held.lines.iter().all(|line| line.len() <= MAX_LINE));
        }
    }
    let errors = reader.finish();
    assert_eq!((errors.errors.len(), errors.more), (MAX_ERRORS, 100));
}

#[test]
fn restore_without_errors_has_none() {
    assert!(read("pg_restore: while PROCESSING TOC:\npg_restore: creating TABLE \"public.t\"\n").is_empty());
    assert!(read("").is_empty());
}

#[test]
fn restore_error_with_a_long_message_of_a_users_code_is_hidden() {
    let output = format!(
        "pg_restore: error: could not execute query: ERROR:  hunter2\n{}\
         CONTEXT:  PL/pgSQL function f() line 1 at RAISE\nCommand was: CREATE TABLE t ();\n",
        "hunter2\n".repeat(MAX_LINES)
    );
    assert_eq!(
        messages(&read(&output)),
        ["raised by PL/pgSQL function f() line 1 at RAISE; its text is not shown"]
    );
}
