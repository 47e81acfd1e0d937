-- What the checks of the other files use.

CREATE ROLE app LOGIN;

-- Whether the plan of a query uses an index. Tables this small are read whole unless that is switched off.
CREATE FUNCTION uses_index(index_name text, query text) RETURNS boolean LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || query LOOP
        IF line LIKE '%' || index_name || '%' THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END $$;

-- The number of rows that a query finds without reading tables whole.
CREATE FUNCTION count_by_index(query text) RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    found bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM (' || query || ') AS found' INTO found;
    RETURN found;
END $$;

-- checks

SELECT pg_get_userbyid(nspowner) IS NOT NULL FROM pg_namespace WHERE nspname = 'public';
