-- Text in a one-byte encoding, sorted by a language's rules.
-- Each paragraph is one message; see everything.sql.

CREATE DATABASE worte;

CREATE DATABASE in_c TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C';

\connect worte

CREATE TABLE wort (w text PRIMARY KEY, upper_w text, UNIQUE (upper_w));
INSERT INTO wort SELECT v, upper(v) FROM (
    SELECT (ARRAY['Äpfel', 'apfel', 'Öl', 'offen', 'Übel', 'ß-Laut', 'straße', 'Zebra', 'élan', 'a-b', 'ab', 'a b'])[1 + g % 12] || g AS v
    FROM generate_series(1, 600) g
) s;
CREATE INDEX ON wort (w DESC, upper_w);
CREATE INDEX ON wort (w text_pattern_ops);
CREATE TABLE nach_wort (w text, n int) PARTITION BY RANGE (w);
CREATE TABLE bis_m PARTITION OF nach_wort FOR VALUES FROM (MINVALUE) TO ('m');
CREATE TABLE ab_m PARTITION OF nach_wort FOR VALUES FROM ('m') TO (MAXVALUE);
INSERT INTO nach_wort SELECT w, length(w) FROM wort;
COMMENT ON TABLE wort IS 'Wörter';

\connect in_c

CREATE TABLE plain AS SELECT chr(192 + g % 60) AS c, g FROM generate_series(1, 60) g;
