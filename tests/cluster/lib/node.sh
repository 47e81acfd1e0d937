# shellcheck shell=bash disable=SC2154 # the settings come from env.sh, which is sourced before
# Starts and stops the programs that each node runs. They act on the selected
# node. Sourced.

containerd_ready() { in_netns ctr --address "$containerd_socket" version; }
node_ready() { kube get node "$node_name" -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' | grep -qx True; }

start_containerd() {
    # restrict_oom_score_adj: without CAP_SYS_RESOURCE, runc fails if it has to
    # lower a container's OOM score.
    cat >"$node_state/config/containerd.toml" <<TOML
version = 2
root = "$node_state/containerd"
state = "$node_state/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
address = "$containerd_socket"
[ttrpc]
address = "$containerd_socket.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
path = "$node_state/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/pause:1"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$node_state/config/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
TOML
    mkdir -p "$node_state/config/cni"
    cat >"$node_state/config/cni/10-pgops.conflist" <<JSON
{
  "cniVersion": "0.4.0",
  "name": "pgops",
  "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
     "ipam": {"type": "host-local", "dataDir": "$node_state/run/cni",
              "ranges": [[{"subnet": "$node_pod_cidr"}]], "routes": [{"dst": "$any_ip/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}},
    {"type": "loopback"}
  ]
}
JSON
    start containerd /usr/bin/containerd --config "$node_state/config/containerd.toml"
}

start_kubelet() {
    # The machine may have cgroup v1 and swap. Evictions and image garbage
    # collection would make tests depend on the machine's other load.
    printf 'nameserver %s\n' "$dns_service_ip" >"$node_state/config/resolv.conf"
    cat >"$node_state/config/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
authorization: {mode: Webhook}
address: "$any_ip"
tlsCertFile: $state/pki/kubelet-server$node_suffix.crt
tlsPrivateKeyFile: $state/pki/kubelet-server$node_suffix.key
containerRuntimeEndpoint: unix://$containerd_socket
cgroupDriver: cgroupfs
cgroupRoot: $cgroup_root
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
enforceNodeAllocatable: []
evictionHard: {memory.available: 50Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
clusterDomain: cluster.local
clusterDNS: ["$dns_service_ip"]
resolvConf: $node_state/config/resolv.conf
maxPods: 200
serializeImagePulls: false
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 200
kubeAPIBurst: 400
syncFrequency: 10s
podLogsDir: $node_state/run/pod-logs
YAML
    start kubelet "$kubernetes/kubelet" --config="$node_state/config/kubelet.yaml" \
        --kubeconfig="$state/pki/kubelet$node_suffix.kubeconfig" --root-dir="$node_state/kubelet" \
        --hostname-override="$node_name" --node-ip="$node_ip"
}

start_proxy() {
    cat >"$node_state/config/kube-proxy.yaml" <<YAML
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: $state/pki/kube-proxy$node_suffix.kubeconfig}
bindAddress: "$any_ip"
mode: iptables
clusterCIDR: "$pod_cidr"
hostnameOverride: $node_name
conntrack: {maxPerCore: 0, min: 0}
YAML
    start kube-proxy "$kubernetes/kube-proxy" --config="$node_state/config/kube-proxy.yaml"
}

# Makes the volumes of the class `attached` available on the node.
start_csi_plugin() {
    start csi-plugin "$csi/csi-plugin" "$csi_driver" "$node_name" "$volumes" \
        "$node_state/kubelet/plugins_registry/$csi_driver.sock"
}

# Every container and pod has a shim, whose command line names the socket of the node's containerd.
shims() {
    local process
    grep -lsaF -- "$containerd_socket" /proc/[0-9]*/cmdline | while IFS=/ read -r _ _ process _; do
        [[ $(readlink "/proc/$process/exe") != */containerd-shim-runc-v2 ]] || echo "$process"
    done
}

# The first processes of the containers are children of their shims. Once these
# are dead, containerd cleans up and the shims exit by themselves; a shim that
# does not is killed.
kill_containers() {
    local shim tries
    for shim in $(shims); do
        cat "/proc/$shim/task/"*/children 2>/dev/null | xargs -r kill -KILL 2>/dev/null || true
    done
    for ((tries = 0; tries < 30; tries++)); do
        [[ -n $(shims) ]] || return 0
        sleep 0.1
    done
    for shim in $(shims); do kill -KILL "$shim" 2>/dev/null || true; done
}

# Removes the records of the containers from the image store, which is kept.
delete_containers() {
    is_running containerd || return 0
    in_netns ctr --address "$containerd_socket" --namespace k8s.io container list -q |
        xargs -r nsenter --net="$netns_file" -- ctr --address "$containerd_socket" --namespace k8s.io container delete \
            >/dev/null 2>&1 || true
}

unmount_all() {
    local mount
    # Deepest first. Special characters of a mount point, such as spaces, are escaped as \040.
    awk -v state="$node_state/" 'index($5, state) == 1 {print $5}' /proc/self/mountinfo | sort -r |
        while IFS= read -r mount; do umount --lazy "$(printf '%b' "$mount")" || true; done
}

# The hierarchies of control groups: one for each controller, or a single one.
cgroup_hierarchies() {
    local hierarchy
    if [[ -e /sys/fs/cgroup/cgroup.controllers ]]; then
        echo /sys/fs/cgroup
        return
    fi
    for hierarchy in /sys/fs/cgroup/*; do [[ -L $hierarchy ]] || echo "$hierarchy"; done
}

# The kubelet requires that its root exists.
make_cgroup_root() {
    local hierarchy
    for hierarchy in $(cgroup_hierarchies); do mkdir -p "$hierarchy$cgroup_root" 2>/dev/null || true; done
}

# A new kubelet would treat those that are left as its own pods.
remove_cgroups() {
    local hierarchy
    for hierarchy in $(cgroup_hierarchies); do
        [[ -d $hierarchy$cgroup_root/kubepods ]] &&
            find "$hierarchy$cgroup_root/kubepods" -depth -type d -exec rmdir {} + 2>/dev/null
        [[ $cgroup_root == / ]] || rmdir "$hierarchy$cgroup_root" 2>/dev/null
    done || true
}

# Stops the node's programs and containers. The namespace of its network is kept.
stop_node() {
    stop kubelet kube-proxy csi-plugin
    kill_containers
    delete_containers
    stop containerd
    kill_containers
    unmount_all
    remove_cgroups
}
