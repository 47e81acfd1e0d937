# The fastest possible upgrade without pgops: stop, pg_upgrade, start, in one container with the programs of both
# versions. The last line of the output has the milliseconds of each part. Defined before: strip_options.
set -euo pipefail
umask 077
cd /tmp

now() { date +%s%3N; }
bindir() { # ROOT DIRECTORY…
    root=$1
    shift
    for directory; do
        if [ -x "$root$directory/pg_ctl" ]; then
            echo "$root$directory"
            return
        fi
    done
    echo "no pg_ctl in $* below \"$root\"" >&2
    exit 1
}
old=$(bindir "$OLD_ROOT" $OLD_BINDIRS)
new=$(bindir "" $NEW_BINDIRS)
# No JIT: its library is not staged. A dump locks all tables at once.
options="-c jit=off -c max_locks_per_transaction=$LOCKS"
private="$options -c listen_addresses= -c unix_socket_directories=/tmp"
export PATH=$new:$PATH PGHOST=/tmp PGUSER=postgres
sql() { psql --no-psqlrc --quiet --command="$1" postgres; }

"$new/initdb" --pgdata="$VOLUME/new" --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --data-checksums
"$old/pg_ctl" --pgdata="$VOLUME/old" --log=old.log --options="$private" --timeout=600 --wait start
sql 'CREATE TABLE floor (n int)'
case $new in */18/*) strip_options ;; esac
sql 'CHECKPOINT'
# Includes the base backup: unwritten data would be written during the outage.
sync --file-system "$VOLUME"

begin=$(now)
"$old/pg_ctl" --pgdata="$VOLUME/old" --mode=fast --timeout=600 --wait stop
stopped=$(now)
"$new/pg_upgrade" --old-bindir="$old" --new-bindir="$new" --old-datadir="$VOLUME/old" --new-datadir="$VOLUME/new" \
    --username=postgres --socketdir=/tmp --jobs="$(nproc)" --old-options="$options" --new-options="$options" $MODE
upgraded=$(now)
"$new/pg_ctl" --pgdata="$VOLUME/new" --log=new.log --options="$private" --no-wait start
until sql 'INSERT INTO floor VALUES (1)' 2>/dev/null; do sleep 0.01; done
written=$(now)

echo "{\"stop\": $((stopped - begin)), \"pg_upgrade\": $((upgraded - stopped)), \"start\": $((written - upgraded))}"
