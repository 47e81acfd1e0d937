# shellcheck shell=bash disable=SC2154 # the settings come from env.sh, which is sourced before
# Starts and stops the cluster's programs. Each runs in the network namespace,
# logs to $state/logs/NAME.log and leaves its process id in $state/run/NAME.pid.
# Sourced.

components=(etcd kube-apiserver kube-controller-manager kube-scheduler containerd kubelet kube-proxy coredns)

start() { # NAME PROGRAM ARGUMENT…
    local name=$1 pid word=
    shift
    # The programs must not inherit the lock that `up` holds.
    setsid nsenter --net="$netns_file" -- "$@" >"$state/logs/$name.log" 2>&1 </dev/null {lock_fd}>&- &
    pid=$!
    echo "$pid" >"$state/run/$name.pid"
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
    { read -r pid <"$state/run/$1.pid" && mapfile -d '' -t words <"/proc/$pid/cmdline"; } 2>/dev/null || return 1
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
        ! is_running "$name" || pids+=("$(<"$state/run/$name.pid")")
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
    for name; do rm -f "$state/run/$name.pid"; done
}

stop() { end TERM "$@"; } # NAME…

# Waits until a command succeeds. If it does not in time, or if the component
# exits, prints the end of that component's log and fails.
wait_until() { # SECONDS COMPONENT WHAT COMMAND…
    local deadline=$((SECONDS + $1)) name=$2 what=$3
    shift 3
    until "$@" >/dev/null 2>&1; do
        if ! is_running "$name" || ((SECONDS >= deadline)); then
            tail -n 20 "$state/logs/$name.log" >&2
            fail "timed out waiting until $what, or $name exited; its log, whose end is shown above: $state/logs/$name.log"
        fi
        sleep 0.1
    done
}

kube() { in_netns "$kubernetes/kubectl" --kubeconfig "$kubeconfig" "$@"; }
api_ready() { kube get --raw /readyz; }
containerd_ready() { in_netns ctr --address "$containerd_socket" version; }

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
        --etcd-servers=http://127.0.0.1:2379 --advertise-address="$node_ip" --secure-port=6443 \
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

start_containerd() {
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE, runc fails if it has to
    # lower a container's OOM score.
    cat >"$state/config/containerd.toml" <<TOML
version = 2
root = "$state/containerd"
state = "$state/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "$containerd_socket"
[ttrpc]
address = "$containerd_socket.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "$state/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$state/config/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
TOML
    mkdir -p "$state/config/cni"
    cat >"$state/config/cni/10-pgops.conflist" <<JSON
{
  "cniVersion": "0.4.0",
  "name": "pgops",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
     "ipam": {"type": "host-local", "dataDir": "$state/run/cni",
              "ranges": [[{"subnet": "$pod_cidr"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}},
    {"type": "loopback"}
  ]
}
JSON
    start containerd /usr/bin/containerd --config "$state/config/containerd.toml"
}

start_kubelet() {
    # The machine may have cgroup v1 and swap. Evictions and image garbage
    # collection would make tests depend on the machine's other load.
    printf 'nameserver %s\n' "$dns_service_ip" >"$state/config/resolv.conf"
    cat >"$state/config/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $state/pki/kubelet-server.crt
tlsPrivateKeyFile: $state/pki/kubelet-server.key
containerRuntimeEndpoint: unix://$containerd_socket
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
enforceNodeAllocatable: []
evictionHard: {memory.available: 50Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
clusterDomain: cluster.local
clusterDNS: [$dns_service_ip]
resolvConf: $state/config/resolv.conf
maxPods: 200
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 200
kubeAPIBurst: 400
syncFrequency: 10s
podLogsDir: $state/run/pod-logs
YAML
    start kubelet "$kubernetes/kubelet" --config="$state/config/kubelet.yaml" \
        --kubeconfig="$state/pki/kubelet.kubeconfig" --root-dir="$state/kubelet" \
        --hostname-override="$node_name" --node-ip="$node_ip"
}

start_proxy() {
    cat >"$state/config/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $state/pki/kube-proxy.kubeconfig}
mode: iptables
clusterCIDR: $pod_cidr
hostnameOverride: $node_name
conntrack: {maxPerCore: 0, min: 0}
YAML
    start kube-proxy "$kubernetes/kube-proxy" --config="$state/config/kube-proxy.yaml"
}

start_coredns() {
    # No forwarding: the network has no outside. No cache: responses come from
    # memory, and a cached negative response only delays tests.
    cat >"$state/config/Corefile" <<COREFILE
.:53 {
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:8181
    kubernetes cluster.local in-addr.arpa {
        kubeconfig $state/pki/coredns.kubeconfig pgops
        pods insecure
        ttl 1
    }
}
COREFILE
    start coredns "$others/coredns" -conf "$state/config/Corefile"
}
