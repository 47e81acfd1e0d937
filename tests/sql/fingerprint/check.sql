-- Invariants of each database after an upgrade. Each row is a problem.

SELECT format('index %s is not valid', indexrelid::regclass) FROM pg_index WHERE NOT indisvalid;

CREATE EXTENSION IF NOT EXISTS amcheck;

-- Also proves that every row can be found through each index.
CREATE TEMP TABLE pgops_problems (problem text);

DO $$
DECLARE i regclass;
BEGIN
    FOR i IN SELECT c.oid FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid JOIN pg_am a ON a.oid = relam
        WHERE amname = 'btree' AND relkind = 'i' AND relpersistence <> 't' AND indisvalid AND indisready
    LOOP
        BEGIN
            PERFORM bt_index_check(i, true);
        EXCEPTION WHEN OTHERS THEN
            INSERT INTO pgops_problems VALUES (format('index %s: %s', i, SQLERRM));
        END;
    END LOOP;
END $$;

SELECT problem FROM pgops_problems;
