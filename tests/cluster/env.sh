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

# --- the network: all of it lives inside one namespace for each node --------
# ipv4 or ipv6, for the whole cluster. A running cluster keeps its own.
PGOPS_CLUSTER_IP_FAMILY=${PGOPS_CLUSTER_IP_FAMILY:-$(cat "$state/run/ip-family" 2>/dev/null || echo ipv4)}
case $PGOPS_CLUSTER_IP_FAMILY in
ipv4)
    node_ips=(10.111.0.2 10.111.0.3)
    node_prefix=24
    gateway_ip=10.111.0.1
    pod_cidr=10.244.0.0/16
    pod_cidrs=(10.244.0.0/17 10.244.128.0/17) # of each node
    service_cidr=10.96.0.0/16
    api_service_ip=10.96.0.1
    dns_service_ip=10.96.0.10
    any_ip=0.0.0.0
    ;;
ipv6)
    node_ips=(fd00:111::2 fd00:111::3)
    node_prefix=64
    gateway_ip=fd00:111::1
    pod_cidr=fd00:244::/56
    pod_cidrs=(fd00:244::/64 fd00:244:0:1::/64)
    service_cidr=fd00:96::/112
    api_service_ip=fd00:96::1
    dns_service_ip=fd00:96::a
    any_ip=::
    ;;
*)
    printf 'tests/cluster: PGOPS_CLUSTER_IP_FAMILY is "%s": it must be ipv4 or ipv6\n' "$PGOPS_CLUSTER_IP_FAMILY" >&2
    exit 1
    ;;
esac

# Selects the node that the functions of lib/ act on: 1, which also runs the control plane, or 2, which only
# tests/cluster/node adds. Each node has a containerd of its own, separate from one that the machine may run.
use_node() { # NUMBER
    case $1 in
    1)
        netns=pgops node_name=pgops-node node_state=$state
        cgroup_root=/ node_suffix=
        ;;
    2)
        netns=pgops-2 node_name=pgops-node-2 node_state=$state/node-2
        # Two kubelets on one machine: each removes control groups in its own root that it does not know.
        cgroup_root=/pgops-node-2 node_suffix=-2
        ;;
    esac
    netns_file=/run/netns/$netns
    node_ip=${node_ips[$1 - 1]}
    node_pod_cidr=${pod_cidrs[$1 - 1]}
    containerd_socket=$node_state/run/containerd.sock
}
use_node 1

# --- volumes ----------------------------------------------------------------
volumes=$state/volumes
# The driver of the volumes that are attached to one node at a time.
csi_driver=attached.pgops.test

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

# An address as it is written in a URL.
url_host() { if [[ $1 == *:* ]]; then printf '[%s]' "$1"; else printf '%s' "$1"; fi; }

# Runs a command in the selected node's network namespace. Only the network changes:
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
