CREATE EXTENSION unit;

CREATE TABLE quantities (id int PRIMARY KEY, amount unit);
INSERT INTO quantities SELECT g, (g || ' m')::unit FROM generate_series(1, 300) g;
CREATE INDEX quantities_amount ON quantities (amount);
INSERT INTO unit_units (name, unit, shift) VALUES ('furlongs_of_shop', '201.168 m', NULL);

-- checks

SELECT uses_index('quantities_amount', $$SELECT FROM quantities WHERE amount > '0.2 km'$$);
SELECT count_by_index($$SELECT FROM quantities WHERE amount > '0.2 km'$$) = 100;
SELECT sum(amount) = '45.15 km'::unit FROM quantities;
SELECT '2 furlongs_of_shop'::unit = '402.336 m'::unit;
