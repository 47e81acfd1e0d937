//! The `ConfigMap`s in which Patroni keeps its state, as annotations: its settings, the lock of the primary, the synchronous
//! standbys, and a requested failover. They exist before the first pod, so that Patroni needs no right to create any.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pgops_api::failover_timings::Timings;
use pgops_api::replicated_settings::ReplicatedSettings;
use pgops_api::rollout::MAX_LAG;
use pgops_api::topology::{Standbys, StreamingMode};
use pgops_api::{Postgres, names};
use serde_json::{Map, Value, json};

use super::super::metadata::metadata;

/// Annotation with Patroni's settings that all servers share.
const CONFIG: &str = "config";

/// From this number of servers on a commit waits for any of the standbys, so that one that hangs delays none.
const QUORUM: u32 = 3;

/// The `ConfigMap`s of a scope. The annotations apart from the settings are Patroni's alone.
pub fn config_maps(database: &Postgres, standbys: Standbys, scope: &str) -> [ConfigMap; 4] {
    let settings = names::ha_config(scope);
    names::ha_config_maps(scope).map(|name| {
        let annotations = (name == settings)
            .then(|| [(CONFIG.to_owned(), dynamic_settings(database, standbys).to_string())].into());
        ConfigMap {
            metadata: ObjectMeta { annotations, ..labelled(database, name, scope) },
            ..ConfigMap::default()
        }
    })
}

/// Patroni finds its objects by the label.
fn labelled(database: &Postgres, name: String, scope: &str) -> ObjectMeta {
    let mut metadata = metadata(database, name);
    metadata.labels.get_or_insert_default().insert(names::LABEL_HA.to_owned(), scope.to_owned());
    metadata
}

/// Patroni's settings that all servers share.
fn dynamic_settings(database: &Postgres, standbys: Standbys) -> Value {
    let parameters = ReplicatedSettings::parse(database.inline_settings()).parameters();
    let mut settings = Map::new();
    let mut set = |name: &str, value: Value| settings.insert(name.to_owned(), value);
    let timings = Timings::STANDBYS;
    set("ttl", json!(timings.ttl()));
    set("loop_wait", json!(timings.loop_wait()));
    set("retry_timeout", json!(timings.retry_timeout()));
    // The primary leads on without the API server as long as it reaches all standbys.
    set("failsafe_mode", json!(true));
    set("check_timeline", json!(true));
    // A standby takes over at once from a primary whose server has crashed.
    set("primary_start_timeout", json!(0));
    set("maximum_lag_on_failover", json!(MAX_LAG));
    set("synchronous_mode", synchronous_mode(standbys));
    set("postgresql", json!({ "use_pg_rewind": true, "use_slots": true, "parameters": parameters }));
    // A pause of the database is one of Patroni, and what is written here must not end it.
    if database.paused().is_some() {
        set("pause", json!(true));
    }
    Value::Object(settings)
}

fn synchronous_mode(standbys: Standbys) -> Value {
    match standbys.streaming {
        StreamingMode::Asynchronous => json!(false),
        StreamingMode::Synchronous if standbys.servers() >= QUORUM => json!("quorum"),
        StreamingMode::Synchronous => json!(true),
    }
}
