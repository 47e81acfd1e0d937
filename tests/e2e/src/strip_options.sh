# Some builds of older versions store an option with every column that 18 cannot restore: a manual upgrade must remove it
# from the old server. psql connects to that server as its superuser.
strip_options() {
    local name
    psql -XAtz0 -d postgres -c "SELECT datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2" |
        while IFS= read -r -d '' name; do
            name=${name//\\/\\\\}
            psql -Xq -d "dbname='${name//\'/\\\'}'" -c "UPDATE pg_attribute SET attoptions = nullif(ARRAY(
                SELECT option FROM unnest(attoptions) AS option WHERE option NOT LIKE 'pg\_attver=%'), '{}')
                WHERE array_to_string(attoptions, ' ') LIKE '%pg\_attver=%'" || true
        done
}
