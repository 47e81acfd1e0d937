-- One of each kind of object that an upgrade transfers, for servers from 13 on.
-- Also a valid psql script. The tests send each paragraph as one message, so a statement
-- contains no blank line, and CREATE DATABASE is a paragraph of its own.

CREATE ROLE owner LOGIN PASSWORD 'owner''s' CONNECTION LIMIT 20;
CREATE ROLE "Reader Group" NOLOGIN;
CREATE ROLE "Zoë" LOGIN NOINHERIT VALID UNTIL '2031-05-06 07:08:09+00' PASSWORD 'scram or md5';
CREATE ROLE grantor CREATEROLE;
CREATE ROLE child ROLE owner ADMIN grantor;
CREATE ROLE legacy LOGIN;
SET password_encryption = 'md5';
ALTER ROLE legacy PASSWORD 'kept as md5';
RESET password_encryption;
GRANT "Reader Group" TO owner WITH ADMIN OPTION;
GRANT "Reader Group" TO "Zoë";
GRANT pg_read_all_stats TO "Zoë";
ALTER ROLE owner SET work_mem = '7MB';
ALTER ROLE owner SET search_path = "$user", public, "Mixed Case";
ALTER ROLE ALL SET lock_timeout = '1h';
COMMENT ON ROLE "Zoë" IS 'a role''s comment, ünïcode';

-- The grantor of this membership is dropped before the upgrade.
CREATE ROLE gone SUPERUSER;
SET ROLE gone;
GRANT child TO "Zoë";
RESET ROLE;
DROP ROLE gone;

CREATE DATABASE shop OWNER owner CONNECTION LIMIT 50;

CREATE DATABASE "Ünï ""quoted"" name";

CREATE DATABASE "closed to all" CONNECTION LIMIT 0;

CREATE DATABASE pattern IS_TEMPLATE true;

CREATE DATABASE empty;

ALTER DATABASE shop SET timezone = 'Europe/Berlin';
ALTER DATABASE shop SET statement_timeout = '1h';
ALTER ROLE owner IN DATABASE shop SET work_mem = '9MB';
REVOKE CONNECT ON DATABASE shop FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE shop TO "Reader Group" WITH GRANT OPTION;
COMMENT ON DATABASE shop IS 'what the shop sells';

\connect shop

CREATE SCHEMA "Mixed Case" AUTHORIZATION owner;
CREATE SCHEMA hidden;
GRANT USAGE ON SCHEMA "Mixed Case" TO "Reader Group";
ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA "Mixed Case" GRANT SELECT ON TABLES TO "Reader Group";
ALTER DEFAULT PRIVILEGES FOR ROLE owner GRANT EXECUTE ON FUNCTIONS TO "Zoë";
COMMENT ON SCHEMA hidden IS 'nothing to see';

-- Types.
CREATE TYPE mood AS ENUM ('sad', 'so so', 'glücklich');
ALTER TYPE mood ADD VALUE 'ecstatic' AFTER 'so so';
CREATE DOMAIN email AS text COLLATE "C" NOT NULL DEFAULT 'x@y' CHECK (VALUE ~ '@');
CREATE DOMAIN short_emails AS email[] CONSTRAINT few CHECK (cardinality(VALUE) < 4);
CREATE TYPE point3 AS (x float8, y float8, z numeric(9, 3));
CREATE TYPE segment AS (a point3, b point3, label text);
CREATE TYPE floatrange AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE shell_only;
CREATE COLLATION german FROM "C";
COMMENT ON TYPE mood IS 'moods';
COMMENT ON CONSTRAINT few ON DOMAIN short_emails IS 'at most three';

CREATE TABLE "Mixed Case"."Tablé ""T""" (
    "Id" bigint GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 7) PRIMARY KEY,
    "a column" text COLLATE "C" DEFAULT 'it''s',
    m mood, e email, es short_emails, s segment, ss segment[], r floatrange, ir int4range, tr tstzrange,
    n numeric, j jsonb, jo json, x xml, u uuid, b bytea, bits bit varying(70), i inet, mac macaddr, geo polygon,
    iv interval, ts timestamptz, d date, money money, tsv tsvector, vec int[][], ch char(10), o oid, rc regclass,
    ph text GENERATED ALWAYS AS (upper("a column")) STORED
);
INSERT INTO "Mixed Case"."Tablé ""T""" ("a column", m, e, es, s, ss, r, ir, tr, n, j, jo, x, u, b, bits, i, mac,
    geo, iv, ts, d, money, tsv, vec, ch, o, rc)
SELECT 'row ' || g || chr(228 + g % 20), (enum_range(NULL::mood))[1 + g % 4], g || '@example.org',
    ARRAY['a@b', g || '@c']::text[], ROW(ROW(g, -g, g / 3.0)::point3, NULL, 'lâbel')::segment, ARRAY[ROW(NULL, ROW(1, 2, 3)::point3, 'é')::segment],
    floatrange(g, g + 0.5), int4range(g, NULL), tstzrange('2020-01-01Z', NULL), g / 7.0,
    jsonb_build_object('k', g, 'ü', ARRAY[g, NULL]), '{"a" :  1}', xmlelement(name foo, g), md5(g::text)::uuid,
    sha256(g::text::bytea), g::bit(12)::varbit, '10.0.0.0/8'::inet + g, '08:00:2b:01:02:03', '((0,0),(1,1),(2,0))',
    make_interval(days => g, secs => 0.25), to_timestamp(g * 86400), 'epoch'::date + g, g, to_tsvector('english', 'cats ' || g),
    ARRAY[[g, 1], [2, 3]], 'ch', g, 'pg_class'
FROM generate_series(1, 500) g;
INSERT INTO "Mixed Case"."Tablé ""T""" (e) VALUES ('only@defaults');
INSERT INTO "Mixed Case"."Tablé ""T""" (d, ts, n, e) VALUES ('infinity', '-infinity', 'NaN', 'odd@values');
ALTER TABLE "Mixed Case"."Tablé ""T""" OWNER TO owner;
GRANT SELECT, INSERT ON "Mixed Case"."Tablé ""T""" TO "Reader Group" WITH GRANT OPTION;
GRANT UPDATE ("a column", n) ON "Mixed Case"."Tablé ""T""" TO "Zoë";
COMMENT ON TABLE "Mixed Case"."Tablé ""T""" IS 'E''s "table"';
COMMENT ON COLUMN "Mixed Case"."Tablé ""T"""."a column" IS 'a column';
ALTER TABLE "Mixed Case"."Tablé ""T""" ALTER COLUMN n SET STATISTICS 500, ALTER COLUMN b SET STORAGE EXTERNAL;
CREATE STATISTICS "Mixed Case".extended (ndistinct, dependencies, mcv) ON m, n, d FROM "Mixed Case"."Tablé ""T""";
ALTER STATISTICS "Mixed Case".extended SET STATISTICS 50;

-- Index methods, expressions, partial, included and descending columns.
CREATE INDEX ON "Mixed Case"."Tablé ""T""" (lower("a column") text_pattern_ops) WHERE n > 5;
CREATE UNIQUE INDEX "uniq Index" ON "Mixed Case"."Tablé ""T""" (e DESC NULLS LAST, "Id") INCLUDE (m);
CREATE INDEX USING_gin ON "Mixed Case"."Tablé ""T""" USING gin (j jsonb_path_ops);
CREATE INDEX ON "Mixed Case"."Tablé ""T""" USING gin (tsv);
CREATE INDEX ON "Mixed Case"."Tablé ""T""" USING gist (tr);
CREATE INDEX ON "Mixed Case"."Tablé ""T""" USING spgist (i);
CREATE INDEX ON "Mixed Case"."Tablé ""T""" USING brin (ts) WITH (pages_per_range = 8);
CREATE INDEX ON "Mixed Case"."Tablé ""T""" USING hash (u);
CREATE INDEX words ON "Mixed Case"."Tablé ""T""" ("a column" COLLATE "default");
ALTER TABLE "Mixed Case"."Tablé ""T""" CLUSTER ON words;
ALTER TABLE "Mixed Case"."Tablé ""T""" REPLICA IDENTITY FULL;

-- Sequences in unusual states.
CREATE SEQUENCE never_called;
CREATE SEQUENCE small AS smallint MINVALUE -5 MAXVALUE 5 START 0 CYCLE CACHE 3;
CREATE SEQUENCE down INCREMENT -3 MAXVALUE 1000 START 1000;
CREATE SEQUENCE at_its_end MAXVALUE 3;
CREATE UNLOGGED TABLE unlogged_serial (id serial PRIMARY KEY, t text);
SELECT setval('small', 5), nextval('down'), nextval('down'), setval('at_its_end', 3, false);
INSERT INTO unlogged_serial (t) SELECT repeat('unlogged', g) FROM generate_series(1, 200) g;
GRANT USAGE ON SEQUENCE down TO "Zoë";

-- Partitions and inheritance.
CREATE TABLE measure (at date NOT NULL, place text, v int, PRIMARY KEY (at, place)) PARTITION BY RANGE (at);
CREATE TABLE measure_2020 PARTITION OF measure FOR VALUES FROM ('2020-01-01') TO ('2021-01-01') PARTITION BY LIST (place);
CREATE TABLE measure_2020_north PARTITION OF measure_2020 FOR VALUES IN ('north', 'Nörd');
CREATE TABLE measure_2020_rest PARTITION OF measure_2020 DEFAULT;
CREATE TABLE attached (v int, place text NOT NULL, gone int, at date NOT NULL);
ALTER TABLE attached DROP COLUMN gone;
ALTER TABLE measure ATTACH PARTITION attached FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE measure_default PARTITION OF measure DEFAULT;
INSERT INTO measure SELECT date '2019-12-01' + g, (ARRAY['north', 'Nörd', 'south'])[1 + g % 3], g FROM generate_series(0, 900) g;
CREATE INDEX ON measure (v);
CREATE TABLE refers (id int PRIMARY KEY, at date, place text,
    FOREIGN KEY (at, place) REFERENCES measure ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);
INSERT INTO refers SELECT row_number() OVER (), at, place FROM measure LIMIT 100;
CREATE TABLE hashed (k int, v text) PARTITION BY HASH (k);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT g, 'h' || g FROM generate_series(1, 300) g;
CREATE TABLE parent (id int NOT NULL, t text CONSTRAINT not_empty CHECK (t <> ''));
CREATE TABLE heir (extra int[]) INHERITS (parent);
CREATE TABLE second_parent (t text, other int DEFAULT 3);
CREATE TABLE two_parents (own int) INHERITS (parent, second_parent);
INSERT INTO two_parents VALUES (9, 'both', 4, 5);

-- Tables of unusual shapes.
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;
CREATE TABLE all_dropped (a int, b text);
INSERT INTO all_dropped VALUES (1, 'x'), (2, 'y');
ALTER TABLE all_dropped DROP COLUMN a, DROP COLUMN b;
CREATE TABLE dropped (a int, gone text, b text DEFAULT 'b', "gone too" numeric, c int);
INSERT INTO dropped SELECT g, repeat('gone', g), 'b' || g, g, -g FROM generate_series(1, 100) g;
ALTER TABLE dropped DROP COLUMN gone, DROP COLUMN "gone too";
ALTER TABLE dropped ADD COLUMN fast_default text DEFAULT 'filled in later';
INSERT INTO dropped (a) VALUES (101);
CREATE TABLE toasted (id int PRIMARY KEY, t text) WITH (fillfactor = 70, autovacuum_enabled = false);
INSERT INTO toasted SELECT g, (SELECT string_agg(md5(g * 1000 + s || ''), '') FROM generate_series(1, 300) s) FROM generate_series(1, 60) g;
CREATE TABLE deleted_rows AS SELECT g AS id, md5(g::text) AS t FROM generate_series(1, 2000) g;
DELETE FROM deleted_rows WHERE id % 3 = 0;
UPDATE deleted_rows SET t = 'updated' WHERE id % 5 = 0;
CREATE TABLE excluded (room int, during tsrange, EXCLUDE USING gist (during WITH &&));
INSERT INTO excluded VALUES (1, '[2020-01-01, 2020-01-02)'), (2, '[2020-01-03, 2020-01-04)');
CREATE TABLE not_validated (id int);
INSERT INTO not_validated VALUES (-1);
ALTER TABLE not_validated ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;

-- Views, rules, functions, triggers.
CREATE VIEW simple AS SELECT "Id", upper("a column") AS up, m FROM "Mixed Case"."Tablé ""T""";
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM parent WHERE id > 0 WITH CASCADED CHECK OPTION;
CREATE RECURSIVE VIEW counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 10;
CREATE MATERIALIZED VIEW populated AS SELECT place, count(*), sum(v) FROM measure GROUP BY place;
CREATE UNIQUE INDEX ON populated (place);
CREATE MATERIALIZED VIEW not_populated AS SELECT * FROM measure WITH NO DATA;
CREATE TABLE log (what text, at int DEFAULT 0);
CREATE RULE "Log Deletes" AS ON DELETE TO refers DO ALSO INSERT INTO log VALUES ('deleted ' || OLD.id);
CREATE RULE redirect AS ON INSERT TO simple DO INSTEAD NOTHING;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_OP || TG_TABLE_NAME); RETURN NEW; END $$;
CREATE FUNCTION hidden.addiere(a int, VARIADIC rest int[] DEFAULT '{}') RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS 'SELECT a + coalesce((SELECT sum(r) FROM unnest(rest) r), 0)::int';
CREATE PROCEDURE hidden.nothing(INOUT a int) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS 'BEGIN a := a + 1; END';
CREATE FUNCTION mood_number(mood) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT cardinality(enum_range(NULL, $1))';
REVOKE EXECUTE ON FUNCTION hidden.addiere FROM PUBLIC;
GRANT EXECUTE ON FUNCTION hidden.addiere TO "Reader Group";
CREATE TRIGGER enabled BEFORE INSERT OR UPDATE OF t ON parent FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TRIGGER disabled AFTER DELETE ON parent FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TRIGGER always AFTER TRUNCATE ON parent EXECUTE FUNCTION touched();
CREATE TRIGGER on_replica BEFORE UPDATE ON parent FOR EACH ROW WHEN (OLD.t IS DISTINCT FROM NEW.t) EXECUTE FUNCTION touched();
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON refers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION touched();
ALTER TABLE parent DISABLE TRIGGER disabled, ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER on_replica;
INSERT INTO parent VALUES (1, 'one'), (2, 'zwei');
INSERT INTO heir VALUES (3, 'trois', '{1,2}');
COMMENT ON TRIGGER later ON refers IS 'later';
CREATE FUNCTION ddl_happened() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$;
CREATE EVENT TRIGGER ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION ddl_happened();
CREATE EVENT TRIGGER ddl_disabled ON sql_drop EXECUTE FUNCTION ddl_happened();
ALTER EVENT TRIGGER ddl_disabled DISABLE;

-- Operators, aggregates, casts, text search, foreign data, row security, publications.
CREATE FUNCTION abs_less(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT abs($1) < abs($2)';
CREATE FUNCTION abs_equal(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT abs($1) = abs($2)';
CREATE FUNCTION abs_compare(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT sign(abs($1) - abs($2))::int';
CREATE OPERATOR |<| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_less);
CREATE OPERATOR |=| (LEFTARG = int, RIGHTARG = int, FUNCTION = abs_equal, COMMUTATOR = |=|);
CREATE OPERATOR @#@ (RIGHTARG = int, FUNCTION = int4abs);
CREATE OPERATOR FAMILY by_abs_family USING btree;
CREATE OPERATOR CLASS by_abs FOR TYPE int USING btree FAMILY by_abs_family AS OPERATOR 1 |<|, OPERATOR 3 |=|, FUNCTION 1 abs_compare(int, int);
CREATE AGGREGATE product(float8) (SFUNC = float8mul, STYPE = float8, INITCOND = '1');
CREATE CAST (mood AS int) WITH FUNCTION mood_number(mood) AS ASSIGNMENT;
COMMENT ON OPERATOR |<| (int, int) IS 'less, by absolute value';
COMMENT ON AGGREGATE product(float8) IS 'product';
CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION shop_search (COPY = german);
ALTER TEXT SEARCH CONFIGURATION shop_search ALTER MAPPING FOR word WITH plain, german_stem;
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far TYPE 't' VERSION 'v' FOREIGN DATA WRAPPER nowhere OPTIONS (host 'far away', "Opt" 'x');
CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (secret 'not so');
CREATE USER MAPPING FOR owner SERVER far;
CREATE FOREIGN TABLE distant (a int OPTIONS (c 'd') NOT NULL, b text) SERVER far OPTIONS (t 'x');
GRANT USAGE ON FOREIGN SERVER far TO owner;
ALTER TABLE parent ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY "own rows" ON parent AS RESTRICTIVE FOR SELECT TO owner USING (id > 0);
CREATE POLICY writers ON parent FOR INSERT TO "Zoë" WITH CHECK (t <> 'no');
CREATE PUBLICATION news FOR TABLE parent, hashed WITH (publish = 'insert, delete', publish_via_partition_root);
CREATE PUBLICATION all_news FOR ALL TABLES;
CREATE SUBSCRIPTION asleep CONNECTION 'host=nowhere' PUBLICATION news WITH (connect = false, enabled = false, create_slot = false, slot_name = NONE);

-- Large objects: one with an ACL, one of another owner, one of several pages, one empty, one with a hole.
SELECT lo_from_bytea(7001, 'a large object'), lo_from_bytea(7002, 'owned'),
    lo_from_bytea(7003, (SELECT string_agg(sha256(g::text::bytea), ''::bytea) FROM generate_series(1, 3000) g)), lo_create(7004), lo_create(7005);
SELECT lo_put(7005, 1000000, 'after a hole');
GRANT SELECT ON LARGE OBJECT 7001 TO "Reader Group";
ALTER LARGE OBJECT 7002 OWNER TO owner;
COMMENT ON LARGE OBJECT 7001 IS 'a comment on 7001';

VACUUM FREEZE toasted;

VACUUM ANALYZE "Mixed Case"."Tablé ""T""";

\connect "Ünï ""quoted"" name"

CREATE TABLE "тaблица" ("ключ" serial PRIMARY KEY, "значение" text COLLATE "POSIX", """" int);
INSERT INTO "тaблица" ("значение", """") SELECT repeat('ж', g % 50), g FROM generate_series(1, 1000) g;
CREATE VIEW "вид" AS SELECT "значение", count(*) FROM "тaблица" GROUP BY 1;
SELECT lo_from_bytea(7001, 'the same number in another database');
REVOKE ALL ON SCHEMA public FROM PUBLIC;

\connect "closed to all"

CREATE TABLE still_here AS SELECT g AS id FROM generate_series(1, 10) g;

\connect pattern

CREATE TABLE copied_into_new_databases (id int PRIMARY KEY);
INSERT INTO copied_into_new_databases VALUES (42);

\connect postgres

CREATE TABLE in_the_default_database AS SELECT 1 AS one;
CREATE SCHEMA "1";
