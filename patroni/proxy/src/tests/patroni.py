"""Makes every call of Patroni's client of Kubernetes through the proxy whose URL is the argument."""

import json
import logging
import os
import sys
import time

logging.basicConfig(level=logging.INFO)
with open(os.environ["KUBECONFIG"], "w") as file:
    json.dump({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": sys.argv[1]}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        "current-context": "proxy",
    }, file)

from patroni.dcs.kubernetes import Kubernetes  # noqa: E402
from patroni.postgresql.mpp import get_mpp  # noqa: E402

dcs = Kubernetes({
    "scope": "orders-ha-17",
    "name": "orders-1",
    "namespace": "demo",
    "context": "proxy",
    "scope_label": "pgops.dev/ha",
    "labels": {"pgops.dev/ha": "orders-ha-17"},
    "role_label": "kubedb.com/role",
    "leader_label_value": "primary",
    "follower_label_value": "standby",
    "standby_leader_label_value": "standby",
    "use_endpoints": False,
    "ttl": 20,
    "loop_wait": 3,
    "retry_timeout": 4,
}, get_mpp({}))


def check(value, what):
    if not value:
        sys.exit(f"failed: {what}")


def wait(condition, what):
    """Waits for an event of a watch."""
    for _ in range(100):
        cluster = dcs.get_cluster()
        if condition(cluster):
            return cluster
        time.sleep(0.1)
    sys.exit(f"never seen: {what}")


cluster = dcs.get_cluster()
check({member.name for member in cluster.members} == {"orders-0", "orders-1", "orders-2"}, "members")
check(dcs.initialize(create_new=True), "initialize")
wait(lambda cluster: cluster.initialize is not None, "the race to initialize")
check(dcs.initialize(create_new=False, sysid="7"), "the system identifier")
check(dcs.set_config_value('{"ttl":20}'), "the configuration")
check(dcs.set_history_value("[]"), "the history")
check(dcs.attempt_to_acquire_leader(), "taking the lock")
cluster = wait(lambda cluster: cluster.leader and cluster.leader.name == "orders-1", "the leader")
check(dcs.update_leader(cluster, 100, {"slot": 1}, {"orders-1": "https://192.0.2.1:8008/patroni"}), "a renewal")
check(dcs.touch_member({"state": "running", "role": "primary", "conn_url": "postgres://192.0.2.1/"}), "the member")
wait(lambda cluster: cluster.get_member("orders-1").data.get("state") == "running", "the state of the member")
cluster = dcs.get_cluster()
check(dcs.write_sync_state("orders-1", ["orders-0", "orders-2"], 1, version=cluster.sync.version), "the standbys")
check(dcs.manual_failover("orders-1", "orders-2", version=None), "a switchover")
cluster = wait(lambda cluster: cluster.failover and cluster.failover.candidate == "orders-2", "the switchover")
dcs.write_leader_optime(150)
# A conflict, after which Patroni reads the lock by itself.
stale = dcs._kinds.get("orders-ha-17-leader").metadata
stale._dict["resourceVersion"] = "1"
dcs._update_leader_with_retry({"leader": "orders-1"}, "1", [])
check(dcs.delete_leader(cluster.leader, 200), "giving up the lock")
wait(lambda cluster: not cluster.leader or not cluster.leader.name, "the free lock")
print("every call has passed")
os._exit(0)
