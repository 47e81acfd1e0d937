# shellcheck shell=bash disable=SC2154 # the settings come from env.sh, which is sourced before
# The network namespaces of the nodes: deleting one deletes every bridge, veth
# pair and iptables rule that the node created. Sourced.

# The first node's namespace, which has the bridge that all nodes are on.
make_network() {
    make_namespace
    # The node's address is on a bridge, with a veth pair as its carrier.
    in_netns ip link add node0 type bridge
    in_netns ip link add node1 type veth peer name node2
    in_netns ip link set node1 master node0
    in_netns ip link set node1 up
    in_netns ip link set node2 up
    set_address node0
}

# The second node's namespace, on the first one's bridge, with routes to each other's pods.
join_network() {
    local first=${node_ips[0]} second=$node_ip second_pods=$node_pod_cidr second_netns=$netns
    make_namespace
    use_node 1
    in_netns ip link add node3 type veth peer name node4
    in_netns ip link set node4 netns "$second_netns" name node0
    in_netns ip link set node3 master node0
    in_netns ip link set node3 up
    use_node 2
    set_address node0
    in_netns ip route add "${pod_cidrs[0]}" via "$first"
    use_node 1
    in_netns ip route replace "$second_pods" via "$second"
    use_node 2
}

make_namespace() {
    ip netns add "$netns"
    in_netns ip link set lo up
    modprobe -q br_netfilter 2>/dev/null || true
    if [[ $PGOPS_CLUSTER_IP_FAMILY == ipv6 ]]; then
        in_netns sysctl -qw net.ipv6.conf.all.forwarding=1
        # No other host can have the addresses of nodes and pods: without the check they are usable at once.
        in_netns sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
        in_netns sysctl -qw net.bridge.bridge-nf-call-ip6tables=1
    else
        in_netns sysctl -qw net.ipv4.ip_forward=1
        in_netns sysctl -qw net.bridge.bridge-nf-call-iptables=1
    fi
}

# Kubernetes finds the node's address by the default route. There is no host at
# this gateway: the cluster reaches only itself.
set_address() { # INTERFACE
    in_netns ip link set "$1" up
    in_netns ip address add "$node_ip/$node_prefix" dev "$1"
    in_netns ip route add default via "$gateway_ip"
}

remove_network() {
    [[ ! -e $netns_file ]] || ip netns delete "$netns"
}
