//! The role's code behind a function of a superuser, which the rehearsal notices.

use super::super::case::Case;

/// What the superuser creates first.
const WRAPPER: &str = "CREATE SCHEMA admin; GRANT USAGE ON SCHEMA admin TO ROLE_NAME;
    CREATE FUNCTION admin.wrap(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN s.key($1); END'";

pub(super) const CASES: &[Case] = &[
    // The server simplifies it as superuser.
    Case::escalates(
        "wrapped_in_generated_column",
        "another function",
        "CREATE TABLE s.t (a int, b int GENERATED ALWAYS AS (a + admin.wrap(1)) STORED)",
    )
    .on(12..=99)
    .before(WRAPPER),
    Case::escalates(
        "wrapped_in_index_of_foreign_key",
        "another function",
        "CREATE TABLE s.p (a int PRIMARY KEY);
         CREATE INDEX p_a ON s.p (a) WHERE a > admin.wrap(1);
         CREATE TABLE s.t (a int REFERENCES s.p)",
    )
    .before(WRAPPER),
    // It is evaluated as the owner of the table.
    Case::runs(
        "wrapped_in_index",
        "another function",
        "CREATE TABLE s.t (a int); CREATE INDEX t_a ON s.t ((a + admin.wrap(1)))",
    )
    .before(WRAPPER),
];
