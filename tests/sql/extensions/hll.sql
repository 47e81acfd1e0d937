CREATE EXTENSION hll;

CREATE TABLE visitors (day date PRIMARY KEY, users hll, expected bigint);
INSERT INTO visitors
SELECT date '2024-01-01' + d, hll_add_agg(hll_hash_bigint(u)), round(hll_cardinality(hll_add_agg(hll_hash_bigint(u))))
FROM generate_series(0, 9) d, generate_series(1, 200 + d * 10) u GROUP BY d;

-- checks

SELECT bool_and(round(#users) = expected) FROM visitors;
SELECT round(#hll_union_agg(users)) = max(expected) FROM visitors;
SELECT count(*) = 1 FROM visitors WHERE users = (SELECT hll_add_agg(hll_hash_bigint(u)) FROM generate_series(1, 200) u);
