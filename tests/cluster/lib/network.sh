# shellcheck shell=bash disable=SC2154 # the settings come from env.sh, which is sourced before
# The cluster's network namespace: deleting it deletes every bridge, veth pair
# and iptables rule that the cluster created. Sourced.

make_network() {
    ip netns add "$netns"
    in_netns ip link set lo up
    # The node's address is on a bridge, with a veth pair as its carrier.
    in_netns ip link add node0 type bridge
    in_netns ip link add node1 type veth peer name node2
    in_netns ip link set node1 master node0
    in_netns ip link set node0 up
    in_netns ip link set node1 up
    in_netns ip link set node2 up
    in_netns ip address add "$node_ip/24" dev node0
    # Kubernetes finds the node's address by the default route. There is no host
    # at this gateway: the cluster reaches only itself.
    in_netns ip route add default via "$gateway_ip"
    in_netns sysctl -qw net.ipv4.ip_forward=1
    modprobe -q br_netfilter 2>/dev/null || true
    in_netns sysctl -qw net.bridge.bridge-nf-call-iptables=1
}

remove_network() {
    [[ ! -e $netns_file ]] || ip netns delete "$netns"
}
