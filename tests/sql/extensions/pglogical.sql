CREATE EXTENSION pglogical;

CREATE TABLE replicated (id int PRIMARY KEY, value text);
INSERT INTO replicated SELECT g, 'value ' || g FROM generate_series(1, 100) g;
SELECT pglogical.create_node('provider', 'host=provider.invalid dbname=extensions');
SELECT pglogical.create_replication_set('orders', replicate_delete := false);
SELECT pglogical.replication_set_add_table('orders', 'public.replicated');
CREATE SEQUENCE counted START 500;
SELECT pglogical.replication_set_add_sequence('orders', 'public.counted');

-- checks

SELECT node_name = 'provider' FROM pglogical.node JOIN pglogical.local_node USING (node_id);
SELECT set_name = 'orders' AND NOT replicate_delete FROM pglogical.replication_set WHERE set_name = 'orders';
SELECT set_name = 'orders' FROM pglogical.tables WHERE relname = 'replicated';
SELECT count(*) = 100 FROM pglogical.table_data_filtered(NULL::replicated, 'replicated', ARRAY['orders']);
SELECT count(*) = 1 FROM pglogical.sequence_state JOIN pg_class ON seqoid = pg_class.oid WHERE relname = 'counted';
SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pglogical supervisor';
