-- Enough rows for an upgrade of noticeable duration.
-- Each paragraph is one message; see everything.sql.

CREATE DATABASE sales;

\connect sales

CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, joined date);
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers, at timestamptz, total numeric(10, 2));

INSERT INTO customers SELECT g, 'customer ' || g, date '2015-01-01' + g % 3000 FROM generate_series(1, 20000) g;

INSERT INTO orders (customer, at, total)
SELECT 1 + g % 20000, timestamptz '2020-01-01Z' + make_interval(mins => g), (g % 10007) / 7.0 FROM generate_series(1, 300000) g;

CREATE INDEX ON orders (customer, at);

VACUUM ANALYZE;
