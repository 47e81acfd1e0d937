CREATE EXTENSION pg_cron;

SELECT cron.schedule('nightly', '0 3 1 1 *', 'VACUUM');
SELECT cron.schedule('0 4 1 1 *', $$DELETE FROM imagined WHERE id < 0$$);
GRANT USAGE ON SCHEMA cron TO app;

-- checks

SELECT string_agg(format('%s %s %s %s', jobid, schedule, command, jobname), ';' ORDER BY jobid)
    = '1 0 3 1 1 * VACUUM nightly;2 0 4 1 1 * DELETE FROM imagined WHERE id < 0 ' FROM cron.job;
SELECT bool_and(database = current_database() AND active AND username = 'postgres') FROM cron.job;
SELECT nextval('cron.jobid_seq') > 2;
SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'pg_cron%';
