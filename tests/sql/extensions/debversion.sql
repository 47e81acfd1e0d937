CREATE EXTENSION debversion;

CREATE TABLE packages (name text, version debversion, UNIQUE (name, version));
CREATE INDEX packages_by_version ON packages (version);
INSERT INTO packages SELECT 'libpq5', (ARRAY['13.16-0+deb11u1', '13.9-1', '1:1.0~rc1', '9.6.24-2+b1'])[g % 4 + 1] || '.' || g
FROM generate_series(1, 400) g;
CREATE TABLE latest AS SELECT 'libpq5' AS name, max(version) AS version FROM packages;

-- checks

SELECT uses_index('packages_by_version', $$SELECT FROM packages WHERE version < '13.10'$$);
SELECT count_by_index($$SELECT FROM packages WHERE version < '13.10'$$) = 200;
SELECT count_by_index($$SELECT FROM packages WHERE version >= '1:0'$$) = 100;
SELECT max(version) = (SELECT version FROM latest) FROM packages;
SELECT '13.9' < '13.16'::debversion AND '1.0~rc1' < '1.0'::debversion AND NOT '2' > '10'::debversion;
