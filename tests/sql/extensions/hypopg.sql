CREATE EXTENSION hypopg;

CREATE TABLE imagined AS SELECT g AS id FROM generate_series(1, 1000) g;

-- checks

SELECT indexname LIKE '%btree_imagined_id' FROM hypopg_create_index('CREATE INDEX ON imagined (id)');
SELECT uses_index('btree_imagined_id', 'SELECT FROM imagined WHERE id = 7');
SELECT count(*) = 1 FROM hypopg();
SELECT hypopg_reset() IS NOT NULL;
