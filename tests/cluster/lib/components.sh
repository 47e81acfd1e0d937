# shellcheck shell=bash disable=SC2154 # the settings come from env.sh, which is sourced before
# Starts and stops the cluster's programs. Each runs in the network namespace of
# the selected node, logs to $node_state/logs/NAME.log and leaves its process id
# in $node_state/run/NAME.pid. Sourced.

components=(etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy coredns)

start() { # NAME PROGRAM ARGUMENT…
    local name=$1 pid word=
    shift
    # The programs must not inherit the lock that `up` holds.
    setsid nsenter --net="$netns_file" -- "$@" >"$node_state/logs/$name.log" 2>&1 </dev/null {lock_fd}>&- &
    pid=$!
    echo "$pid" >"$node_state/run/$name.pid"
    # On a busy disk it can take a while until the process executes the program. Until then `is_running` does not
    # recognise it, and `wait_until` would report that it has exited.
    while [[ $word != "$1" ]] && kill -0 "$pid" 2>/dev/null; do
        sleep 0.01
        { read -r -d '' word <"/proc/$pid/cmdline"; } 2>/dev/null || true
    done
}

# True if NAME's process runs and belongs to the cluster: process ids are reused
# after a reboot, but the command line of each of these programs has a path in $state.
is_running() { # NAME
    local pid words
    { read -r pid <"$node_state/run/$1.pid" && mapfile -d '' -t words <"/proc/$pid/cmdline"; } 2>/dev/null || return 1
    [[ ${words[*]} == *"$state"* ]]
}

all_running() {
    local name
    for name in "${components[@]}"; do is_running "$name" || return 1; done
}

any_running() { # NAME…
    local name
    for name; do ! is_running "$name" || return 0; done
    return 1
}

# True while a thread of one of these processes is left: a killed process holds its ports and files until its last
# thread exits, even when it is no longer visible otherwise.
any_alive() { # PID…
    local pid
    for pid; do
        ! grep -qsE '^State:[[:space:]]+[^ZX]' "/proc/$pid/task"/*/status || return 0
    done
    return 1
}

# Stops programs with a signal, and after 2 s with SIGKILL.
end() { # SIGNAL NAME…
    local signal=$1 name pids=() tries
    shift
    for name; do
        ! is_running "$name" || pids+=("$(<"$node_state/run/$name.pid")")
    done
    kill "-$signal" "${pids[@]}" 2>/dev/null || true
    for ((tries = 0; tries < 20; tries++)); do
        any_alive "${pids[@]}" || break
        sleep 0.1
    done
    while any_alive "${pids[@]}"; do
        kill -KILL "${pids[@]}" 2>/dev/null || true
        sleep 0.1
    done
    for name; do rm -f "$node_state/run/$name.pid"; done
}

stop() { end TERM "$@"; } # NAME…

# Waits until a command succeeds. If it does not in time, or if the component
# exits, prints the end of that component's log and fails.
wait_until() { # SECONDS COMPONENT WHAT COMMAND…
    local deadline=$((SECONDS + $1)) name=$2 what=$3
    shift 3
    until "$@" >/dev/null 2>&1; do
        if ! is_running "$name" || ((SECONDS >= deadline)); then
            tail -n 20 "$node_state/logs/$name.log" >&2
            fail "timed out waiting until $what, or $name exited; its log, whose end is shown above: $node_state/logs/$name.log"
        fi
        sleep 0.1
    done
}

# Only the first node's network has the API server at the address in the kubeconfig.
kube() { nsenter --net=/run/netns/pgops -- "$kubernetes/kubectl" --kubeconfig "$kubeconfig" "$@"; }
api_ready() { kube get --raw /readyz; }

start_etcd() {
    # A test cluster's data need not survive a power failure.
    start etcd "$others/etcd" --name pgops --data-dir "$state/etcd" --unsafe-no-fsync \
        --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \
        --initial-cluster pgops=http://127.0.0.1:2380 --log-level warn
}

# With the beta of mutating policies, by which tests rewrite images and inject containers.
start_apiserver() {
    start kube-apiserver "$kubernetes/kube-apiserver" \
        --etcd-servers=http://127.0.0.1:2379 --advertise-address="$node_ip" --bind-address="$any_ip" --secure-port=6443 \
        --service-cluster-ip-range="$service_cidr" --allow-privileged=true \
        --authorization-mode=Node,RBAC --anonymous-auth=false \
        --enable-admission-plugins=NodeRestriction,PodSecurity \
        --feature-gates=MutatingAdmissionPolicy=true \
        --runtime-config=admissionregistration.k8s.io/v1beta1=true \
        --client-ca-file="$state/pki/ca.crt" \
        --tls-cert-file="$state/pki/kube-apiserver.crt" \
        --tls-private-key-file="$state/pki/kube-apiserver.key" \
        --service-account-issuer=https://kubernetes.default.svc.cluster.local \
        --service-account-key-file="$state/pki/service-accounts.pub" \
        --service-account-signing-key-file="$state/pki/service-accounts.key" \
        --kubelet-certificate-authority="$state/pki/ca.crt" \
        --kubelet-client-certificate="$state/pki/apiserver-to-kubelet.crt" \
        --kubelet-client-key="$state/pki/apiserver-to-kubelet.key" \
        --kubelet-preferred-address-types=InternalIP --cert-dir="$state/run/apiserver"
}

start_controller_manager() {
    # The long grace period keeps the node Ready while builds and tests use all
    # processors of a small machine.
    start kube-controller-manager "$kubernetes/kube-controller-manager" \
        --kubeconfig="$state/pki/kube-controller-manager.kubeconfig" \
        --authentication-kubeconfig="$state/pki/kube-controller-manager.kubeconfig" \
        --authorization-kubeconfig="$state/pki/kube-controller-manager.kubeconfig" \
        --service-account-private-key-file="$state/pki/service-accounts.key" \
        --root-ca-file="$state/pki/ca.crt" --use-service-account-credentials \
        --cluster-signing-cert-file="$state/pki/ca.crt" --cluster-signing-key-file="$state/pki/ca.key" \
        --leader-elect=false --kube-api-qps=200 --kube-api-burst=400 --bind-address=127.0.0.1 \
        --node-monitor-grace-period=2m --cert-dir="$state/run/controller-manager"
}

start_scheduler() {
    cat >"$state/config/scheduler.yaml" <<YAML
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: $state/pki/kube-scheduler.kubeconfig, qps: 200, burst: 400}
leaderElection: {leaderElect: false}
podInitialBackoffSeconds: 1
podMaxBackoffSeconds: 2
YAML
    start kube-scheduler "$kubernetes/kube-scheduler" --config="$state/config/scheduler.yaml" \
        --authentication-kubeconfig="$state/pki/kube-scheduler.kubeconfig" \
        --authorization-kubeconfig="$state/pki/kube-scheduler.kubeconfig" \
        --bind-address=127.0.0.1 --cert-dir="$state/run/scheduler"
}

start_coredns() {
    # No forwarding: the network has no outside. No cache: responses come from
    # memory, and a cached negative response only delays tests.
    cat >"$state/config/Corefile" <<COREFILE
.:53 {
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig $state/pki/coredns.kubeconfig pgops
        pods insecure
        ttl 1
    }
}
COREFILE
    start coredns "$others/coredns" -conf "$state/config/Corefile"
}
