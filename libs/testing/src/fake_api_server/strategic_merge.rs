//! Strategic merge patches: a merge patch, but objects in a list are merged by their `name`.

use serde_json::Value;

/// Merges the changes into the object.
pub(super) fn strategic_merge(object: &mut Value, changes: &Value) {
    match (object, changes) {
        (Value::Object(fields), Value::Object(changes)) => {
            for (name, change) in changes {
                if change.is_null() {
                    fields.remove(name);
                } else {
                    strategic_merge(fields.entry(name).or_insert(Value::Null), change);
                }
            }
        }
        (Value::Array(items), Value::Array(changes)) if changes.iter().all(|it| it["name"].is_string()) => {
            for change in changes {
                match items.iter_mut().find(|item| item["name"] == change["name"]) {
                    Some(item) => strategic_merge(item, change),
                    None => items.push(change.clone()),
                }
            }
        }
        (object, changes) => *object = changes.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn list_items_are_merged_by_name() {
        let mut object = json!({ "hooks": [{ "name": "a", "x": 1 }, { "name": "b", "x": 1 }], "old": 1 });
        let changes = json!({ "hooks": [{ "name": "b", "y": 2 }, { "name": "c" }], "old": null });
        strategic_merge(&mut object, &changes);
        assert_eq!(
            object,
            json!({ "hooks": [{ "name": "a", "x": 1 }, { "name": "b", "x": 1, "y": 2 }, { "name": "c" }] })
        );
    }
}
