-- Four hundred tables of twelve columns: their system catalog is large enough for queries on it to be
-- JIT-compiled, which fails if the server does not find the LLVM library.
-- Each paragraph is one message; see everything.sql.

CREATE DATABASE wide;

\connect wide

DO $$
BEGIN
    FOR i IN 1..400 LOOP
        EXECUTE format('CREATE TABLE wide_%s (c1 int PRIMARY KEY, c2 int NOT NULL DEFAULT %1$s, c3 text, c4 text, c5 numeric,'
            ' c6 timestamptz, c7 date, c8 bool, c9 jsonb, c10 uuid, c11 bytea, c12 int CHECK (c12 > 0))', i);
        EXECUTE format('INSERT INTO wide_%s SELECT g, %1$s, md5(g::text), NULL, g / 3.0, to_timestamp(g), ''epoch'', g %% 2 = 0,'
            ' to_jsonb(g), md5(g::text)::uuid, ''x'', g FROM generate_series(1, 5) g', i);
    END LOOP;
END $$;
