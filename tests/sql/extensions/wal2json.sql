-- The slot does not survive an upgrade from before 17, and is created again.
CREATE TABLE IF NOT EXISTS fed (id int PRIMARY KEY);

SELECT pg_create_logical_replication_slot('feed', 'wal2json');

-- checks

SELECT plugin = 'wal2json' FROM pg_replication_slots WHERE slot_name = 'feed';
