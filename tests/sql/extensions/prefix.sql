CREATE EXTENSION prefix;

CREATE TABLE tariffs (prefix prefix_range PRIMARY KEY, price int);
INSERT INTO tariffs SELECT g::text, g FROM generate_series(1, 999) g;
CREATE INDEX tariffs_prefix ON tariffs USING gist (prefix);

-- checks

SELECT uses_index('tariffs_prefix', $$SELECT FROM tariffs WHERE prefix @> '493012345'$$);
SELECT count_by_index($$SELECT FROM tariffs WHERE prefix @> '493012345'$$) = 3;
SELECT price = 493 FROM tariffs WHERE prefix @> '493012345' ORDER BY length(prefix) DESC LIMIT 1;
