CREATE EXTENSION vector;

CREATE TABLE embeddings (id int PRIMARY KEY, position vector(3), half halfvec(3));
INSERT INTO embeddings SELECT g, ARRAY[g, g % 10, 1]::vector, ARRAY[g % 100, 1, 2]::halfvec FROM generate_series(1, 500) g;
CREATE INDEX embeddings_hnsw ON embeddings USING hnsw (position vector_l2_ops);
CREATE INDEX embeddings_ivfflat ON embeddings USING ivfflat (half halfvec_cosine_ops) WITH (lists = 5);

-- checks

SELECT uses_index('embeddings_hnsw', $$SELECT FROM embeddings ORDER BY position <-> '[77, 7, 1]' LIMIT 1$$);
SELECT id = 77 FROM embeddings ORDER BY position <-> '[77, 7, 1]' LIMIT 1;
SELECT uses_index('embeddings_ivfflat', $$SELECT FROM embeddings ORDER BY half <=> '[7, 1, 2]' LIMIT 5$$);
SELECT count(*) = 500 AND avg(position) = '[250.5, 4.5, 1]' FROM embeddings;
