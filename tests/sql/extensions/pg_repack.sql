CREATE EXTENSION pg_repack;

-- checks

SELECT count(*) > 0 FROM repack.tables;
SELECT repack.version() IS NOT NULL;
