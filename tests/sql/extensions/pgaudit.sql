CREATE EXTENSION pgaudit;

CREATE ROLE auditor;
GRANT auditor TO app;
ALTER ROLE app SET pgaudit.log = 'read, write';
CREATE TABLE audited (id int);
GRANT SELECT ON audited TO auditor;

-- checks

SELECT current_setting('pgaudit.log') = 'ddl, role';
SELECT count(*) = 2 FROM pg_event_trigger WHERE evtname LIKE 'pgaudit%';
SELECT setconfig[1] = 'pgaudit.log=read, write' FROM pg_db_role_setting WHERE setrole = 'app'::regrole;
