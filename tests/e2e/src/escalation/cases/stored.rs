//! What a restore stores without evaluating it.

use super::super::case::Case;

pub(super) const CASES: &[Case] = &[
    Case::noted("check", "constraint c on table s.t", "CREATE TABLE s.t (a int, CONSTRAINT c CHECK (a > s.key(1)))"),
    Case::noted(
        "domain_check",
        "constraint c",
        "CREATE DOMAIN s.d AS int CONSTRAINT c CHECK (VALUE > s.key(1)); CREATE TABLE s.t (a s.d)",
    ),
    Case::noted("column_default", "default value for column a of table s.t", "CREATE TABLE s.t (a int DEFAULT s.key(1))"),
    Case::noted("domain_default", "type s.d", "CREATE DOMAIN s.d AS int DEFAULT s.key(1)"),
    Case::noted("policy", "policy p on table s.t", "CREATE TABLE s.t (a int); CREATE POLICY p ON s.t USING (a > s.key(1))"),
    Case::noted(
        "condition_of_trigger",
        "trigger g on table s.t",
        "CREATE TABLE s.t (a int);
         CREATE FUNCTION s.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER g BEFORE INSERT ON s.t FOR EACH ROW WHEN (NEW.a > s.key(1)) EXECUTE PROCEDURE s.f()",
    ),
    Case::noted(
        "default_of_argument",
        "function s.f(integer)",
        "CREATE FUNCTION s.f(a int DEFAULT s.key(1)) RETURNS int LANGUAGE sql AS 'SELECT a'",
    ),
    Case::noted(
        "aggregate",
        "function s.g(integer)",
        "CREATE FUNCTION s.f(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT s.key($1)';
         CREATE AGGREGATE s.g (int) (SFUNC = s.f, STYPE = int, INITCOND = '1')",
    ),
    Case::noted(
        "range_type",
        "type s.r",
        "CREATE FUNCTION s.f(int, int) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN s.key(1); END';
         CREATE TYPE s.r AS RANGE (SUBTYPE = int, SUBTYPE_DIFF = s.f);
         CREATE TABLE s.t (a s.r DEFAULT '[1,3)'); CREATE INDEX ON s.t USING gist (a)",
    ),
    Case::noted(
        "event_trigger",
        "event trigger e",
        "CREATE FUNCTION s.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END'",
    )
    .after("CREATE EVENT TRIGGER e ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE PROCEDURE s.f()"),
    Case::noted(
        "extension",
        "default value for column a of table s.t",
        "CREATE EXTENSION citext SCHEMA s; CREATE TABLE s.t (a s.citext DEFAULT s.key(1)::text::s.citext)",
    )
    .on(13..=99),
    // Sessions must not resolve the role's functions instead of the server's.
    Case::noted(
        "search_path",
        "operator s.=(name,text)",
        "CREATE FUNCTION s.format(text, name, name) RETURNS text LANGUAGE plpgsql AS
            'BEGIN PERFORM s.key(1); RETURN $1; END';
         CREATE FUNCTION s.set_config(text, text, bool) RETURNS text LANGUAGE plpgsql AS
            'BEGIN PERFORM s.key(1); RETURN $1; END';
         CREATE FUNCTION s.eq(name, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN PERFORM s.key(1); RETURN true; END';
         CREATE OPERATOR s.= (LEFTARG = name, RIGHTARG = text, PROCEDURE = s.eq)",
    )
    .after("ALTER DATABASE ROLE_NAME SET search_path = s, pg_catalog"),
    Case::silent("preload", "CREATE VIEW s.v AS SELECT s.key(1) AS a")
        .after("ALTER ROLE ROLE_NAME SET session_preload_libraries = 'auto_explain'"),
    Case::silent(
        "rule",
        "CREATE TABLE s.t (a int); CREATE RULE r AS ON UPDATE TO s.t WHERE NEW.a > s.key(1) DO INSTEAD NOTHING",
    ),
    // Carrying the planner's statistics would read the most common values of the domain.
    Case::noted(
        "statistics_of_domain",
        "constraint d_check",
        "CREATE DOMAIN s.d AS int CHECK (s.key(VALUE) >= 0);
         CREATE TABLE s.t (a s.d); INSERT INTO s.t SELECT 1 FROM pg_catalog.generate_series(1, 100); ANALYZE s.t",
    ),
    // Ordinary definitions.
    Case::noted(
        "functions_of_columns",
        "index s.t_a",
        "CREATE TABLE s.t (a int, b int, CONSTRAINT c CHECK (s.key(a) >= 0));
         CREATE INDEX t_a ON s.t ((s.key(a) + s.key(b))) WHERE a > s.key(b)",
    ),
    Case::noted(
        "generated_column_of_columns",
        "column b of table s.t",
        "CREATE TABLE s.t (a int, b int GENERATED ALWAYS AS (a + s.key(a)) STORED)",
    )
    .on(12..=99),
];
