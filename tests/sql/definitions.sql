-- As many kinds of definitions as PostgreSQL knows, for servers from 15 on: what a restore makes of each must equal its source.
-- Each paragraph is one message; see everything.sql.

CREATE ROLE definer LOGIN;
CREATE ROLE definition_reader;
CREATE ROLE "Weird ""Role""" LOGIN;
ALTER ROLE definer SET search_path = a, "B b", public;
ALTER ROLE definer SET work_mem = '8MB';

CREATE DATABASE definitions TEMPLATE template0 OWNER definer;

ALTER DATABASE definitions SET DateStyle = 'SQL, DMY';
ALTER ROLE definer IN DATABASE definitions SET statement_timeout = '10min';

\connect definitions

CREATE SCHEMA a AUTHORIZATION definer;
CREATE SCHEMA "B b";
CREATE EXTENSION hstore SCHEMA a;
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;
CREATE EXTENSION postgres_fdw;
CREATE EXTENSION file_fdw;
CREATE EXTENSION dict_int;
CREATE EXTENSION tsm_system_rows;
CREATE EXTENSION bloom;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION intarray SCHEMA a;
GRANT EXECUTE ON FUNCTION a.hstore(text, text) TO definition_reader;
REVOKE EXECUTE ON FUNCTION a.akeys(a.hstore) FROM PUBLIC;
CREATE FUNCTION a.depends_on_ext(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
ALTER FUNCTION a.depends_on_ext(int) DEPENDS ON EXTENSION hstore;

-- types
CREATE TYPE a.comp AS (x int, y text COLLATE "C", z numeric(10,2), "select" json, arr varchar(7)[]);
ALTER TYPE a.comp DROP ATTRIBUTE x;
ALTER TYPE a.comp ADD ATTRIBUTE w timestamptz(3);
CREATE TYPE a.e AS ENUM ('b', 'a''q', 'ü', 'longer label');
ALTER TYPE a.e ADD VALUE 'first' BEFORE 'b';
ALTER TYPE a.e ADD VALUE 'mid' AFTER 'a''q';
ALTER TYPE a.e RENAME VALUE 'ü' TO 'renamed';
CREATE TYPE a.empty_enum AS ENUM ();
CREATE DOMAIN a.dom AS varchar(20)[] COLLATE "POSIX" DEFAULT ARRAY['x'] NOT NULL CHECK (cardinality(VALUE) > 0) CONSTRAINT second CHECK (VALUE[1] <> 'y');
ALTER DOMAIN a.dom ADD CONSTRAINT late CHECK (VALUE IS NOT NULL) NOT VALID;
CREATE DOMAIN a.dom2 AS a.dom CONSTRAINT nn NOT NULL;
CREATE DOMAIN a.domjson AS json DEFAULT '{"a": 1}';
CREATE FUNCTION a.text_diff(text, text) RETURNS float8 LANGUAGE sql IMMUTABLE AS 'SELECT length($1)::float8 - length($2)';
CREATE TYPE a.textrange AS RANGE (subtype = text, collation = "C", subtype_opclass = text_pattern_ops, subtype_diff = a.text_diff);
CREATE TYPE a.datetimerange AS RANGE (subtype = time);
CREATE TYPE a.shell;
CREATE TYPE a.base;
CREATE FUNCTION a.base_in(cstring) RETURNS a.base LANGUAGE internal IMMUTABLE STRICT AS 'textin';
CREATE FUNCTION a.base_out(a.base) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'textout';
CREATE TYPE a.base (INPUT = a.base_in, OUTPUT = a.base_out, INTERNALLENGTH = VARIABLE, STORAGE = extended, CATEGORY = 'X', PREFERRED = true, DELIMITER = ';', DEFAULT = 'none', COLLATABLE = true);
CREATE TYPE a.base8;
CREATE FUNCTION a.b8_in(cstring) RETURNS a.base8 LANGUAGE internal IMMUTABLE STRICT AS 'int8in';
CREATE FUNCTION a.b8_out(a.base8) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int8out';
CREATE TYPE a.base8 (INPUT = a.b8_in, OUTPUT = a.b8_out, LIKE = int8, DEFAULT = '7');
ALTER TYPE a.e OWNER TO definer;
REVOKE USAGE ON TYPE a.e FROM PUBLIC;
GRANT USAGE ON TYPE a.e TO definition_reader WITH GRANT OPTION;
COMMENT ON TYPE a.comp IS 'comp';
COMMENT ON COLUMN a.comp.y IS 'y';
CREATE TYPE a."Reserved.type ""q""" AS (a int);

-- functions
CREATE FUNCTION a.f1(IN a int, OUT b text, INOUT c json, VARIADIC d numeric[] DEFAULT '{1,2}') RETURNS record LANGUAGE plpgsql STABLE COST 55 PARALLEL RESTRICTED SET work_mem = '4MB' SET search_path = a, "B b" SET datestyle TO 'ISO, DMY' AS $$ BEGIN b := 'x'; END $$;
CREATE FUNCTION a.f2() RETURNS SETOF a.comp LANGUAGE sql ROWS 7 AS $$ SELECT NULL::a.comp $$;
CREATE FUNCTION a.f3(t text DEFAULT 'it''s', u timestamptz DEFAULT now(), v interval DEFAULT '1 day') RETURNS TABLE (x int, "y y" text) LANGUAGE sql LEAKPROOF SECURITY DEFINER CALLED ON NULL INPUT AS $$ SELECT 1, 'a' $$;
CREATE FUNCTION a.poly(anyelement, anyarray) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION a.xform(a.hstore) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION a.support(internal) RETURNS internal LANGUAGE internal AS 'generate_series_int4_support';
CREATE FUNCTION a.series(int4, int4) RETURNS SETOF int4 LANGUAGE internal STRICT IMMUTABLE SUPPORT a.support ROWS 1000 AS 'generate_series_int4';
CREATE FUNCTION a.wind(anyelement) RETURNS anyelement LANGUAGE internal WINDOW IMMUTABLE STRICT AS 'window_first_value';
CREATE PROCEDURE a.proc(IN x int, INOUT y json DEFAULT '1') LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
CREATE FUNCTION a.jsonfn(json, pg_catalog.json[], jsonb, bit, char, "char", timestamp with time zone, interval hour to minute, double precision, character varying) RETURNS json LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION a."odd,name(x)"("p ""q""" int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION a.xmlfn(xml, money, bit varying, varbit) RETURNS xml LANGUAGE sql AS 'SELECT $1';
GRANT EXECUTE ON FUNCTION a.f2() TO definition_reader;
REVOKE ALL ON FUNCTION a.f3(text, timestamptz, interval) FROM PUBLIC;
ALTER FUNCTION a.f2() OWNER TO "Weird ""Role""";
COMMENT ON FUNCTION a.f2() IS 'f2';

-- aggregates
CREATE AGGREGATE a.agg1(int) (SFUNC = int4pl, STYPE = int4, INITCOND = '0', COMBINEFUNC = int4pl, PARALLEL = safe, MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = int4, MINITCOND = '5', SSPACE = 77, MSSPACE = 88, SORTOP = >);
CREATE AGGREGATE a.ordset(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_WRITE);
CREATE AGGREGATE a.hypo(VARIADIC "any" ORDER BY VARIADIC "any") (SFUNC = ordered_set_transition_multi, STYPE = internal, FINALFUNC = rank_final, FINALFUNC_EXTRA, HYPOTHETICAL);
CREATE AGGREGATE a.agg_json(json) (SFUNC = json_agg_transfn, STYPE = internal, FINALFUNC = json_agg_finalfn);
CREATE AGGREGATE a.star(*) (SFUNC = int8inc, STYPE = int8, INITCOND = 0);
COMMENT ON AGGREGATE a.star(*) IS 'star';

-- operators
CREATE FUNCTION a.jeq(json, json) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::text = $2::text';
CREATE FUNCTION a.jlt(json, json) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::text < $2::text';
CREATE FUNCTION a.jcmp(json, json) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT bttextcmp($1::text, $2::text)';
CREATE FUNCTION a.jhash(json) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT hashtext($1::text)';
CREATE OPERATOR a.=~~ (LEFTARG = json, RIGHTARG = json, FUNCTION = a.jeq, COMMUTATOR = OPERATOR(a.=~~), NEGATOR = OPERATOR(a.<>~~), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE FUNCTION a.jne(json, json) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::text <> $2::text';
CREATE OPERATOR a.<>~~ (LEFTARG = json, RIGHTARG = json, FUNCTION = a.jne, COMMUTATOR = OPERATOR(a.<>~~), NEGATOR = OPERATOR(a.=~~));
CREATE OPERATOR a.<~~ (LEFTARG = json, RIGHTARG = json, FUNCTION = a.jlt, COMMUTATOR = OPERATOR(a.>~~));
CREATE FUNCTION a.jgt(json, json) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::text > $2::text';
CREATE OPERATOR a.>~~ (LEFTARG = json, RIGHTARG = json, FUNCTION = a.jgt, COMMUTATOR = OPERATOR(a.<~~));
CREATE OPERATOR a.!! (RIGHTARG = int8, FUNCTION = int8abs);
CREATE OPERATOR a.@@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = OPERATOR(a.@@@@));
CREATE OPERATOR CLASS a.json_ops DEFAULT FOR TYPE json USING hash AS OPERATOR 1 a.=~~, FUNCTION 1 (json, json) a.jhash(json);
CREATE OPERATOR FAMILY a.fam USING btree;
CREATE OPERATOR CLASS a.jb_ops DEFAULT FOR TYPE json USING btree FAMILY a.fam AS OPERATOR 1 a.<~~, OPERATOR 3 a.=~~, OPERATOR 5 a.>~~, FUNCTION 1 a.jcmp(json, json);
ALTER OPERATOR FAMILY a.fam USING btree ADD OPERATOR 1 <(int4, int8), OPERATOR 3 =(int4,int8), FUNCTION 1 (int4, int8) btint48cmp(int4, int8);
CREATE OPERATOR CLASS a.gist_ops FOR TYPE int USING gist AS STORAGE bigint, OPERATOR 3 =, OPERATOR 15 <-> (int, int) FOR ORDER BY pg_catalog.integer_ops, FUNCTION 1 gbt_int4_consistent(internal,int4,int2,oid,internal), FUNCTION 2 gbt_int4_union(internal, internal), FUNCTION 5 gbt_int4_penalty(internal,internal,internal), FUNCTION 6 gbt_int4_picksplit(internal, internal), FUNCTION 7 gbt_int4_same(gbtreekey8, gbtreekey8, internal);
COMMENT ON OPERATOR CLASS a.json_ops USING hash IS 'oc';
COMMENT ON OPERATOR FAMILY a.fam USING btree IS 'of';

-- casts
CREATE FUNCTION a.e2i(a.e) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE CAST (a.e AS int) WITH FUNCTION a.e2i(a.e) AS IMPLICIT;
CREATE CAST (json AS citext) WITH INOUT;
CREATE CAST (json AS int) WITH INOUT AS ASSIGNMENT;
CREATE CAST (int4 AS bool[]) WITH INOUT;
CREATE CAST (bigint AS a.base8) WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (a.e AS int) IS 'cast';
CREATE FUNCTION a.tosql(internal) RETURNS a.hstore LANGUAGE internal IMMUTABLE AS 'int4recv';
CREATE FUNCTION a.fromsql(internal) RETURNS internal LANGUAGE internal IMMUTABLE AS 'prsd_lextype';
CREATE TRANSFORM FOR a.hstore LANGUAGE sql (FROM SQL WITH FUNCTION a.fromsql(internal), TO SQL WITH FUNCTION a.tosql(internal));
CREATE FUNCTION a.usestransform(a.hstore) RETURNS text TRANSFORM FOR TYPE a.hstore LANGUAGE sql AS 'SELECT 1::text';
CREATE CONVERSION a.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE DEFAULT CONVERSION a.conv2 FOR 'LATIN2' TO 'UTF8' FROM iso8859_to_utf8;
COMMENT ON CONVERSION a.conv IS 'conv';

-- languages, am
CREATE FUNCTION a.plh() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION a.pli(internal) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION a.plv(oid) RETURNS void LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE LANGUAGE mylang HANDLER a.plh INLINE a.pli VALIDATOR a.plv;
CREATE TRUSTED LANGUAGE mylang2 HANDLER a.plh INLINE a.pli VALIDATOR a.plv;
GRANT USAGE ON LANGUAGE mylang2 TO definition_reader;
REVOKE USAGE ON LANGUAGE mylang2 FROM PUBLIC;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
COMMENT ON LANGUAGE mylang IS 'l';
CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
CREATE ACCESS METHOD gist2 TYPE INDEX HANDLER gisthandler;
COMMENT ON ACCESS METHOD heap2 IS 'heap2';
CREATE TABLE a.t_heap2 (a int) USING heap2;

-- text search
CREATE TEXT SEARCH PARSER a.pars (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH TEMPLATE a.tmpl (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY a.dict (TEMPLATE = a.tmpl, STOPWORDS = 'english', "accept" = false);
CREATE TEXT SEARCH DICTIONARY a.snow (TEMPLATE = snowball, Language = german, StopWords = german);
CREATE TEXT SEARCH DICTIONARY a.isp (TEMPLATE = ispell, DictFile = ispell_sample, AffFile = ispell_sample);
CREATE TEXT SEARCH DICTIONARY a.syn (TEMPLATE = synonym, SYNONYMS = synonym_sample, CaseSensitive = 1);
CREATE TEXT SEARCH DICTIONARY a.synonyms_of_phrases (TEMPLATE = thesaurus, DictFile = thesaurus_sample, Dictionary = pg_catalog.english_stem);
CREATE TEXT SEARCH CONFIGURATION a.conf (PARSER = a.pars);
ALTER TEXT SEARCH CONFIGURATION a.conf ADD MAPPING FOR asciiword, word WITH a.syn, a.isp, a.dict;
CREATE TEXT SEARCH CONFIGURATION a.conf2 (COPY = english);
ALTER TEXT SEARCH CONFIGURATION a.conf2 DROP MAPPING FOR email, url;
COMMENT ON TEXT SEARCH CONFIGURATION a.conf IS 'c';
COMMENT ON TEXT SEARCH DICTIONARY a.dict IS 'd';
COMMENT ON TEXT SEARCH PARSER a.pars IS 'p';
COMMENT ON TEXT SEARCH TEMPLATE a.tmpl IS 't';

-- collations
CREATE COLLATION a.c_libc (LC_COLLATE = 'C', LC_CTYPE = 'POSIX');
CREATE COLLATION a.c_icu (PROVIDER = icu, LOCALE = 'de-u-co-phonebk');
CREATE COLLATION a.c_icu_loose (PROVIDER = icu, LOCALE = 'und-u-ks-level2', DETERMINISTIC = false);
CREATE COLLATION a.c_icu_old (PROVIDER = icu, LOCALE = 'de@collation=phonebook');
CREATE COLLATION a.c_icu_x (PROVIDER = icu, LOCALE = 'fr-CA-x-icu');
CREATE COLLATION a.c_icu_root (PROVIDER = icu, LOCALE = '');
CREATE COLLATION a.c_from FROM "de-x-icu";
CREATE COLLATION a.c_posix FROM "POSIX";
CREATE COLLATION a.c_utf (LOCALE = 'C.utf8');
COMMENT ON COLLATION a.c_icu IS 'c';
ALTER COLLATION a.c_icu OWNER TO definer;

-- foreign
CREATE FOREIGN DATA WRAPPER w OPTIONS (debug 'true', "Odd Opt" 'x=y');
CREATE SERVER s TYPE 'ty' VERSION '1' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'h', dbname 'd', fetch_size '10');
CREATE SERVER fs FOREIGN DATA WRAPPER file_fdw;
CREATE USER MAPPING FOR definer SERVER s OPTIONS (user 'u', password 'p''w');
CREATE USER MAPPING FOR "Weird ""Role""" SERVER s OPTIONS (user 'u', password_required 'false');
CREATE USER MAPPING FOR PUBLIC SERVER s;
CREATE FOREIGN TABLE a.ft (a int OPTIONS (column_name 'A x') NOT NULL DEFAULT 5, b text COLLATE "C" CHECK (b <> ''), c a.comp, gone int) SERVER s OPTIONS (schema_name 's', table_name 't"t');
ALTER FOREIGN TABLE a.ft DROP COLUMN gone;
CREATE FOREIGN TABLE a.ft2 (x text) SERVER fs OPTIONS (filename '/etc/passwd', delimiter ':');
GRANT USAGE ON FOREIGN SERVER s TO definer WITH GRANT OPTION;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO definition_reader;
COMMENT ON SERVER s IS 's';
COMMENT ON FOREIGN DATA WRAPPER postgres_fdw IS 'fdw comment of ext';

-- tables
CREATE SEQUENCE a.seq AS int INCREMENT -2 MINVALUE -100 MAXVALUE 100 START 50 CYCLE CACHE 4;
CREATE TABLE a.t (
  id bigint GENERATED ALWAYS AS IDENTITY (START 5 INCREMENT 2 MAXVALUE 1000 CYCLE CACHE 3) PRIMARY KEY,
  id2 smallint GENERATED BY DEFAULT AS IDENTITY,
  gen text GENERATED ALWAYS AS (lower(txt)) STORED,
  txt text COLLATE a.c_icu DEFAULT 'x' || 'y', j json, jb jsonb, js json[], arr int[3][4], v varchar(10), n numeric(5,2), iv interval day to second(2), ts timestamp(3) with time zone DEFAULT CURRENT_TIMESTAMP, tm time(1), b bit(3), vb bit varying(9), e a.e DEFAULT 'b', c a.comp, d a.dom DEFAULT '{q}', r a.textrange, h a.hstore, ci citext, "Quoted ""col""" int DEFAULT nextval('a.seq'::regclass), oidcol oid, reg regclass, x xml, ch "char", bp char(5), sh a.base
);
ALTER TABLE a.t ALTER txt SET STORAGE EXTERNAL, ALTER jb SET STORAGE MAIN, ALTER v SET STORAGE PLAIN, ALTER v SET STATISTICS 0, ALTER n SET STATISTICS 777, ALTER n SET (n_distinct = 5, n_distinct_inherited = -0.5);
ALTER TABLE a.t SET (fillfactor = 60, autovacuum_enabled = off, toast.autovacuum_enabled = false, toast.vacuum_truncate=false, parallel_workers = 3, user_catalog_table = true, toast_tuple_target = 200, log_autovacuum_min_duration = 5);
ALTER TABLE a.t REPLICA IDENTITY FULL;
ALTER TABLE a.t ADD COLUMN dropme int, ADD COLUMN fast text DEFAULT 'fast default', ADD COLUMN fast2 a.e DEFAULT 'mid', ADD COLUMN fast3 int[] DEFAULT '{1,2}', ADD COLUMN fast4 timestamptz DEFAULT '2020-01-01 00:00+02', ADD COLUMN fast5 float8 DEFAULT 1e-7, ADD COLUMN fast6 bytea DEFAULT '\x0102', ADD COLUMN fast7 interval DEFAULT '1 day 2:03', ADD COLUMN fast8 text DEFAULT NULL;
INSERT INTO a.t (txt) VALUES ('r');
ALTER TABLE a.t ADD COLUMN fast9 text DEFAULT 'with, "comma"', ADD COLUMN fast10 a.comp DEFAULT ROW('a', 1, '{}', '{}', now()), ADD COLUMN fast11 date DEFAULT '2001-02-03', ADD COLUMN fast12 numeric DEFAULT 1.500, ADD COLUMN fast13 float8 DEFAULT 1e-7, ADD COLUMN fast14 bytea DEFAULT '\x0102', ADD COLUMN fast15 regclass DEFAULT 'a.seq', ADD COLUMN fast16 interval DEFAULT '1 day 2:03', ADD COLUMN fast17 money DEFAULT 5, ADD COLUMN fast18 a.hstore DEFAULT 'a=>1';
ALTER TABLE a.t DROP COLUMN dropme;
COMMENT ON COLUMN a.t."Quoted ""col""" IS 'qc';
COMMENT ON TABLE a.t IS 't';
GRANT SELECT (txt, "Quoted ""col"""), UPDATE (j) ON a.t TO definition_reader WITH GRANT OPTION;
GRANT ALL ON a.t TO "Weird ""Role""";
REVOKE DELETE ON a.t FROM postgres;
CREATE TABLE a.acl_empty (a int); REVOKE ALL ON a.acl_empty FROM postgres;
CREATE TABLE a.acl_owner (a int); ALTER TABLE a.acl_owner OWNER TO definer; GRANT SELECT ON a.acl_owner TO PUBLIC;
CREATE TABLE a.acl_default_explicit (a int);
GRANT SELECT ON a.acl_default_explicit TO definition_reader;
REVOKE SELECT ON a.acl_default_explicit FROM definition_reader;
CREATE TABLE a.serials (s serial, bs bigserial, ss smallserial, def int DEFAULT nextval('a.seq'));
ALTER SEQUENCE a.seq OWNED BY a.serials.def;
CREATE UNLOGGED TABLE a.unl (id serial, i int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE a.typed OF a."Reserved.type ""q""" (a WITH OPTIONS PRIMARY KEY DEFAULT 5);
CREATE TABLE a.cons (
 a int CONSTRAINT c_pos CHECK (a > 0) NO INHERIT, b int UNIQUE DEFERRABLE INITIALLY DEFERRED, c int, d int, r int4range,
 CONSTRAINT uq UNIQUE (c) INCLUDE (d) WITH (fillfactor = 50), CONSTRAINT ex EXCLUDE USING gist (c WITH =, r WITH &&) WHERE (c > 0) DEFERRABLE,
 CONSTRAINT ck2 CHECK (a < b AND c IN (1,2,3) AND d BETWEEN 1 AND 5), CONSTRAINT pk PRIMARY KEY (a, c));
CREATE TABLE a.fk (a int, c int, d int REFERENCES a.cons (c) ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED, CONSTRAINT fk2 FOREIGN KEY (a, c) REFERENCES a.cons MATCH FULL ON DELETE SET DEFAULT);
ALTER TABLE a.fk ADD CONSTRAINT fk_nv FOREIGN KEY (c) REFERENCES a.cons (c) NOT VALID, ADD CONSTRAINT ck_nv CHECK (a > 1) NOT VALID;
CREATE TABLE a.selfref (id int PRIMARY KEY, p int REFERENCES a.selfref);
COMMENT ON CONSTRAINT fk_nv ON a.fk IS 'fk';
CREATE UNIQUE INDEX ridx ON a.cons (c, d DESC NULLS LAST) INCLUDE (b) WHERE d IS NOT NULL;
ALTER TABLE a.fk ALTER c SET NOT NULL;
CREATE UNIQUE INDEX fk_ri ON a.fk (c);
ALTER TABLE a.fk REPLICA IDENTITY USING INDEX fk_ri;
ALTER TABLE a.cons CLUSTER ON pk;
CREATE INDEX i_expr ON a.t ((txt || 'x') COLLATE "C" text_pattern_ops, lower(v), (j ->> 'a')) WITH (fillfactor = 44, deduplicate_items = off);
ALTER INDEX a.i_expr ALTER COLUMN 2 SET STATISTICS 321;
CREATE INDEX i_gin ON a.t USING gin (jb jsonb_path_ops, h) WITH (fastupdate = off, gin_pending_list_limit = 128);
CREATE INDEX i_trgm ON a.t USING gist (txt gist_trgm_ops (siglen = 32));
CREATE INDEX i_brin ON a.t USING brin (id, ts) WITH (pages_per_range = 4, autosummarize = on);
CREATE INDEX i_hash ON a.t USING hash (v varchar_ops); 
CREATE INDEX i_bloom ON a.serials USING bloom (s) WITH (length = 100) ;
CREATE INDEX i_spgist ON a.t USING spgist (r);
COMMENT ON INDEX a.i_expr IS 'ix';
CREATE STATISTICS a.stat (ndistinct, mcv) ON a, b, d FROM a.cons;
ALTER STATISTICS a.stat SET STATISTICS 9;
COMMENT ON STATISTICS a.stat IS 'st';
CREATE STATISTICS a.stat2 ON c, d FROM a.cons;
CREATE TABLE a.ncol (); 
CREATE TABLE a.alldropped (x int); ALTER TABLE a.alldropped DROP x;
CREATE TABLE a.fakestats AS SELECT 1 AS a; 
SELECT lo_from_bytea(4711, 'x'), lo_create(4712);
GRANT SELECT, UPDATE ON LARGE OBJECT 4711 TO definition_reader WITH GRANT OPTION;
REVOKE ALL ON LARGE OBJECT 4712 FROM postgres;
ALTER LARGE OBJECT 4712 OWNER TO definer;
COMMENT ON LARGE OBJECT 4711 IS 'lo';

-- inheritance, partitions
CREATE TABLE a.p (id int NOT NULL DEFAULT 1, t text CHECK (t <> ''), u int, CONSTRAINT pno CHECK (u > 0) NO INHERIT);
CREATE TABLE a.ch (id int DEFAULT 2, extra int) INHERITS (a.p);
CREATE TABLE a.ch2 (t text CHECK (t <> ''), id int) INHERITS (a.p);
CREATE TABLE a.p2 (u int DEFAULT 7, w text NOT NULL);
CREATE TABLE a.multi () INHERITS (a.p, a.p2);
CREATE TABLE a.grand (own int, id int DEFAULT 5) INHERITS (a.ch, a.ch2);
ALTER TABLE a.ch ALTER t SET STORAGE EXTERNAL, ALTER t SET NOT NULL, ALTER u SET DEFAULT 9;
ALTER TABLE a.ch2 ALTER COLUMN u DROP DEFAULT;
CREATE TABLE a.orphan () INHERITS (a.p);
ALTER TABLE a.orphan NO INHERIT a.p;
ALTER TABLE ONLY a.p DROP COLUMN u;
CREATE TABLE a.late (id int NOT NULL, t text, u int, x int);
ALTER TABLE a.late ADD CONSTRAINT p_t_check CHECK (t <> '');
ALTER TABLE a.late INHERIT a.p;
CREATE TABLE a.late2 (id int NOT NULL, t text CONSTRAINT p_t_check CHECK (t <> ''), u int, x int);
ALTER TABLE a.late2 INHERIT a.p;
CREATE TABLE a.genp (a int, g int GENERATED ALWAYS AS (a * 2) STORED); CREATE TABLE a.genc () INHERITS (a.genp);
CREATE TABLE a.part (k int, t text COLLATE "C" DEFAULT 'd', d date NOT NULL, v int CHECK (v > 0), PRIMARY KEY (k, d)) PARTITION BY RANGE (d, k);
CREATE TABLE a.part1 PARTITION OF a.part (v DEFAULT 3, CONSTRAINT extra CHECK (v < 100)) FOR VALUES FROM ('2020-01-01', MINVALUE) TO ('2021-01-01', MINVALUE) WITH (fillfactor=33);
CREATE TABLE a.part2 (v int DEFAULT 8, gone int, d date NOT NULL, t text COLLATE "C", k int NOT NULL);
ALTER TABLE a.part2 DROP gone;
ALTER TABLE a.part2 ADD CONSTRAINT part_v_check CHECK (v > 0);
ALTER TABLE a.part ATTACH PARTITION a.part2 FOR VALUES FROM ('2021-01-01', MINVALUE) TO (MAXVALUE, MAXVALUE);
CREATE TABLE a.partd PARTITION OF a.part DEFAULT PARTITION BY LIST (k);
CREATE TABLE a.partd1 PARTITION OF a.partd FOR VALUES IN (1, 2) PARTITION BY HASH (k);
CREATE TABLE a.partd1h PARTITION OF a.partd1 FOR VALUES WITH (MODULUS 4, REMAINDER 1);
CREATE INDEX part_i ON a.part (t, (v + 1)) WHERE v > 0;
CREATE INDEX part_only ON ONLY a.part (v);
CREATE INDEX p1v ON a.part1 (v);
ALTER INDEX a.part_only ATTACH PARTITION a.p1v;
CREATE UNIQUE INDEX part_u ON a.part (d, k, v);
ALTER TABLE a.part1 ALTER COLUMN t SET STORAGE EXTERNAL;
ALTER TABLE a.part1 ALTER t SET NOT NULL;
ALTER TABLE a.part1 ALTER t SET DEFAULT 'other';
CREATE TABLE a.det PARTITION OF a.partd FOR VALUES IN (7); ALTER TABLE a.partd DETACH PARTITION a.det;
CREATE TABLE a.ptfk (k int, d date, o int REFERENCES a.selfref, FOREIGN KEY (k, d) REFERENCES a.part ON DELETE CASCADE) PARTITION BY LIST (k);
CREATE TABLE a.ptfk1 PARTITION OF a.ptfk FOR VALUES IN (1);
CREATE TABLE a.ptfk2 (o int REFERENCES a.selfref, k int, d date);
ALTER TABLE a.ptfk ATTACH PARTITION a.ptfk2 FOR VALUES IN (2);
CREATE TABLE a.pf (k int, z text NOT NULL) PARTITION BY LIST (k);
CREATE FOREIGN TABLE a.pfor PARTITION OF a.pf (z DEFAULT 'z') FOR VALUES IN (3) SERVER s;
CREATE TABLE a.ptopc (t text, e a.e, b a.dom2) PARTITION BY RANGE (t COLLATE "C" text_pattern_ops, (lower(t)) , e);
CREATE TABLE a.ptopc1 PARTITION OF a.ptopc FOR VALUES FROM ('a', 'a', 'b') TO ('b', 'b', 'mid');

-- views, rules
CREATE VIEW a.v AS SELECT id, txt AS "T t", j, count(*) OVER (PARTITION BY v ORDER BY id) FROM a.t;
CREATE VIEW a.v2 WITH (security_barrier = true, check_option = 'local') AS SELECT * FROM a.cons WHERE a > 5;
CREATE VIEW a.v3 (x, y) AS VALUES (1, 'a'::text), (2, 'b');
ALTER VIEW a.v3 ALTER x SET DEFAULT 5;
COMMENT ON VIEW a.v3 IS 'v';
COMMENT ON COLUMN a.v3.x IS 'vx';
CREATE VIEW a.vcirc1 AS SELECT 1 AS a;
CREATE VIEW a.vcirc2 AS SELECT * FROM a.vcirc1;
CREATE OR REPLACE VIEW a.vcirc1 AS SELECT 2 AS a;
CREATE VIEW a.vpk AS SELECT id, txt, count(*) FROM a.t GROUP BY id;
CREATE MATERIALIZED VIEW a.mvh USING heap2 AS SELECT 1 AS q WITH NO DATA;
CREATE MATERIALIZED VIEW a.mv WITH (fillfactor = 50) AS SELECT id, txt FROM a.t WITH NO DATA;
CREATE UNIQUE INDEX mvi ON a.mv (id);
ALTER MATERIALIZED VIEW a.mv CLUSTER ON mvi;
ALTER MATERIALIZED VIEW a.mv ALTER txt SET STATISTICS 9, ALTER txt SET STORAGE EXTERNAL;
CREATE MATERIALIZED VIEW a.mv2 AS SELECT 1 AS one;
CREATE RULE r1 AS ON INSERT TO a.v DO INSTEAD INSERT INTO a.fk VALUES (NEW.id);
CREATE RULE r2 AS ON UPDATE TO a.cons WHERE OLD.a > 5 DO ALSO INSERT INTO a.fk VALUES (OLD.a);
ALTER TABLE a.cons ENABLE ALWAYS RULE r2;
COMMENT ON RULE r2 ON a.cons IS 'r2';
CREATE RULE r3 AS ON DELETE TO a.cons DO INSTEAD NOTHING;
ALTER TABLE a.cons DISABLE RULE r3;
ALTER TABLE a.v RENAME COLUMN "T t" TO renamed;

-- triggers
CREATE FUNCTION a.tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr1 BEFORE INSERT OR UPDATE OF txt, "Quoted ""col""" ON a.t FOR EACH ROW WHEN (NEW.txt IS NOT NULL) EXECUTE FUNCTION a.tr('arg 1', 'ü''q', '', E'a\\b');
CREATE TRIGGER tr2 AFTER UPDATE ON a.t REFERENCING OLD TABLE AS o NEW TABLE AS "N w" FOR EACH STATEMENT EXECUTE FUNCTION a.tr();
CREATE TRIGGER tr3 INSTEAD OF INSERT ON a.v3 FOR EACH ROW EXECUTE FUNCTION a.tr();
CREATE CONSTRAINT TRIGGER tr4 AFTER INSERT ON a.fk FROM a.cons DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION a.tr();
ALTER TABLE a.t ENABLE REPLICA TRIGGER tr1, DISABLE TRIGGER tr2;
CREATE TRIGGER ptr AFTER INSERT ON a.part FOR EACH ROW EXECUTE FUNCTION a.tr();
ALTER TABLE a.part1 DISABLE TRIGGER ptr;
ALTER TABLE a.part2 ENABLE ALWAYS TRIGGER ptr;
CREATE TRIGGER ptr2 BEFORE UPDATE ON a.part FOR EACH STATEMENT EXECUTE FUNCTION a.tr();
CREATE TRIGGER ptr3 AFTER DELETE ON a.part FOR EACH ROW EXECUTE FUNCTION a.tr();
ALTER TABLE a.part DISABLE TRIGGER ptr3;
CREATE CONSTRAINT TRIGGER pctr AFTER INSERT ON a.part DEFERRABLE FOR EACH ROW EXECUTE FUNCTION a.tr();
COMMENT ON TRIGGER tr1 ON a.t IS 'tr';
CREATE FUNCTION a.evt() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER et1 ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION a.evt();
ALTER EVENT TRIGGER et1 ENABLE ALWAYS;
CREATE EVENT TRIGGER et2 ON table_rewrite EXECUTE FUNCTION a.evt();
ALTER EVENT TRIGGER et2 DISABLE;
COMMENT ON EVENT TRIGGER et1 IS 'et';
ALTER EVENT TRIGGER et1 OWNER TO postgres;

-- policies, publications
ALTER TABLE a.t ENABLE ROW LEVEL SECURITY;
ALTER TABLE a.cons FORCE ROW LEVEL SECURITY;
CREATE POLICY po1 ON a.t FOR ALL TO definer, definition_reader USING (id > 5) WITH CHECK (txt IS NOT NULL);
CREATE POLICY po2 ON a.t AS RESTRICTIVE FOR DELETE USING (true);
CREATE POLICY po3 ON a.t FOR INSERT TO PUBLIC WITH CHECK (EXISTS (SELECT FROM a.cons));
COMMENT ON POLICY po1 ON a.t IS 'po';
CREATE PUBLICATION pub1 FOR TABLE a.t, ONLY a.p, a.part WITH (publish = 'insert', publish_via_partition_root = true);
CREATE PUBLICATION pub2 FOR ALL TABLES;
CREATE PUBLICATION pub3;
COMMENT ON PUBLICATION pub1 IS 'pu';
ALTER PUBLICATION pub3 OWNER TO definer;
CREATE SUBSCRIPTION sub1 CONNECTION 'host=nowhere dbname=x password=secret' PUBLICATION p1, "P 2" WITH (connect = false, slot_name = 'slot1', synchronous_commit = 'remote_apply');
COMMENT ON SUBSCRIPTION sub1 IS 'su';

-- privileges
ALTER DEFAULT PRIVILEGES FOR ROLE definer GRANT SELECT ON TABLES TO definition_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE definer IN SCHEMA a GRANT ALL ON SEQUENCES TO PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE definer REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE definer REVOKE USAGE ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE definer GRANT USAGE ON SCHEMAS TO definition_reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE definer REVOKE ALL ON TABLES FROM definer;
GRANT USAGE ON SCHEMA a TO definition_reader;
GRANT CREATE ON SCHEMA "B b" TO PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SEQUENCE a.seq TO definition_reader;
COMMENT ON SCHEMA public IS NULL;
GRANT SELECT ON pg_catalog.pg_statistic TO definition_reader;
REVOKE SELECT ON pg_catalog.pg_settings FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO definition_reader;
REVOKE EXECUTE ON FUNCTION pg_catalog.lower(text) FROM PUBLIC;
GRANT SELECT (rolpassword) ON pg_catalog.pg_authid TO definition_reader;
REVOKE USAGE ON TYPE pg_catalog.int4 FROM PUBLIC;
GRANT USAGE ON SCHEMA pg_catalog TO definition_reader;
REASSIGN OWNED BY "Weird ""Role""" TO definer;

-- New in 14.
CREATE TABLE a.comp14 (t text COMPRESSION pglz, m int4multirange, r a.textrange);
CREATE FUNCTION a.std(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a + count(*)::int FROM a.t; END;
CREATE FUNCTION a.ret(a int) RETURNS int RETURN a + 1;
CREATE STATISTICS a.sx ON (a + b), (c % 5) FROM a.cons; CREATE STATISTICS a.sx1 ON (a * 2) FROM a.cons;
CREATE FUNCTION a.anyc(anycompatible, anycompatiblemultirange) RETURNS anycompatible LANGUAGE sql AS 'SELECT $1';
CREATE TYPE a.mr AS RANGE (subtype = float8, multirange_type_name = a."My multi");
CREATE PROCEDURE a.outp(OUT x int, IN y text) LANGUAGE plpgsql AS 'BEGIN x := 1; END';
CREATE INDEX i_multi ON a.comp14 USING gist (m);
CREATE SUBSCRIPTION sub14 CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, binary = true, streaming = true, slot_name = NONE, enabled = false);
CREATE TABLE a.detp (a int) PARTITION BY LIST (a); CREATE TABLE a.detp1 PARTITION OF a.detp FOR VALUES IN (1);
CREATE FUNCTION a.subscr(internal) RETURNS internal LANGUAGE internal STRICT AS 'raw_array_subscript_handler';

-- New in 15.
CREATE PUBLICATION pf FOR TABLE a.cons (a, c) WHERE (a > 5), a.serials;
CREATE PUBLICATION ps FOR TABLES IN SCHEMA a, "B b";
CREATE VIEW a.vinv WITH (security_invoker = true) AS SELECT * FROM a.cons;
CREATE TABLE a.nnd (a int, UNIQUE NULLS NOT DISTINCT (a));
CREATE UNIQUE INDEX nndi ON a.nnd (a) NULLS NOT DISTINCT WHERE a > 1;
CREATE TABLE a.fk15 (a int, b int, FOREIGN KEY (a, b) REFERENCES a.cons (a, c) ON DELETE SET NULL (b));
GRANT SET ON PARAMETER work_mem TO definition_reader;
GRANT ALTER SYSTEM, SET ON PARAMETER log_statement TO definer WITH GRANT OPTION;
GRANT SET ON PARAMETER my.own TO definer;
CREATE UNLOGGED SEQUENCE a.useq;
CREATE SUBSCRIPTION sub15 CONNECTION 'host=nowhere' PUBLICATION p WITH (connect = false, two_phase = true, disable_on_error = true);

\connect postgres

GRANT pg_monitor TO definer WITH ADMIN OPTION;
GRANT definition_reader TO definer;
COMMENT ON ROLE definer IS 'o';
REVOKE CONNECT ON DATABASE definitions FROM PUBLIC;
GRANT CREATE ON DATABASE definitions TO definition_reader;
COMMENT ON DATABASE definitions IS 'k';
ALTER DATABASE definitions CONNECTION LIMIT 17;
