# shellcheck shell=bash disable=SC2154 # env.sh, sourced before, has the settings
# Builds the images that the cluster needs and hands them to its containerd.
# Sourced.

ctr_in_cluster() { in_netns ctr --address "$containerd_socket" --namespace k8s.io "$@"; }

postgres_suites() { awk -F'\t' '!/^#/ && NF {print $1}' "$cluster_source/images/postgres.tsv" | uniq; }

build_images() {
    local suite archive
    # What killed builds left; none takes two hours.
    find "$images_cache" -maxdepth 1 -name 'tmp.*' -mmin +120 -exec rm -rf --one-file-system {} + 2>/dev/null || true
    "$cluster_source/images/pause" >/dev/null
    for suite in $(postgres_suites); do
        archive=$("$cluster_source/images/postgres" "$suite" --path-only)
        [[ -e $archive ]] || run_logged "Building the PostgreSQL images of Debian $suite (first time only)" \
            "$images_cache/postgres-$suite.log" nice -n 5 "$cluster_source/images/postgres" "$suite"
        grep -h 'NOTE:' "$images_cache/postgres-$suite.log" 2>/dev/null || true
    done
}

import_images() {
    local suite
    import_archive "$("$cluster_source/images/pause")"
    for suite in $(postgres_suites); do
        import_archive "$("$cluster_source/images/postgres" "$suite" --path-only)"
    done
}

# Imports an archive unless this containerd has it. The mark lies inside of
# containerd's own directory, so the two live and die together.
import_archive() {
    local mark
    mark=$state/containerd/imported/$(basename "$1")
    [[ ! -e $mark ]] || return 0
    ctr_in_cluster image import "$1" >"$state/logs/import.log" 2>&1 ||
        fail "import of $1 failed; see $state/logs/import.log"
    mkdir -p "$(dirname "$mark")"
    touch "$mark"
}

# After a kill or a reboot, containerd's image store also remembers containers
# of the cluster that is gone. Kubernetes must not see them.
forget_containers() {
    local containers
    mapfile -t containers < <(ctr_in_cluster container list -q)
    ((${#containers[@]})) || return 0
    ctr_in_cluster container delete "${containers[@]}" >/dev/null 2>&1 || true
    stop containerd
    start_containerd
    wait_until 30 containerd "containerd answers" containerd_ready
}
