//! What a restore would evaluate to simplify an expression, or because it applies it to values.

use super::super::case::Case;

pub(super) const CASES: &[Case] = &[
    Case::refused("partition_key", "table s.t", "CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + s.key(1)))"),
    Case::refused(
        "partition_key_by_operator",
        "table s.t",
        "CREATE FUNCTION s.plus(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + s.key($2)';
         CREATE OPERATOR s.@+ (LEFTARG = int, RIGHTARG = int, PROCEDURE = s.plus);
         CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + (1 OPERATOR(s.@+) 2)))",
    ),
    Case::refused(
        "partition_key_by_cast",
        "table s.t",
        "CREATE TYPE s.e AS ENUM ('x');
         CREATE FUNCTION s.to_int(s.e) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT s.key(1)';
         CREATE CAST (s.e AS int) WITH FUNCTION s.to_int(s.e);
         CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + ('x'::s.e)::int))",
    ),
    Case::refused(
        "partition_bound_of_domain",
        "constraint d_check",
        "CREATE DOMAIN s.d AS int CHECK (s.key(VALUE) >= 0);
         CREATE TABLE s.t (a s.d) PARTITION BY RANGE (a);
         CREATE TABLE s.t1 PARTITION OF s.t FOR VALUES FROM (0) TO (10)",
    ),
    Case::refused(
        "generated_column",
        "column b of table s.t",
        "CREATE TABLE s.t (a int, b int GENERATED ALWAYS AS (a + s.key(1)) STORED)",
    )
    .on(12..=99),
    Case::refused(
        "check_of_row",
        "constraint c on table s.t",
        "CREATE TABLE s.t (a int);
         CREATE FUNCTION s.f(s.t) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
         ALTER TABLE s.t ADD CONSTRAINT c CHECK (s.f(t.*) AND a > s.key(1))",
    ),
    Case::refused(
        "domain_check_of_itself",
        "constraint c",
        "CREATE DOMAIN s.d AS int;
         CREATE FUNCTION s.f(s.d) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
         ALTER DOMAIN s.d ADD CONSTRAINT c CHECK (s.f(VALUE) AND VALUE > s.key(1));
         CREATE TABLE s.t (a s.d)",
    ),
    Case::refused(
        "index_of_foreign_key",
        "index s.p_a",
        "CREATE TABLE s.p (a int PRIMARY KEY);
         CREATE INDEX p_a ON s.p (a) WHERE a > s.key(1);
         CREATE TABLE s.t (a int REFERENCES s.p)",
    ),
    Case::refused(
        "index_of_partitioned_table",
        "index s.t_a",
        "CREATE TABLE s.t (a int) PARTITION BY RANGE (a);
         CREATE TABLE s.t1 PARTITION OF s.t FOR VALUES FROM (0) TO (10);
         CREATE INDEX t_a ON s.t (a) WHERE a > s.key(1)",
    )
    .on(11..=99),
    Case::refused(
        "security_definer",
        "table s.t",
        "CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + s.key(admin.number('1'))))",
    )
    .before(
        "CREATE SCHEMA admin; GRANT USAGE ON SCHEMA admin TO ROLE_NAME;
         CREATE FUNCTION admin.number(text) RETURNS int IMMUTABLE SECURITY DEFINER LANGUAGE sql AS 'SELECT $1::int'",
    ),
    Case::refused("index_predicate", "index s.t_a", "CREATE TABLE s.t (a int); CREATE INDEX t_a ON s.t (a) WHERE a > s.key(1)"),
    Case::refused("index_expression", "index s.t_a", "CREATE TABLE s.t (a int); CREATE INDEX t_a ON s.t ((a + s.key(1)))"),
    Case::refused(
        "exclusion_constraint",
        "index s.x",
        "CREATE TABLE s.t (a int, CONSTRAINT x EXCLUDE USING btree (a WITH =) WHERE (a > s.key(1)))",
    ),
    Case::refused(
        "materialized_view",
        "index s.m_a",
        "CREATE MATERIALIZED VIEW s.m AS SELECT s.key(1) AS a; CREATE INDEX m_a ON s.m ((a + s.key(1)))",
    ),
    Case::refused(
        "statistics",
        "statistics object s.st",
        "CREATE TABLE s.t (a int, b int); CREATE STATISTICS s.st ON (a + s.key(1)), (b + 1) FROM s.t",
    )
    .on(14..=99),
    Case::refused(
        "check_of_partition",
        "constraint c on table s.t1",
        "CREATE TABLE s.t (a int) PARTITION BY RANGE (a);
         CREATE TABLE s.t1 PARTITION OF s.t FOR VALUES FROM (0) TO (10);
         ALTER TABLE s.t1 ADD CONSTRAINT c CHECK (a > s.key(1))",
    ),
    // What looks like an expression over columns.
    Case::refused(
        "partition_key_by_case",
        "table s.t",
        "CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + s.key(CASE WHEN true THEN 1 ELSE a END)))",
    ),
    Case::refused(
        "partition_key_by_coalesce",
        "table s.t",
        "CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + s.key(COALESCE(1, a))))",
    ),
    Case::refused(
        "partition_key_by_null",
        "table s.t",
        "CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + s.key(a + NULL::int)))",
    ),
    Case::refused(
        "default_of_called_function",
        "index s.t_a",
        "CREATE FUNCTION s.f(a int, b int DEFAULT s.key(1)) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN a; END';
         CREATE TABLE s.t (a int); CREATE INDEX t_a ON s.t (s.f(a))",
    ),
];
