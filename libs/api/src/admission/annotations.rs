//! Annotations of a request that have no effect, which a user could take for one that was obeyed.

use crate::PostgresOpsRequest;
use crate::matrix::Allowed;
use crate::names::{
    ANNOTATION_ALLOW_BASE_OS_CHANGE, ANNOTATION_CANCEL, ANNOTATION_CREATEROLE_GRANTS, ANNOTATION_DRY_RUN,
    ANNOTATION_KEEP_OLD_DATA, ANNOTATION_OVERRIDE, ANNOTATION_REINDEX, ANNOTATION_REPARTITION,
    ANNOTATION_RESUME, ANNOTATION_TRANSFER_MODE, PREFIX,
};
use crate::plan::{TransferMode, UpgradeKind};

use super::options::RequestOptions;

/// All annotations of a request that have an effect.
const KNOWN: [&str; 9] = [
    ANNOTATION_TRANSFER_MODE,
    ANNOTATION_KEEP_OLD_DATA,
    ANNOTATION_CANCEL,
    ANNOTATION_RESUME,
    ANNOTATION_REINDEX,
    ANNOTATION_REPARTITION,
    ANNOTATION_CREATEROLE_GRANTS,
    ANNOTATION_ALLOW_BASE_OS_CHANGE,
    ANNOTATION_DRY_RUN,
];
/// Similarity below which a name is not suggested; 1 is equality. Most of a key is the prefix, which all have.
const MIN_SIMILARITY: f64 = 0.8;
/// The first major version in which `CREATEROLE` is limited.
const CREATEROLE_LIMITED_SINCE: u32 = 16;

/// Warnings about the annotations of a new request that have no effect on this upgrade.
pub(super) fn annotation_warnings(
    request: &PostgresOpsRequest,
    allowed: &Allowed<'_>,
    options: &RequestOptions,
) -> Vec<String> {
    let all = request.metadata.annotations.iter().flatten();
    let ours = all.filter_map(|(key, value)| Some((name(key)?, key.as_str(), value.as_str())));
    ours.filter_map(|(name, key, value)| {
        if !KNOWN.contains(&key) {
            return Some(format!("the annotation {key} is unknown and has no effect{}", suggestion(name)));
        }
        let why = why_without_effect(key, value, allowed, options)?;
        Some(format!("the annotation {key} has no effect: {why}"))
    })
    .collect()
}

/// The same for a day-two operation, which nothing but a cancellation is about, and the loss of data.
pub(super) fn day_two_annotation_warnings(request: &PostgresOpsRequest, loses_data: bool) -> Vec<String> {
    let all = request.metadata.annotations.iter().flatten();
    let ours = all.filter_map(|(key, value)| Some((name(key)?, key.as_str(), value.as_str())));
    ours.filter_map(|(name, key, value)| match key {
        ANNOTATION_DRY_RUN => None,
        ANNOTATION_CANCEL if value == "true" => None,
        ANNOTATION_OVERRIDE if loses_data => None,
        ANNOTATION_OVERRIDE => {
            Some(format!("the annotation {key} has no effect: the request deletes no data"))
        }
        ANNOTATION_CANCEL => {
            Some(format!("the annotation {key} has no effect: only the value \"true\" cancels the request"))
        }
        _ if KNOWN.contains(&key) => {
            Some(format!("the annotation {key} has no effect on a request of type {}", request.spec.type_))
        }
        _ => Some(format!("the annotation {key} is unknown and has no effect{}", suggestion(name))),
    })
    .collect()
}

/// The part of a key of pgops after the prefix.
fn name(key: &str) -> Option<&str> {
    key.strip_prefix(PREFIX)?.strip_prefix('/')
}

fn suggestion(name: &str) -> String {
    let names = KNOWN.iter().filter_map(|known| self::name(known));
    let similar = names.map(|known| (strsim::jaro_winkler(name, known), known));
    let nearest = similar.filter(|(similarity, _)| *similarity >= MIN_SIMILARITY);
    let nearest = nearest.max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.map_or_else(String::new, |(_, known)| format!(": did you mean {PREFIX}/{known}?"))
}

fn why_without_effect(
    key: &str,
    value: &str,
    allowed: &Allowed<'_>,
    options: &RequestOptions,
) -> Option<&'static str> {
    let is_minor = allowed.kind() == UpgradeKind::Minor;
    match key {
        ANNOTATION_TRANSFER_MODE if is_minor => Some("a minor upgrade transfers no data"),
        ANNOTATION_KEEP_OLD_DATA if is_minor => Some("a minor upgrade keeps the data as it is"),
        ANNOTATION_KEEP_OLD_DATA if options.transfer_mode == Some(TransferMode::Link) => {
            Some("in link mode the old data is unusable and deleted at once")
        }
        ANNOTATION_CREATEROLE_GRANTS if !limits_createrole(allowed) => {
            Some("only an upgrade from before 16 to 16 or later limits CREATEROLE")
        }
        ANNOTATION_ALLOW_BASE_OS_CHANGE if allowed.from.changed_base_os(allowed.to).is_none() => {
            Some("the base system does not change")
        }
        ANNOTATION_CANCEL if value != "true" => Some("only the value \"true\" cancels the request"),
        ANNOTATION_RESUME => Some("only a request that has failed can resume"),
        _ => None,
    }
}

fn limits_createrole(allowed: &Allowed<'_>) -> bool {
    let major =
        |release: Result<crate::PgVersion, _>| release.map(|version| version.major).unwrap_or_default();
    major(allowed.from.release()) < CREATEROLE_LIMITED_SINCE
        && major(allowed.to.release()) >= CREATEROLE_LIMITED_SINCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Catalog;
    use crate::postgresversion::PostgresVersionSpec;
    use rstest::rstest;
    use serde_json::json;

    fn warnings(from: &str, to: &str, annotations: &serde_json::Value) -> Vec<String> {
        let entry = |version: &str| -> PostgresVersionSpec {
            serde_json::from_value(
                json!({ "version": version, "db": { "image": format!("postgres:{version}"), "baseOS": "debian" } }),
            )
            .unwrap()
        };
        let entries = [from, to].map(|version| (version, entry(version)));
        let catalog = Catalog::new(entries.iter().map(|(name, spec)| (*name, spec)));
        let request: PostgresOpsRequest = serde_json::from_value(json!({
            "metadata": { "name": "orders-17", "annotations": annotations },
            "spec": { "type": "UpdateVersion", "databaseRef": { "name": "orders" } },
        }))
        .unwrap();
        let allowed = catalog.decide(from, to).unwrap();
        annotation_warnings(&request, &allowed, &RequestOptions::parse(&request).unwrap())
    }

    #[rstest]
    #[case::misspelled("pgops.dev/transfermode", "did you mean pgops.dev/transfer-mode?")]
    #[case::singular("pgops.dev/createrole-grant", "did you mean pgops.dev/createrole-grants?")]
    #[case::of_another_kind("pgops.dev/override-guards", "is unknown and has no effect")]
    fn unknown_annotation_is_named_with_the_nearest(#[case] key: &str, #[case] part: &str) {
        let found = warnings("13.16", "17.11", &json!({ key: "x" }));
        assert!(found.len() == 1 && found[0].contains(key) && found[0].contains(part), "{found:?}");
    }

    #[rstest]
    #[case::transfer_mode("pgops.dev/transfer-mode", "copy", "13.16", "13.23", true)]
    #[case::transfer_mode_of_a_major_upgrade("pgops.dev/transfer-mode", "copy", "13.16", "17.11", false)]
    #[case::old_data("pgops.dev/keep-old-data", "24h", "13.16", "13.23", true)]
    #[case::old_data_of_a_major_upgrade("pgops.dev/keep-old-data", "24h", "13.16", "17.11", false)]
    #[case::roles("pgops.dev/createrole-grants", "carry", "16.2", "17.11", true)]
    #[case::roles_to_16("pgops.dev/createrole-grants", "carry", "15.2", "16.2", false)]
    #[case::base_system("pgops.dev/allow-base-os-change", "true", "13.16", "17.11", true)]
    #[case::cancel_with_another_value("pgops.dev/cancel", "yes", "13.16", "17.11", true)]
    #[case::cancel("pgops.dev/cancel", "true", "13.16", "17.11", false)]
    #[case::resume("pgops.dev/carry-on", "true", "13.16", "17.11", true)]
    #[case::reindex("pgops.dev/reindex", "report", "13.16", "13.23", false)]
    #[case::of_others("example.com/x", "y", "13.16", "17.11", false)]
    #[case::of_a_similar_domain("pgops.development/x", "y", "13.16", "17.11", false)]
    fn annotation_without_effect_on_this_upgrade_is_named(
        #[case] key: &str,
        #[case] value: &str,
        #[case] from: &str,
        #[case] to: &str,
        #[case] is_warned: bool,
    ) {
        let found = warnings(from, to, &json!({ key: value }));
        assert_eq!(found.len(), usize::from(is_warned), "{found:?}");
        assert!(found.iter().all(|line| line.starts_with(&format!("the annotation {key} has no effect: "))));
    }

    #[test]
    fn old_data_is_not_kept_in_link_mode() {
        let annotations = json!({ "pgops.dev/keep-old-data": "24h", "pgops.dev/transfer-mode": "link" });
        let found = warnings("13.16", "17.11", &annotations);
        assert!(found.len() == 1 && found[0].contains("in link mode"), "{found:?}");
    }
}
