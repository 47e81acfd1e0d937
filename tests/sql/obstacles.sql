-- Findings of the preflight for an upgrade from 13 to 17: one object for each finding.
SELECT pg_create_physical_replication_slot('standby_1');

-- The images contain the first without one of its own dependencies; the second is not a PostgreSQL library. Neither takes
-- effect before a restart or reload.
ALTER SYSTEM SET shared_preload_libraries = 'llvmjit';

ALTER SYSTEM SET session_preload_libraries = '/lib/x86_64-linux-gnu/libm.so.6';

SELECT pg_create_logical_replication_slot('feed', 'pgoutput');

CREATE DATABASE shop;

CREATE DATABASE reports;

CREATE DATABASE shut ALLOW_CONNECTIONS false;

\connect shop

-- Nested types are found at any depth. OIDs of relations are preserved, so regclass is allowed.
CREATE TYPE inner_type AS (kept text, f regproc);
CREATE DOMAIN inner_domain AS inner_type[];
CREATE TABLE by_number (plain regprocedure, deep inner_domain, fine regclass);
CREATE MATERIALIZED VIEW config_view AS SELECT 'english'::regconfig AS config;
CREATE TABLE granted (acl aclitem[]);
CREATE TABLE of_system (row_of pg_catalog.pg_class);

CREATE OPERATOR !+ (LEFTARG = int8, PROCEDURE = int8um);
CREATE CONVERSION to_utf8 FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE AGGREGATE collect (anyelement) (SFUNC = array_append, STYPE = anyarray, INITCOND = '{}');
CREATE OPERATOR |+| (LEFTARG = anyarray, RIGHTARG = anyelement, PROCEDURE = array_append);
CREATE EXTENSION adminpack;

CREATE SUBSCRIPTION afar CONNECTION 'host=nowhere.invalid dbname=x password=not-for-logs' PUBLICATION p
  WITH (connect = false, slot_name = NONE);

-- Since 14 no row can be written into it.
CREATE TABLE slugs (slug text CHECK (slug ~ '^[\w-_]+$'));

CREATE TABLE waits (id int);

BEGIN; INSERT INTO waits VALUES (1); PREPARE TRANSACTION 'tx_81';

\connect reports

-- 17 has removed this column: only a restore detects it.
CREATE VIEW written AS SELECT buffers_backend FROM pg_stat_bgwriter WHERE false;
