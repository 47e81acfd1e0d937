CREATE EXTENSION rum;

CREATE TABLE articles (id int PRIMARY KEY, body tsvector, written timestamp);
INSERT INTO articles
SELECT g, to_tsvector('english', format('the quick brown fox number %s jumps over %s dogs', g, g % 7)), timestamp '2024-01-01' + make_interval(hours => g)
FROM generate_series(1, 700) g;
CREATE INDEX articles_body ON articles USING rum (body rum_tsvector_ops);
CREATE INDEX articles_written ON articles USING rum (body rum_tsvector_addon_ops, written) WITH (attach = 'written', to = 'body');
-- Its indexes are compared by statistics.
ANALYZE articles;

-- checks

SELECT uses_index('articles_body', $$SELECT FROM articles WHERE body @@ to_tsquery('english', '3 & dog') ORDER BY body <=> to_tsquery('english', '3 & dog')$$);
SELECT count_by_index($$SELECT FROM articles WHERE body @@ to_tsquery('english', '3 & dog')$$) = 100;
SELECT count_by_index($$SELECT FROM articles WHERE body @@ to_tsquery('english', 'number <-> 77')$$) = 1;
SELECT uses_index('articles_written', $$SELECT FROM articles WHERE body @@ to_tsquery('english', 'fox') ORDER BY written <=> timestamp '2024-01-02' LIMIT 3$$);
