# shellcheck shell=bash disable=SC2154 # the settings come from env.sh, which is sourced before
# Builds the images that the cluster needs and imports them into its containerd.
# Sourced.

ctr_in_cluster() { in_netns ctr --address "$containerd_socket" --namespace k8s.io "$@"; }

postgres_suites() {
    if [[ -n ${PGOPS_POSTGRES_SUITES:-} ]]; then
        tr ' ' '\n' <<<"$PGOPS_POSTGRES_SUITES"
    else
        awk -F'\t' '!/^#/ && NF {print $1}' "$cluster_source/images/postgres.tsv" | uniq
    fi
}

build_images() {
    local suite archive
    # Leftovers of killed builds; no build takes two hours.
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

# Imports an archive unless this containerd has it already. The marker file is in
# containerd's own directory, so that it is deleted together with the images.
import_archive() {
    local mark
    mark=$state/containerd/imported/$(basename "$1")
    [[ ! -e $mark ]] || return 0
    ctr_in_cluster image import "$1" >"$state/logs/import.log" 2>&1 ||
        fail "failed to import $1; see $state/logs/import.log"
    mkdir -p "$(dirname "$mark")"
    touch "$mark"
}

# After a kill or a reboot, containerd's store still lists containers of the
# previous cluster. Kubernetes must not see them.
forget_containers() {
    local containers
    mapfile -t containers < <(ctr_in_cluster container list -q)
    ((${#containers[@]})) || return 0
    ctr_in_cluster container delete "${containers[@]}" >/dev/null 2>&1 || true
    stop containerd
    start_containerd
    wait_until 30 containerd "containerd responds" containerd_ready
}
