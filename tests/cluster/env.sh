# shellcheck shell=bash disable=SC2034 # the scripts that source this use them
# Settings and helpers shared by the scripts of the test cluster. Sourced, not
# run. Settings in capitals can be overridden.

cluster_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# --- locations: nothing is written into the checkout ------------------------
PGOPS_CACHE=${PGOPS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pgops}
tools_cache=$PGOPS_CACHE/tools      # compiled programs, by content key
images_cache=$PGOPS_CACHE/images    # image archives, by content key
state=$PGOPS_CACHE/cluster          # all state of the running cluster
kubeconfig=$state/pki/admin.kubeconfig

# --- the network: all of it lives inside one namespace ---------------------
netns=pgops
netns_file=/run/netns/$netns
node_name=pgops-node
node_ip=10.111.0.2
gateway_ip=10.111.0.1
pod_cidr=10.244.0.0/16
service_cidr=10.96.0.0/16
api_service_ip=10.96.0.1
dns_service_ip=10.96.0.10

# The cluster's containerd, separate from one that the machine may run.
containerd_socket=$state/run/containerd.sock

# --- helpers ----------------------------------------------------------------
say() { printf '%s\n' "$*"; }

fail() {
    printf 'tests/cluster: %s\n' "$*" >&2
    exit 1
}

# True if KUBECONFIG names a cluster other than the test cluster.
own_cluster() { [[ -n ${KUBECONFIG:-} && $KUBECONFIG != "$kubeconfig" ]]; }

# One `up` or `down` at a time. Leaves the lock open as $lock_fd.
lock_cluster() {
    mkdir -p "$PGOPS_CACHE"
    exec {lock_fd}>"$PGOPS_CACHE/cluster.lock"
    flock --nonblock "$lock_fd" && return
    say "Another tests/cluster/up or down is running: waiting for it …"
    flock "$lock_fd"
}

need_root() {
    ((EUID == 0)) || fail "must run as root: it creates network namespaces, mounts and containers"
}

# Runs a command in the cluster's network namespace. Only the network changes:
# `ip netns exec` would also remount /sys and thereby hide the cgroups.
in_netns() { nsenter --net="$netns_file" -- "$@"; }

# Prints a short hash of the contents of files and of the arguments after `--`.
content_key() {
    local files=()
    while (($#)) && [[ $1 != -- ]]; do files+=("$1"); shift; done
    (($# == 0)) || shift
    { cat -- "${files[@]}"; printf '%s\n' "$@"; } | sha256sum | cut -c1-12
}

# Prints the directory of the compiled programs of a tools module, built or not.
tools_dir() {
    local module=$cluster_source/tools/$1
    printf '%s/%s-%s\n' "$tools_cache" "$1" \
        "$(find "$module" -type f -print0 | LC_ALL=C sort -z | xargs -0 cat "$cluster_source/tools/build" | sha256sum | cut -c1-12)"
}

# Runs a long command with its output in a log. Prints a line every 30 s as a
# sign of progress, and the end of the log if the command fails.
run_logged() {
    local title=$1 log=$2 start=$SECONDS pid next=30
    shift 2
    mkdir -p "$(dirname "$log")"
    say "$title …"
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.5
        if ((SECONDS - start >= next)); then
            say "$title … $((SECONDS - start)) s"
            next=$((next + 30))
        fi
    done
    if wait "$pid"; then
        say "$title: done in $((SECONDS - start)) s"
    else
        tail -n 25 "$log" >&2
        fail "$title failed; full log: $log"
    fi
}
