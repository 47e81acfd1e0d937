CREATE EXTENSION btree_gist;
CREATE EXTENSION periods;

CREATE TABLE contracts (id int, text text, starts date NOT NULL, ends date NOT NULL);
SELECT periods.add_period('contracts', 'validity', 'starts', 'ends');
SELECT periods.add_unique_key('contracts', ARRAY['id'], 'validity', 'contracts_key');
INSERT INTO contracts SELECT g % 50, 'contract ' || g, date '2020-01-01' + g / 50, date '2020-01-02' + g / 50 FROM generate_series(0, 499) g;
CREATE TABLE prices (item text PRIMARY KEY, price int);
SELECT periods.add_system_time_period('prices');
SELECT periods.add_system_versioning('prices');
INSERT INTO prices SELECT 'item ' || g, g FROM generate_series(1, 20) g;

UPDATE prices SET price = price + 100;

-- checks

SELECT period_name = 'validity' FROM periods.periods WHERE table_name = 'contracts'::regclass;
SELECT count(*) = 500 FROM contracts;
SELECT count(*) = 20 AND min(price) = 1 FROM prices_history;
SELECT count(*) = 40 FROM prices_with_history;
SELECT key_name = 'contracts_key' FROM periods.unique_keys;
