use serde_json::json;

use super::{Scenario, patched};
use crate::expansion::{Expansion, refused, requested};
use crate::fixtures::claim;

fn expansion(mode: &str) -> Scenario {
    Scenario::new(
        json!({}),
        &json!({ "type": "VolumeExpansion", "volumeExpansion": { "postgres": "2Gi", "mode": mode } }),
    )
}

#[test]
fn volume_is_expanded_while_the_server_runs() {
    let mut scenario = expansion("Online");
    scenario.preview = Some(Expansion::Raise("2Gi".to_owned()));
    assert_eq!(scenario.steps(2), ["begin VolumeExpansion", "change"]);
    assert_eq!(requested(&scenario.database), Some("2Gi"));
    assert_eq!(scenario.steps(1), ["wait"]);
    scenario.running.expansion = Some(Expansion::Done);
    assert_eq!(scenario.steps(3), ["complete VolumeExpansion", "forget", "succeed"]);
    assert_eq!(scenario.end().2, "the volume of demo/orders has 2Gi");
}

#[test]
fn size_that_another_client_sets_back_is_not_claimed_to_be_there() {
    let mut scenario = expansion("Online");
    scenario.preview = Some(Expansion::Raise("2Gi".to_owned()));
    assert_eq!(scenario.steps(2), ["begin VolumeExpansion", "change"]);
    let old = json!({ "spec": { "storage": { "resources": { "requests": { "storage": "1Gi" } } } } });
    scenario.database = patched(&scenario.database, &old);
    // As it always is for the smaller size.
    scenario.running.expansion = Some(Expansion::Done);
    assert_eq!(scenario.steps(3), ["fail VolumeExpansion SpecReverted", "forget", "end SpecReverted"]);
    assert!(scenario.end().2.contains("spec.storage"), "{:?}", scenario.end());
}

#[test]
fn volume_that_cannot_grow_leaves_the_spec_as_it_is() {
    let mut scenario = expansion("Online");
    let claim = claim("data-orders-0", true);
    scenario.preview = Some(refused("2Gi", &claim, "its class does not allow it"));
    assert_eq!(scenario.steps(2), ["fail VolumeExpansion ExpansionRefused", "end ExpansionRefused"]);
    assert_eq!(requested(&scenario.database), Some("1Gi"));
    let message = scenario.end().2;
    assert!(
        message.starts_with("demo/orders was not touched: ") && message.contains("its class"),
        "{message}"
    );
}
