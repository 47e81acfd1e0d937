//! Paths.

use proptest::prelude::*;

use super::*;
use crate::record::Record;

#[rstest]
#[case("orders-ha-17-config", Record::Config)]
#[case("orders-ha-17-leader", Record::Leader)]
#[case("orders-ha-17-sync", Record::Sync)]
#[case("orders-ha-17-failover", Record::Failover)]
fn records_of_the_scope_are_read(#[case] name: &str, #[case] record: Record) {
    let decided = get(&format!("{CONFIG_MAPS}/{name}"));
    assert_eq!(decided.as_ref().unwrap(), &Call::Read(record));
    let expected = Outgoing { method: Method::GET, target: format!("{CONFIG_MAPS}/{name}"), body: vec![] };
    assert_eq!(outgoing(decided), expected);
}

#[test]
fn own_postgres_is_read_and_not_changed() {
    let path = "/apis/kubedb.com/v1/namespaces/demo/postgreses/orders";
    // A `?` is what the client of the instance appends.
    for target in [path.to_owned(), format!("{path}?")] {
        let decided = get(&target);
        assert_eq!(decided.as_ref().unwrap(), &Call::ReadDatabase);
        let expected = Outgoing { method: Method::GET, target: path.to_owned(), body: vec![] };
        assert_eq!(outgoing(decided), expected);
    }
    assert_eq!(kind(get(&format!("{path}?resourceVersion=0"))), "query");
    assert_eq!(kind(patch(path, &renewal())), "method");
    let request = Request { method: &Method::GET, target: path, content_type: None, body: b"{}" };
    assert_eq!(kind(decide(&orders(), request)), "unexpected-body");
    for method in [Method::PUT, Method::DELETE, Method::POST] {
        let request = Request { method: &method, target: path, content_type: None, body: b"" };
        assert_eq!(kind(decide(&orders(), request)), "method", "{method}");
    }
}

#[rstest]
// Other objects.
#[case("/apis/kubedb.com/v1/namespaces/demo/postgreses")]
#[case("/apis/kubedb.com/v1/namespaces/demo/postgreses/shop")]
#[case("/apis/kubedb.com/v1/namespaces/demo/postgreses/orders/status")]
#[case("/apis/kubedb.com/v1/namespaces/other/postgreses/orders")]
#[case("/apis/kubedb.com/v1alpha2/namespaces/demo/postgreses/orders")]
#[case("/apis/kubedb.com/v1/namespaces/demo/postgreses/%6frders")]
#[case("/api/v1/namespaces/demo/configmaps/shop-ha-17-leader")]
#[case("/api/v1/namespaces/demo/configmaps/orders-ha-16-leader")]
#[case("/api/v1/namespaces/demo/configmaps/orders-ha-17")]
#[case("/api/v1/namespaces/demo/configmaps/kube-root-ca.crt")]
#[case("/api/v1/namespaces/demo/pods/orders-0")]
#[case("/api/v1/namespaces/demo/pods/orders-2")]
#[case("/api/v1/namespaces/demo/pods/shop-0")]
#[case("/api/v1/namespaces/demo/pods/orders-1x")]
// Other namespaces.
#[case("/api/v1/namespaces/other/pods")]
#[case("/api/v1/namespaces/demo2/pods")]
#[case("/api/v1/namespaces//pods")]
#[case("/api/v1/namespaces/demo")]
#[case("/api/v1/namespaces/demo/")]
#[case("/api/v1/namespaces")]
#[case("/api/v1/pods")]
#[case("/api/v1/configmaps")]
#[case("/api/v1/watch/namespaces/demo/pods")]
// Other resources and groups.
#[case("/api/v1/namespaces/demo/secrets")]
#[case("/api/v1/namespaces/demo/secrets/orders-auth")]
#[case("/api/v1/namespaces/demo/endpoints/orders-ha-17")]
#[case("/api/v1/namespaces/default/endpoints/kubernetes")]
#[case("/api/v1/namespaces/demo/serviceaccounts/orders-ha/token")]
#[case("/api/v1/nodes/pgops-node/proxy/exec")]
#[case("/apis/apps/v1/namespaces/demo/statefulsets/orders")]
#[case("/apis/v1/namespaces/demo/pods")]
#[case("/api/v1beta1/namespaces/demo/pods")]
#[case("/api")]
#[case("/apis")]
#[case("/version")]
#[case("/healthz")]
#[case("/openapi/v3")]
#[case("/")]
#[case("")]
// Subresources.
#[case("/api/v1/namespaces/demo/pods/orders-1/exec")]
#[case("/api/v1/namespaces/demo/pods/orders-1/attach")]
#[case("/api/v1/namespaces/demo/pods/orders-1/portforward")]
#[case("/api/v1/namespaces/demo/pods/orders-1/proxy/")]
#[case("/api/v1/namespaces/demo/pods/orders-1/log")]
#[case("/api/v1/namespaces/demo/pods/orders-1/status")]
#[case("/api/v1/namespaces/demo/pods/orders-1/ephemeralcontainers")]
#[case("/api/v1/namespaces/demo/pods/orders-1/eviction")]
#[case("/api/v1/namespaces/demo/configmaps/orders-ha-17-leader/status")]
// Other spellings.
#[case("/api/v1/namespaces/demo/pods/")]
#[case("/api/v1/namespaces/demo/pods/orders-1/")]
#[case("/api/v1/namespaces/demo/pods/%6frders-1")]
#[case("/api/v1/namespaces/demo/pods/orders%2D1")]
#[case("/api/v1/namespaces/demo/pods%2Forders-1")]
#[case("/api/v1/namespaces/demo/%70ods")]
#[case("/api/v1/namespaces/%64emo/pods")]
#[case("/%61pi/v1/namespaces/demo/pods")]
#[case("/api/v1/namespaces/demo/pods/orders-1%00")]
#[case("/api/v1/namespaces/demo/pods/orders-1%2Fexec")]
#[case("/api/v1/namespaces/demo/pods/orders-1%3Fx")]
#[case("/api/v1/namespaces/demo/pods/orders-1;exec")]
#[case("/api/v1/namespaces/demo/pods/ORDERS-1")]
#[case("/api/v1/namespaces/demo/Pods")]
#[case("/API/v1/namespaces/demo/pods")]
#[case("//api/v1/namespaces/demo/pods")]
#[case("/api/v1//namespaces/demo/pods")]
#[case("/api/v1/namespaces/demo//pods")]
#[case("/api/v1/namespaces/demo/./pods")]
#[case("/api/v1/namespaces/other/../demo/pods")]
#[case("/api/v1/namespaces/demo/../other/pods")]
#[case("/api/v1/namespaces/demo/pods/..")]
#[case("/api/v1/namespaces/demo/pods/../secrets")]
#[case("/api/v1/namespaces/demo/pods/orders-1/../shop-0")]
#[case("/api/v1/namespaces/demo/pods/%2e%2e/secrets")]
#[case("/api/v1/namespaces/demo/configmaps/..%2f..%2fother%2fconfigmaps")]
#[case("/api/v1/namespaces/demo\\pods")]
#[case("/api/v1/namespaces/demo/pods/orders-1#x")]
// Request lines of proxies.
#[case("http://127.0.0.1:8009/api/v1/namespaces/demo/pods")]
#[case("https://kubernetes.default/api/v1/namespaces/demo/pods")]
#[case("kubernetes.default:443")]
#[case("*")]
fn other_paths_are_refused(#[case] path: &str) {
    for query in [String::new(), format!("?{SELECTOR}"), "?command=sh&stdin=1".to_owned()] {
        let target = format!("{path}{query}");
        assert_eq!(kind(get(&target)), "path", "GET {target}");
        assert_eq!(kind(patch(&target, &renewal())), "path", "PATCH {target}");
        for method in [Method::POST, Method::DELETE, Method::PUT, Method::CONNECT] {
            let request =
                Request { method: &method, target: &target, content_type: Some(PATCH_TYPE), body: b"{}" };
            assert_eq!(kind(decide(&orders(), request)), "path", "{method} {target}");
        }
    }
}

/// Whatever the request is, only these are sent.
const SENT: [&str; 10] = [
    "/api/v1/namespaces/demo/pods?labelSelector=pgops.dev%2Fha%3Dorders-ha-17",
    "/api/v1/namespaces/demo/configmaps?labelSelector=pgops.dev%2Fha%3Dorders-ha-17",
    "/api/v1/namespaces/demo/pods?labelSelector=pgops.dev%2Fha%3Dorders-ha-17&watch=true&resourceVersion=",
    "/api/v1/namespaces/demo/configmaps?labelSelector=pgops.dev%2Fha%3Dorders-ha-17&watch=true&resourceVersion=",
    "/api/v1/namespaces/demo/configmaps/orders-ha-17-config",
    "/api/v1/namespaces/demo/configmaps/orders-ha-17-leader",
    "/api/v1/namespaces/demo/configmaps/orders-ha-17-sync",
    "/api/v1/namespaces/demo/configmaps/orders-ha-17-failover",
    "/api/v1/namespaces/demo/pods/orders-1",
    "/apis/kubedb.com/v1/namespaces/demo/postgreses/orders",
];

proptest! {
    #[test]
    fn only_known_targets_are_sent(
        parts in prop::collection::vec(
            prop::sample::select(vec![
                "/", "/api/v1/namespaces/demo", "/pods", "/configmaps", "/orders-1", "/orders-ha-17-leader", "..", "%2f",
                "/apis/kubedb.com/v1/namespaces/demo/postgreses/orders",
                "?", "&", "=", "labelSelector=pgops.dev%2Fha%3Dorders-ha-17", "watch=True", "resourceVersion=7",
                "fieldSelector=", "dryRun=All", "/exec", "%00", "#", ";", "ö",
            ]),
            0..8,
        ),
        is_patch in any::<bool>(),
    ) {
        let target = parts.concat();
        let decided = if is_patch { patch(&target, &renewal()) } else { get(&target) };
        if let Ok(call) = decided {
            let sent = call.outgoing(&orders()).unwrap().target;
            let known = sent.trim_end_matches(|character: char| {
                sent.contains("resourceVersion=") && character.is_ascii_digit()
            });
            prop_assert!(SENT.contains(&known), "{}", sent);
        }
    }
}
