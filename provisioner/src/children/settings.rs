//! The settings of a database that are in its object, as files for its pod.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use pgops_api::{Postgres, names};

use super::metadata::metadata;

/// The settings that the server uses, and those that it is to check. No Secret, as the object itself is none: so the provisioner
/// need not read or change Secrets.
pub fn settings(database: &Postgres) -> ConfigMap {
    let used = (names::INLINE_CONF.to_owned(), database.inline_settings().to_owned());
    let checked =
        database.candidate_settings().map(|text| (names::CANDIDATE_CONF.to_owned(), text.to_owned()));
    ConfigMap {
        metadata: metadata(database, names::settings(&database.name_any())),
        data: Some([used].into_iter().chain(checked).collect()),
        ..ConfigMap::default()
    }
}
