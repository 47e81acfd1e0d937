//! Queries of lists and watches, and of requests that have none.

use super::*;
use crate::call::Resource;

#[rstest]
#[case(PODS, Resource::Pods)]
#[case(CONFIG_MAPS, Resource::ConfigMaps)]
fn lists_and_watches_of_the_scope_pass(#[case] path: &str, #[case] resource: Resource) {
    let list = get(&format!("{path}?{SELECTOR}"));
    assert_eq!(list.as_ref().unwrap(), &Call::List(resource));
    assert_eq!(outgoing(list).target, format!("{path}?{SELECTOR}"));

    // In the order and the spelling of Patroni, and in another one.
    for query in ["{}&watch=True&resourceVersion=4711", "resourceVersion=4711&watch=true&{}"] {
        let watch = get(&format!("{path}?{}", query.replace("{}", SELECTOR)));
        assert!(matches!(&watch, Ok(Call::Watch(watched, _)) if *watched == resource));
        let sent = outgoing(watch);
        assert_eq!(sent.target, format!("{path}?{SELECTOR}&watch=true&resourceVersion=4711"));
        assert!(sent.body.is_empty());
    }
}

#[rstest]
#[case("")]
#[case("?")]
#[case("?labelSelector=")]
#[case("?labelSelector=pgops.dev/ha")]
#[case("?labelSelector=pgops.dev/ha=shop-ha-17")]
#[case("?labelSelector=pgops.dev/ha%3D%3Dorders-ha-17")]
#[case("?labelSelector=pgops.dev/ha+in+(orders-ha-17,shop-ha-17)")]
#[case("?labelSelector=pgops.dev/ha%3Dorders-ha-17,")]
#[case("?labelSelector=pgops.dev/ha%3Dorders-ha-17%00")]
#[case("?labelSelector=pgops.dev%252Fha%253Dorders-ha-17")]
#[case("?labelSelector=pgops.dev/ha%3Dorders-ha-170")]
#[case("?labelSelector=!pgops.dev/ha")]
#[case("?watch=True&resourceVersion=1")]
fn lists_without_the_selector_of_the_scope_are_refused(#[case] query: &str) {
    for path in [PODS, CONFIG_MAPS] {
        assert_eq!(kind(get(&format!("{path}{query}"))), "selector", "{query}");
    }
}

#[rstest]
// Unknown.
#[case("{}&fieldSelector=metadata.name%3Dorders-1")]
#[case("fieldSelector=metadata.namespace%3Dother&{}")]
#[case("{}&limit=1")]
#[case("{}&continue=x")]
#[case("{}&allowWatchBookmarks=true")]
#[case("{}&sendInitialEvents=true")]
#[case("{}&resourceVersionMatch=Exact")]
#[case("{}&timeoutSeconds=1")]
#[case("{}&pretty=true")]
#[case("{}&includeUninitialized=1")]
#[case("{}&x")]
#[case("{}&%77atch%20=1")]
#[case("{};fieldSelector=x")]
#[case("LabelSelector=x&{}")]
// Twice.
#[case("{}&{}")]
#[case("{}&labelSelector=")]
#[case("labelSelector=pgops.dev/ha&{}")]
#[case("{}&%6cabelSelector=app%3Dshop")]
#[case("{}&watch=True&watch=True&resourceVersion=1")]
#[case("{}&watch=True&resourceVersion=1&resourceVersion=2")]
// Not valid.
#[case("{}&watch=1&resourceVersion=1")]
#[case("{}&watch=False")]
#[case("{}&watch=False&resourceVersion=1")]
#[case("{}&watch=&resourceVersion=1")]
#[case("{}&watch=True")]
#[case("{}&watch=True&resourceVersion=")]
#[case("{}&watch=True&resourceVersion=x")]
#[case("{}&watch=True&resourceVersion=-1")]
#[case("{}&watch=True&resourceVersion=1%262")]
#[case("{}&watch=True&resourceVersion=111111111111111111111")]
#[case("{}&resourceVersion=1")]
fn lists_with_other_parameters_are_refused(#[case] query: &str) {
    for path in [PODS, CONFIG_MAPS] {
        let decided = get(&format!("{path}?{}", query.replace("{}", SELECTOR)));
        // A selector with something appended to it is another selector.
        let expected = if query.starts_with("{};") { "selector" } else { "query" };
        assert_eq!(kind(decided), expected, "{query}");
    }
}

#[rstest]
#[case("dryRun=All")]
#[case("fieldManager=kubelet")]
#[case("force=true")]
#[case("fieldValidation=Ignore")]
#[case("x")]
#[case("resourceVersion=0")]
fn requests_of_one_object_have_no_query(#[case] query: &str) {
    let target = format!("{CONFIG_MAPS}/orders-ha-17-leader?{query}");
    assert_eq!(kind(get(&target)), "query");
    assert_eq!(kind(patch(&target, &renewal())), "query");
    assert_eq!(kind(patch(&format!("{PODS}/orders-1?{query}"), "{}")), "query");
}
