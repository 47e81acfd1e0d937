CREATE SCHEMA partman;
CREATE EXTENSION pg_partman SCHEMA partman;

CREATE TABLE measurements (taken timestamptz NOT NULL, value int) PARTITION BY RANGE (taken);
CREATE INDEX measurements_taken ON measurements (taken);
SELECT partman.create_parent('public.measurements', 'taken', 'native', 'yearly', p_start_partition := '2020-01-01', p_premake := 2);
INSERT INTO measurements SELECT timestamptz '2020-01-01' + make_interval(days => g), g FROM generate_series(0, 1999) g;
CREATE TABLE numbered (id bigint NOT NULL, value int) PARTITION BY RANGE (id);
SELECT partman.create_parent('public.numbered', 'id', 'native', '1000', p_premake := 2);
INSERT INTO numbered SELECT g, g FROM generate_series(1, 2500) g;

-- checks

SELECT string_agg(format('%s %s %s', parent_table, control, premake), ';' ORDER BY parent_table)
    = 'public.measurements taken 2;public.numbered id 2' FROM partman.part_config;
SELECT count(*) = 2000 AND sum(value) = 1999000 FROM measurements;
SELECT count(*) = 366 FROM measurements_p2020 WHERE extract(year FROM taken) = 2020;
SELECT count_by_index($$SELECT FROM measurements WHERE taken < '2020-02-01'$$) = 31;
SELECT count(*) = 2500 FROM numbered;
SELECT partition_table = 'numbered_p1000' FROM partman.show_partition_name('public.numbered', '1234');
