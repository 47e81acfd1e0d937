# Runs PostgreSQL's own pg_upgrade on a copy of the data. Defined before: old and new, the major versions;
# initdb_options; strip_options; removals, a psql script that removes all other cases; omitted_oids, the databases that
# are not copied.
set -euo pipefail
oldbin=/pgops/old/usr/lib/postgresql/$old/bin
pristine=/tmp/pristine work=/tmp/work
export PGHOST=/tmp PGUSER=postgres LC_ALL=C PGOPTIONS='-c client_min_messages=warning'

mkdir -p $work
echo 'local all all trust' >/tmp/hba
options='-c jit=off -c fsync=off -c wal_level=logical -c max_replication_slots=50 -c max_prepared_transactions=20'
options+=' -c shared_preload_libraries= -c hba_file=/tmp/hba'
# shellcheck disable=SC2086  # several options
[[ -d $pristine ]] || initdb --no-sync --username=postgres $initdb_options --pgdata=$pristine >/dev/null

# No server may use the cluster: it would hold this lock.
find /var/pv -mindepth 1 -delete
exclude=(--exclude=lost+found)
for oid in $omitted_oids; do exclude+=("--exclude=$old/data/base/$oid"); done
shopt -s dotglob
cd /source && flock --nonblock .pgops/interlock tar "${exclude[@]}" -cf - -- * | tar -C /var/pv -xpf -
mkdir -p "/var/pv/$new" && cp -a $pristine "/var/pv/$new/data"

server() { "$oldbin/pg_ctl" -D "/var/pv/$old/data" -w -s -l /tmp/server.log "$@" || { cat /tmp/server.log; exit 1; }; }
if [[ -n $removals || $new == 18 ]]; then
    server -o "$options -c listen_addresses= -c unix_socket_directories=/tmp" start
    psql -X -q -v ON_ERROR_STOP=on -d postgres -f - <<<"$removals" >/dev/null
    [[ $new != 18 ]] || strip_options
    server -m fast stop
fi

cd $work && find . -mindepth 1 -delete
upgrade() {
    pg_upgrade --old-bindir "$oldbin" --new-bindir "/usr/lib/postgresql/$new/bin" \
        --old-datadir "/var/pv/$old/data" --new-datadir "/var/pv/$new/data" --username postgres --socketdir /tmp \
        --old-options "$options" --new-options "$options" --link "$@" >output 2>&1
}
if ! upgrade --check; then
    outcome=check-failed
elif ! upgrade; then
    outcome=upgrade-failed
else
    outcome=passed
fi
cat output
# Only a failed run leaves reports and logs.
find . "/var/pv/$new/data/pg_upgrade_output.d" \( -name '*.txt' -o -name '*dump*.log' -o -name '*restore*.log' -o -name '*utility.log' \) \
    -exec grep -H -a -E '' {} + 2>/dev/null | grep -a -E '\.txt:|rror:|ERROR|FATAL|Command was|^CREATE|newline' | tail -n 60 || true
echo "outcome: $outcome"
