//! All attacks. Row filters of publications are missing: the server rejects user-defined functions, operators and types in
//! them.

use super::case::Case;

/// All attacks.
pub const CASES: &[Case] = &[
    // The server simplifies these as superuser.
    Case::escalates("partition_key", "table s.t", "CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + s.key(1)))"),
    Case::escalates(
        "partition_key_by_operator",
        "operator s.@+(integer,integer)",
        "CREATE FUNCTION s.plus(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + s.key($2)';
         CREATE OPERATOR s.@+ (LEFTARG = int, RIGHTARG = int, PROCEDURE = s.plus);
         CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + (1 OPERATOR(s.@+) 2)))",
    ),
    Case::escalates(
        "partition_key_by_cast",
        "table s.t",
        "CREATE TYPE s.e AS ENUM ('x');
         CREATE FUNCTION s.to_int(s.e) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT s.key(1)';
         CREATE CAST (s.e AS int) WITH FUNCTION s.to_int(s.e);
         CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + ('x'::s.e)::int))",
    ),
    Case::escalates(
        "partition_bound_of_domain",
        "constraint d_check",
        "CREATE DOMAIN s.d AS int CHECK (s.key(VALUE) >= 0);
         CREATE TABLE s.t (a s.d) PARTITION BY RANGE (a);
         CREATE TABLE s.t1 PARTITION OF s.t FOR VALUES FROM (0) TO (10)",
    ),
    Case::escalates(
        "generated_column",
        "column b of table s.t",
        "CREATE TABLE s.t (a int, b int GENERATED ALWAYS AS (a + s.key(1)) STORED)",
    )
    .on(12..=99),
    // The row's type exists only after the table, so the constraint is added later and validated.
    Case::escalates(
        "check_of_row",
        "constraint c on table s.t",
        "CREATE TABLE s.t (a int);
         CREATE FUNCTION s.f(s.t) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
         ALTER TABLE s.t ADD CONSTRAINT c CHECK (s.f(t.*) AND a > s.key(1))",
    ),
    Case::escalates(
        "domain_check_of_itself",
        "constraint c",
        "CREATE DOMAIN s.d AS int;
         CREATE FUNCTION s.f(s.d) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
         ALTER DOMAIN s.d ADD CONSTRAINT c CHECK (s.f(VALUE) AND VALUE > s.key(1));
         CREATE TABLE s.t (a s.d)",
    ),
    // The query that validates a foreign key is planned as superuser, with all indexes of both tables.
    Case::escalates(
        "index_of_foreign_key",
        "index s.p_a",
        "CREATE TABLE s.p (a int PRIMARY KEY);
         CREATE INDEX p_a ON s.p (a) WHERE a > s.key(1);
         CREATE TABLE s.t (a int REFERENCES s.p)",
    ),
    Case::escalates(
        "index_of_partitioned_table",
        "index s.t_a",
        "CREATE TABLE s.t (a int) PARTITION BY RANGE (a);
         CREATE TABLE s.t1 PARTITION OF s.t FOR VALUES FROM (0) TO (10);
         CREATE INDEX t_a ON s.t (a) WHERE a > s.key(1)",
    )
    .on(11..=99),
    // A superuser has built on the role's code.
    Case::escalates(
        "operator_class",
        "another function",
        "CREATE FUNCTION s.cmp(int, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
            'BEGIN PERFORM s.key($1); RETURN $1 - $2; END'",
    )
    .after(
        "CREATE OPERATOR CLASS s.c FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=,
            OPERATOR 5 >, FUNCTION 1 s.cmp(int, int);
         CREATE TABLE s.t (a int) PARTITION BY RANGE (a s.c);
         CREATE TABLE s.t1 PARTITION OF s.t FOR VALUES FROM (0) TO (10);
         CREATE TABLE s.t2 PARTITION OF s.t FOR VALUES FROM (10) TO (20);
         ALTER ROLE ROLE_NAME NOSUPERUSER",
    ),
    Case::escalates(
        "foreign_table_options",
        "another function",
        "CREATE FUNCTION s.f(text[], oid) RETURNS bool LANGUAGE plpgsql AS
            'BEGIN PERFORM s.key(1); RETURN true; END'",
    )
    .after(
        "CREATE FOREIGN DATA WRAPPER w VALIDATOR s.f;
         CREATE SERVER v FOREIGN DATA WRAPPER w OPTIONS (a '1');
         CREATE FOREIGN TABLE s.t (a int) SERVER v OPTIONS (b '2');
         ALTER ROLE ROLE_NAME NOSUPERUSER",
    ),
    Case::escalates(
        "security_definer",
        "table s.t",
        "CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + s.key(admin.number('1'))))",
    )
    .before(
        "CREATE SCHEMA admin; GRANT USAGE ON SCHEMA admin TO ROLE_NAME;
         CREATE FUNCTION admin.number(text) RETURNS int IMMUTABLE SECURITY DEFINER LANGUAGE sql AS 'SELECT $1::int'",
    ),
    // These are evaluated as the owner of the table.
    Case::runs("index_predicate", "index s.t_a", "CREATE TABLE s.t (a int); CREATE INDEX t_a ON s.t (a) WHERE a > s.key(1)"),
    Case::runs("index_expression", "index s.t_a", "CREATE TABLE s.t (a int); CREATE INDEX t_a ON s.t ((a + s.key(1)))"),
    Case::runs(
        "exclusion_constraint",
        "index s.x",
        "CREATE TABLE s.t (a int, CONSTRAINT x EXCLUDE USING btree (a WITH =) WHERE (a > s.key(1)))",
    ),
    Case::runs(
        "materialized_view",
        "index s.m_a",
        "CREATE MATERIALIZED VIEW s.m AS SELECT s.key(1) AS a; CREATE INDEX m_a ON s.m ((a + s.key(1)))",
    ),
    // A restore stores these without evaluating them.
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
        "statistics",
        "statistics object s.st",
        "CREATE TABLE s.t (a int, b int); CREATE STATISTICS s.st ON (a + s.key(1)), (b + 1) FROM s.t",
    )
    .on(14..=99),
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
];
