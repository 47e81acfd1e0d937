//! Code that the server calls without counting it as a function, so that no rehearsal notices it.

use super::super::case::Case;

/// What a role creates after an operator that is true for any numbers.
macro_rules! with_operator {
    ($sql:literal) => {
        concat!(
            "CREATE FUNCTION s.same(int, int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS
                'BEGIN PERFORM s.key($1); RETURN true; END';
             CREATE OPERATOR s.=== (LEFTARG = int, RIGHTARG = int, PROCEDURE = s.same);",
            $sql
        )
    };
}

pub(super) const CASES: &[Case] = &[
    Case::refused(
        "any_in_partition_key",
        "table s.t",
        with_operator!(
            "CREATE TABLE s.t (a int) PARTITION BY RANGE ((a + (1 OPERATOR(s.===) ANY (ARRAY[1,2]))::int))"
        ),
    ),
    Case::refused(
        "any_in_generated_column",
        "column b of table s.t",
        with_operator!(
            "CREATE TABLE s.t (a int, b bool GENERATED ALWAYS AS (1 OPERATOR(s.===) ALL (ARRAY[1,2])) STORED)"
        ),
    )
    .on(12..=99),
    Case::refused(
        "any_in_index_of_foreign_key",
        "index s.p_a",
        with_operator!(
            "CREATE TABLE s.p (a int PRIMARY KEY);
             CREATE INDEX p_a ON s.p (a) WHERE 1 OPERATOR(s.===) ANY (ARRAY[1,2]);
             CREATE TABLE s.t (a int REFERENCES s.p)"
        ),
    ),
    Case::refused(
        "any_in_statistics",
        "statistics object s.st",
        with_operator!(
            "CREATE TABLE s.p (a int PRIMARY KEY);
             CREATE TABLE s.t (a int REFERENCES s.p, b int);
             CREATE STATISTICS s.st ON (a + (1 OPERATOR(s.===) ANY (ARRAY[1,2]))::int), b FROM s.t"
        ),
    )
    .on(14..=99),
    Case::refused(
        "any_in_inherited_check",
        "constraint c on table s.t1",
        with_operator!(
            "CREATE TABLE s.t (a int, CONSTRAINT c CHECK (a > (1 OPERATOR(s.===) ANY (ARRAY[1,2]))::int));
             CREATE TABLE s.t1 () INHERITS (s.t)"
        ),
    ),
    // The server reads the elements of the literal when the view is created.
    Case::refused(
        "any_in_domain_check",
        "constraint d_check",
        with_operator!(
            "CREATE DOMAIN s.d AS int CHECK (VALUE OPERATOR(s.===) ANY (ARRAY[1,2]));
             CREATE VIEW s.v AS SELECT '{1}'::s.d[] AS a"
        ),
    ),
    Case::refused(
        "any_in_default_of_called_function",
        "index s.t_a",
        with_operator!(
            "CREATE FUNCTION s.f(a int, b bool DEFAULT 1 OPERATOR(s.===) ANY (ARRAY[1,2])) RETURNS int IMMUTABLE
                LANGUAGE plpgsql AS 'BEGIN RETURN a; END';
             CREATE TABLE s.t (a int); CREATE INDEX t_a ON s.t (s.f(a))"
        ),
    ),
    Case::refused(
        "any_in_inlined_function",
        "index s.t_a",
        with_operator!(
            "CREATE FUNCTION s.f(int) RETURNS bool IMMUTABLE LANGUAGE sql AS
                'SELECT $1 > 0 AND 1 OPERATOR(s.===) ANY (ARRAY[1,2])';
             CREATE TABLE s.t (a int); CREATE INDEX t_a ON s.t (a) WHERE s.f(a)"
        ),
    ),
    // A superuser has built on the role's code.
    Case::refused(
        "operator_class",
        "table s.t",
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
    Case::refused(
        "foreign_table_options",
        "foreign-data wrapper w",
        "CREATE FUNCTION s.f(text[], oid) RETURNS bool LANGUAGE plpgsql AS
            'BEGIN PERFORM s.key(1); RETURN true; END'",
    )
    .after(
        "CREATE FOREIGN DATA WRAPPER w VALIDATOR s.f;
         CREATE SERVER v FOREIGN DATA WRAPPER w OPTIONS (a '1');
         CREATE FOREIGN TABLE s.t (a int) SERVER v OPTIONS (b '2');
         ALTER ROLE ROLE_NAME NOSUPERUSER",
    ),
    Case::refused(
        "operator_class_without_other_functions",
        "table s.t",
        "CREATE FUNCTION s.cmp(int, int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 - $2; END'",
    )
    .after(
        "CREATE OPERATOR CLASS s.c FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=,
            OPERATOR 5 >, FUNCTION 1 s.cmp(int, int);
         CREATE TABLE s.t (a int) PARTITION BY RANGE (a s.c);
         CREATE TABLE s.t1 PARTITION OF s.t FOR VALUES FROM (0) TO (10)",
    ),
    Case::refused(
        "foreign_table_options_without_other_functions",
        "foreign-data wrapper w",
        "CREATE FUNCTION s.f(text[], oid) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN true; END'",
    )
    .after("CREATE FOREIGN DATA WRAPPER w VALIDATOR s.f; CREATE SERVER v FOREIGN DATA WRAPPER w OPTIONS (a '1')"),
];
