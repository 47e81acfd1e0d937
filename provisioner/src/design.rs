//! Whether and how a `Postgres` can be built: one pure decision on its spec, its version and the
//! existing workload.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use kube::ResourceExt;
use pgops_api::pod_template::PodTemplate;
use pgops_api::postgres::StorageType;
use pgops_api::spec_check::{build_problem, root_user_problem};
use pgops_api::topology::{StandbySupport, Standbys, Topology};
use pgops_api::{PgVersion, Postgres, PostgresVersion, layout, names};

use crate::build_error::BuildError;
use crate::claims::ExistingData;
use crate::image::{self, ImageChoice};

/// Everything that the children of a `Postgres` depend on, apart from its name.
#[derive(Clone, Debug)]
pub struct Design {
    pub major: u32,
    pub image: ImageChoice,
    /// User and group of the server's files and processes.
    pub uid: i64,
    pub storage: Storage,
    /// What it takes to run standbys, if the database has any.
    pub standbys: Option<StandbyDesign>,
    /// The Secret with settings that the pod mounts.
    pub settings_secret: Option<String>,
    /// What the user has set for the pod.
    pub pod: PodTemplate,
}

impl Design {
    /// What the servers of the database share, of its major version.
    pub fn scope(&self, database: &Postgres) -> String {
        names::ha_scope(&database.name_any(), self.major)
    }
}

/// How the servers of a database with standbys are built.
#[derive(Clone, Debug)]
pub struct StandbyDesign {
    pub servers: Standbys,
    /// Image with the Patroni bundle and its proxy.
    pub image: String,
}

/// What the data is kept on.
#[derive(Clone, Debug)]
pub enum Storage {
    /// A volume claim for each pod, created from this spec.
    Claim(Box<PersistentVolumeClaimSpec>),
    /// The templates that the workload already has. They cannot be changed.
    Existing(Vec<PersistentVolumeClaim>),
    /// An emptyDir.
    Ephemeral(Option<Box<PersistentVolumeClaimSpec>>),
}

/// Decides how a `Postgres` is built. Without an image of Patroni no database has standbys.
pub fn design(
    database: &Postgres,
    version: Option<&PostgresVersion>,
    workload: Option<&StatefulSet>,
    data: &ExistingData,
    patroni: Option<&str>,
) -> Result<Design, BuildError> {
    if let Some(problem) = build_problem(database, StandbySupport::enabled_if(patroni.is_some())) {
        return Err(BuildError::Spec(problem));
    }
    let spec = &database.spec;
    let entry = version.ok_or_else(|| BuildError::UnknownVersion(spec.version.clone()))?;
    let version: PgVersion = entry
        .spec
        .version
        .parse()
        .map_err(|source| BuildError::UnreadableVersion { name: spec.version.clone(), source })?;
    if let Some(data) = workload.and_then(workload_major).filter(|data| *data != version.major) {
        return Err(BuildError::MajorChanged { name: spec.version.clone(), version, data });
    }
    let standbys = standbys(database, patroni);
    if workload.is_some_and(|workload| has_standbys(workload) != standbys.is_some()) {
        return Err(BuildError::TopologyChanged(database.replicas()));
    }
    // The files on the volume belong to the user that created them, whichever user a later image prefers.
    let owner = workload.and_then(workload_uid).or(data.run_as_user);
    let uid = owner.unwrap_or_else(|| entry.spec.run_as_user());
    if let Some(problem) = root_user_problem(uid) {
        return Err(BuildError::Root { name: spec.version.clone(), problem });
    }
    Ok(Design {
        major: version.major,
        image: image::choose(database, &entry.spec.db.image, workload),
        uid,
        storage: storage(database, workload),
        standbys,
        settings_secret: database.settings_secret().map(ToOwned::to_owned),
        pod: PodTemplate::parse(spec.pod_template.as_ref()).map_err(BuildError::PodTemplate)?,
    })
}

fn standbys(database: &Postgres, patroni: Option<&str>) -> Option<StandbyDesign> {
    match database.topology() {
        Ok(Topology::Standbys(servers)) => Some(StandbyDesign { servers, image: patroni?.to_owned() }),
        Ok(Topology::Single) | Err(_) => None,
    }
}

/// Whether a workload was built for standbys. One that was not has a server without Patroni, and pods next to it would start another
/// primary.
pub fn has_standbys(workload: &StatefulSet) -> bool {
    let template = workload.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let labels = template.and_then(|metadata| metadata.labels.as_ref());
    labels.is_some_and(|labels| labels.contains_key(names::LABEL_HA))
}

fn storage(database: &Postgres, workload: Option<&StatefulSet>) -> Storage {
    let claim = database.spec.storage.clone();
    match database.spec.storage_type.unwrap_or_default() {
        StorageType::Ephemeral => Storage::Ephemeral(claim),
        StorageType::Durable => {
            let existing =
                workload.and_then(|workload| workload.spec.as_ref()?.volume_claim_templates.clone());
            existing.map_or_else(|| Storage::Claim(claim.unwrap_or_default()), Storage::Existing)
        }
    }
}

/// Major version that a workload was built for, read from its `PGDATA`.
fn workload_major(workload: &StatefulSet) -> Option<u32> {
    layout::pgdata_major(workload.spec.as_ref()?.template.spec.as_ref()?)
}

/// User that a workload runs as.
fn workload_uid(workload: &StatefulSet) -> Option<i64> {
    workload.spec.as_ref()?.template.spec.as_ref()?.security_context.as_ref()?.run_as_user
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{built_with_standbys, database, version, workload};
    use rstest::rstest;
    use serde_json::{Value, json};

    #[rstest]
    #[case(json!({ "version": "17.99" }), "spec.version \"17.99\" is not a PostgresVersion")]
    #[case(json!({ "replicas": 3 }), "spec.replicas: 3 is not supported")]
    #[case(json!({ "storage": null }), "spec.storage.resources.requests.storage: a Durable database requires a size")]
    #[case(json!({ "sslMode": "require" }), "spec.sslMode: \"require\" requires a certificate")]
    #[case(json!({ "tls": {} }), "spec.tls: the server has no certificate")]
    #[case(json!({ "podTemplate": { "spec": { "containers": "none" } } }), "spec.podTemplate is invalid")]
    fn build_error_names_the_field_and_the_value(#[case] change: Value, #[case] expected: &str) {
        let database = database(change);
        let entry = version("13.16", "13.16", None);
        let entry = (database.spec.version == entry.name_any()).then_some(&entry);
        let error = design(&database, entry, None, &ExistingData::default(), None).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn unreadable_version_is_quoted() {
        let entry = version("13.16", "latest", None);
        let error =
            design(&database(json!({})), Some(&entry), None, &ExistingData::default(), None).unwrap_err();
        assert!(
            error.to_string().contains("PostgresVersion \"13.16\"")
                && error.to_string().contains("\"latest\"")
        );
    }

    #[test]
    fn root_user_is_refused() {
        let entry = version("13.16", "13.16", Some(0));
        assert_eq!(
            design(&database(json!({})), Some(&entry), None, &ExistingData::default(), None)
                .unwrap_err()
                .reason(),
            "RunsAsRoot"
        );
    }

    #[test]
    fn existing_data_keeps_its_user_and_its_claims() {
        let old = version("13.16", "13.16", Some(70));
        let workload = workload(&old);
        let minor = version("13.23", "13.23", Some(999));
        let grown = database(json!({ "storage": { "resources": { "requests": { "storage": "9Gi" } } } }));
        let design = design(&grown, Some(&minor), Some(&workload), &ExistingData::default(), None).unwrap();
        assert_eq!((design.uid, design.image.image.as_str()), (70, "registry.example/postgres:13.23"));
        let Storage::Existing(claims) = design.storage else { panic!("{:?}", design.storage) };
        assert_eq!(Some(claims), workload.spec.unwrap().volume_claim_templates);
    }

    #[test]
    fn data_without_a_workload_keeps_its_user() {
        let entry = version("13.16", "13.16", Some(999));
        let data = ExistingData { run_as_user: Some(70), ..ExistingData::default() };
        assert_eq!(design(&database(json!({})), Some(&entry), None, &data, None).unwrap().uid, 70);
        let none = ExistingData::default();
        assert_eq!(design(&database(json!({})), Some(&entry), None, &none, None).unwrap().uid, 999);
    }

    #[rstest]
    #[case::of_one_server(json!({}), json!({ "replicas": 3 }))]
    #[case::of_three(json!({ "replicas": 3 }), json!({}))]
    fn workload_gets_or_loses_no_standbys(#[case] before: Value, #[case] after: Value) {
        let entry = version("13.16", "13.16", None);
        let workload = built_with_standbys(&database(before.clone()), &entry).workload;
        let design = |change: Value| {
            let none = ExistingData::default();
            design(&database(change), Some(&entry), Some(&workload), &none, Some("patroni"))
        };
        assert!(design(before).is_ok());
        assert_eq!(design(after).unwrap_err().reason(), "TopologyChanged");
    }

    #[test]
    fn standbys_are_built_only_where_they_are_enabled() {
        let (database, entry) = (database(json!({ "replicas": 3 })), version("13.16", "13.16", None));
        let built = |patroni| design(&database, Some(&entry), None, &ExistingData::default(), patroni);
        assert_eq!(built(Some("patroni")).unwrap().standbys.unwrap().servers.servers(), 3);
        assert_eq!(built(None).unwrap_err().reason(), "ReplicasUnsupported");
    }

    #[test]
    fn another_major_version_requires_a_request() {
        let workload = workload(&version("13.16", "13.16", None));
        let entry = version("17.11", "17.11", None);
        let error = design(
            &database(json!({ "version": "17.11" })),
            Some(&entry),
            Some(&workload),
            &ExistingData::default(),
            None,
        )
        .unwrap_err();
        assert!(matches!(error, BuildError::MajorChanged { data: 13, .. }), "{error}");
        assert!(error.to_string().contains("targetVersion \"17.11\""), "{error}");
    }
}
