//! What a request changes in the spec of a `Postgres`, and how that is put back.

use kube::ResourceExt;
use pgops_api::opsrequest::DayTwo;
use pgops_api::pod_template::{resources, with_resources};
use pgops_api::settings::{self, SettingsError};
use pgops_api::spec_check::change_problems;
use pgops_api::topology::StandbySupport;
use pgops_api::{Postgres, PostgresOpsRequest, names};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a request has replaced: the JSON of an annotation of the `Postgres`. It is written together with the change.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Replaced {
    /// Uid of the request.
    pub uid: String,
    /// The previous requests and limits, if there were any.
    #[serde(default)]
    pub resources: Option<Value>,
    /// The previous `spec.configSecret`.
    #[serde(default)]
    pub config_secret: Option<Value>,
    /// The previous `spec.configuration.secretName`.
    #[serde(default)]
    pub secret_name: Option<String>,
    /// The previous settings in the object.
    #[serde(default)]
    pub inline: Option<String>,
    /// Digest of the settings that the request has put into the object instead.
    #[serde(default)]
    pub made: Option<String>,
}

impl Replaced {
    /// The record on the database, if there is one.
    pub fn on(database: &Postgres) -> Option<Self> {
        let text = database.annotations().get(names::ANNOTATION_REPLACED)?;
        serde_json::from_str(text).ok()
    }
}

/// The settings that the object will have itself.
pub fn new_inline(database: &Postgres, request: &PostgresOpsRequest) -> Result<String, SettingsError> {
    let Some(change) = &request.spec.configuration else {
        return Ok(database.inline_settings().to_owned());
    };
    let drops_earlier = change.remove_custom_config || change.config_secret.is_some();
    let base = if drops_earlier { "" } else { database.inline_settings() };
    settings::merge(base, settings::of_map(&change.apply_config)?)
}

/// The patch that has the server check the settings.
pub fn propose(text: &str) -> Value {
    json!({ "metadata": { "annotations": { names::ANNOTATION_CANDIDATE: text } } })
}

/// The patch that makes the change, and records what it replaces; none for an operation that changes nothing.
pub fn apply(
    database: &Postgres,
    request: &PostgresOpsRequest,
    operation: DayTwo,
) -> Result<Option<Value>, SettingsError> {
    let uid = request.uid().unwrap_or_default();
    let template = database.spec.pod_template.as_ref();
    let (spec, replaced) = match operation {
        DayTwo::Restart | DayTwo::RotateAuth => return Ok(None),
        DayTwo::VerticalScaling => {
            let new =
                request.spec.server_resources().and_then(|resources| serde_json::to_value(resources).ok());
            let spec = json!({ "podTemplate": replacing(template, with_resources(template, new.as_ref())) });
            (spec, Replaced { uid, resources: resources(template).cloned(), ..Replaced::default() })
        }
        DayTwo::VolumeExpansion => {
            let size = request.spec.volume_size();
            let spec = json!({ "storage": { "resources": { "requests": { "storage": size } } } });
            (spec, Replaced { uid, ..Replaced::default() })
        }
        DayTwo::Reconfigure => {
            let change = request.spec.configuration.clone().unwrap_or_default();
            // What the server has checked, whatever the object has by now. Of another request something may be left.
            let inline = match database.candidate_settings() {
                Some(checked) if !change.apply_config.is_empty() => checked.to_owned(),
                _ => new_inline(database, request)?,
            };
            let config_secret = database.spec.config_secret.as_ref().map(|secret| json!(secret));
            let secret_name = secret_name(database);
            let mut spec = json!({ "configuration": inline_patch(&inline) });
            if change.remove_custom_config || change.config_secret.is_some() {
                spec["configSecret"] = Value::Null;
                spec["configuration"]["secretName"] = Value::Null;
            }
            match &change.config_secret {
                // Under the name that the object uses.
                Some(secret) if secret_name.is_some() => {
                    spec["configuration"]["secretName"] = json!(secret.name);
                }
                Some(secret) => spec["configSecret"] = json!({ "name": secret.name }),
                None => {}
            }
            let before = database.inline_settings().to_owned();
            let before = Some(before).filter(|before| !before.is_empty());
            let made = Some(settings::digest(stored(&inline)));
            let replaced =
                Replaced { uid, config_secret, secret_name, inline: before, made, resources: None };
            (spec, replaced)
        }
    };
    let record = serde_json::to_string(&replaced).unwrap_or_default();
    let mut annotations = json!({ names::ANNOTATION_REPLACED: record, names::ANNOTATION_CANDIDATE: null });
    if operation == DayTwo::VolumeExpansion {
        annotations[names::ANNOTATION_EXPANDED_TO] = json!(request.spec.volume_size());
    }
    Ok(Some(json!({ "metadata": { "annotations": annotations }, "spec": spec })))
}

/// What is wrong with the database that the patch makes of this one. Admission does not look at what pgops writes itself.
pub fn problems(database: &Postgres, patch: &Value) -> Result<(), String> {
    let mut changed = serde_json::to_value(database).map_err(|error| error.to_string())?;
    json_patch::merge(&mut changed, patch);
    let changed: Postgres = serde_json::from_value(changed).map_err(|error| error.to_string())?;
    // None of them changes the number of servers.
    let problems = change_problems(&changed, database, StandbySupport::default());
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// The patch that puts back what was replaced, and removes the record.
pub fn revert(database: &Postgres, operation: DayTwo, replaced: &Replaced) -> Value {
    let template = database.spec.pod_template.as_ref();
    let mut patch = forget();
    match operation {
        DayTwo::VerticalScaling => {
            let before = with_resources(template, replaced.resources.as_ref());
            patch["spec"] = json!({ "podTemplate": replacing(template, before) });
        }
        DayTwo::Reconfigure => {
            let mut configuration = inline_patch(replaced.inline.as_deref().unwrap_or_default());
            configuration["secretName"] = json!(replaced.secret_name);
            patch["spec"] = json!({ "configSecret": replaced.config_secret, "configuration": configuration });
        }
        // A volume cannot shrink.
        DayTwo::Restart | DayTwo::VolumeExpansion | DayTwo::RotateAuth => {}
    }
    patch
}

/// The patch that removes what was recorded for a request.
pub fn forget() -> Value {
    let annotations = json!({ names::ANNOTATION_REPLACED: null, names::ANNOTATION_CANDIDATE: null });
    json!({ "metadata": { "annotations": annotations } })
}

/// The Secret with settings, if the object has the newer name of its field.
fn secret_name(database: &Postgres) -> Option<String> {
    database.spec.configuration.as_ref()?.secret_name.clone().filter(|name| !name.is_empty())
}

/// Fields of other parts of the configuration stay.
fn inline_patch(text: &str) -> Value {
    let text = Some(stored(text)).filter(|text| !text.is_empty());
    json!({ "inline": { names::USER_CONF: text } })
}

/// The settings as the object then has them: none instead of empty lines.
fn stored(text: &str) -> &str {
    if text.trim().is_empty() { "" } else { text }
}

/// The merge patch that turns one value into the other: fields that the new one lacks are removed.
fn replacing(old: Option<&Value>, new: Value) -> Value {
    match (old, new) {
        (Some(Value::Object(old)), Value::Object(new)) => {
            let removed =
                old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
            let kept = new.iter().map(|(key, value)| (key.clone(), replacing(old.get(key), value.clone())));
            Value::Object(removed.chain(kept).collect())
        }
        (_, new) => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::day_two::tests::patched;
    use crate::fixtures::database;

    fn request(spec: &Value) -> PostgresOpsRequest {
        let mut all = json!({ "databaseRef": { "name": "orders" } });
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({ "metadata": { "name": "change", "uid": "r-1" }, "spec": all }))
            .unwrap()
    }

    fn round_trip(before: &Postgres, request: &PostgresOpsRequest, operation: DayTwo) -> Postgres {
        let changed = patched(before, &apply(before, request, operation).unwrap().unwrap());
        let replaced = Replaced::on(&changed).unwrap();
        assert_eq!(replaced.uid, "r-1");
        let after = patched(&changed, &revert(&changed, operation, &replaced));
        assert_eq!(Replaced::on(&after), None);
        assert_eq!(after.spec.pod_template, before.spec.pod_template);
        assert_eq!(after.spec.config_secret, before.spec.config_secret);
        assert_eq!(after.settings_secret(), before.settings_secret());
        assert_eq!(after.inline_settings(), before.inline_settings());
        changed
    }

    #[test]
    fn resources_are_replaced_as_a_whole_and_come_back() {
        let new = json!({ "requests": { "cpu": "700m" } });
        let scaling = json!({ "postgres": { "resources": new } });
        let request = request(&json!({ "type": "VerticalScaling", "verticalScaling": scaling }));
        let old = json!({ "limits": { "memory": "1Gi" }, "requests": { "cpu": "100m", "memory": "1Gi" } });
        let container =
            json!({ "name": "postgres", "env": [{ "name": "A", "value": "1" }], "resources": old });
        for template in [
            json!({ "spec": { "containers": [container], "nodeSelector": { "a": "b" } } }),
            json!({ "spec": { "env": [{ "name": "A", "value": "1" }], "resources": old } }),
        ] {
            let before = database(json!({ "podTemplate": template }));
            let changed = round_trip(&before, &request, DayTwo::VerticalScaling);
            assert_eq!(resources(changed.spec.pod_template.as_ref()), Some(&new));
        }
        let changed = patched(
            &database(json!({})),
            &apply(&database(json!({})), &request, DayTwo::VerticalScaling).unwrap().unwrap(),
        );
        assert_eq!(resources(changed.spec.pod_template.as_ref()), Some(&new));
    }

    #[test]
    fn larger_size_is_recorded_and_stays() {
        let request = request(
            &json!({ "type": "VolumeExpansion", "volumeExpansion": { "mode": "Online", "postgres": "2Gi" } }),
        );
        let changed = round_trip(&database(json!({})), &request, DayTwo::VolumeExpansion);
        let kept = patched(&changed, &forget());
        assert_eq!(kept.annotations()[names::ANNOTATION_EXPANDED_TO], "2Gi");
        assert_eq!(crate::expansion::requested(&kept), Some("2Gi"));
    }

    #[test]
    fn change_that_admission_would_deny_is_not_made() {
        let limited =
            json!({ "resources": { "requests": { "storage": "1Gi" }, "limits": { "storage": "1Gi" } } });
        let before = database(json!({ "storage": limited }));
        let patch = |size: &str| json!({ "spec": { "storage": { "resources": { "requests": { "storage": size } } } } });
        let problem = problems(&before, &patch("2Gi")).unwrap_err();
        assert!(problem.contains("spec.storage.resources.limits.storage"), "{problem}");
        assert!(problems(&before, &patch("512Mi")).unwrap_err().contains("a volume cannot shrink"));
        assert_eq!(problems(&database(json!({})), &patch("2Gi")), Ok(()));
    }

    #[test]
    fn settings_are_merged_and_come_back() {
        let merged = json!({ "applyConfig": { "user.conf": "work_mem = '8MB'\n" } });
        let request = request(&json!({ "type": "Reconfigure", "configuration": merged }));
        let before = database(json!({
            "configSecret": { "name": "mine" },
            "configuration": { "inline": { "user.conf": "work_mem = '4MB'\nmax_connections = 50\n" } },
        }));
        let changed = round_trip(&before, &request, DayTwo::Reconfigure);
        assert_eq!(changed.inline_settings(), "max_connections = 50\nwork_mem = '8MB'\n");
        assert_eq!(changed.spec.config_secret, before.spec.config_secret);
        round_trip(&database(json!({})), &request, DayTwo::Reconfigure);
    }

    #[test]
    fn settings_are_removed_and_another_secret_is_named() {
        let change = json!({ "removeCustomConfig": true, "configSecret": { "name": "new" } });
        let request = request(&json!({ "type": "Reconfigure", "configuration": change }));
        let before = database(json!({
            "configSecret": { "name": "mine" }, "configuration": { "inline": { "user.conf": "work_mem = '4MB'" } },
        }));
        let changed = round_trip(&before, &request, DayTwo::Reconfigure);
        assert_eq!(changed.inline_settings(), "");
        assert_eq!(changed.spec.config_secret.unwrap().name, "new");
    }

    #[test]
    fn another_secret_is_named_in_the_field_that_the_object_has() {
        let secret = |change: Value| request(&json!({ "type": "Reconfigure", "configuration": change }));
        let newer = database(json!({ "configuration": { "secretName": "mine" } }));
        let changed =
            round_trip(&newer, &secret(json!({ "configSecret": { "name": "new" } })), DayTwo::Reconfigure);
        assert_eq!((changed.settings_secret(), &changed.spec.config_secret), (Some("new"), &None));
        // One under each name.
        let both = database(
            json!({ "configSecret": { "name": "mine" }, "configuration": { "secretName": "mine" } }),
        );
        let changed =
            round_trip(&both, &secret(json!({ "configSecret": { "name": "new" } })), DayTwo::Reconfigure);
        assert_eq!((changed.settings_secret(), &changed.spec.config_secret), (Some("new"), &None));
        let removed = round_trip(&both, &secret(json!({ "removeCustomConfig": true })), DayTwo::Reconfigure);
        assert_eq!(removed.settings_secret(), None);
        let merged = json!({ "applyConfig": { "user.conf": "work_mem = '8MB'" } });
        assert_eq!(round_trip(&newer, &secret(merged), DayTwo::Reconfigure).settings_secret(), Some("mine"));
    }
}
