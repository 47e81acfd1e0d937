//! Whether and how a `Postgres` can be built: one pure decision on its spec, its version and the
//! workload that is there.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use kube::ResourceExt;
use pgops_api::postgres::StorageType;
use pgops_api::version::ParseVersionError;
use pgops_api::{PgVersion, Postgres, PostgresVersion, layout};

use crate::pod_template::PodTemplate;

/// Everything that the children of a `Postgres` depend on, beside its name.
#[derive(Clone, Debug)]
pub struct Design {
    /// Major version of the server.
    pub major: u32,
    /// The server's image.
    pub image: String,
    /// User and group of the server's files and processes.
    pub uid: i64,
    /// What the data is kept on.
    pub storage: Storage,
    /// What the user set for the pod.
    pub pod: PodTemplate,
}

/// What the data is kept on.
#[derive(Clone, Debug)]
pub enum Storage {
    /// A claim for each pod, made by this spec.
    Claim(Box<PersistentVolumeClaimSpec>),
    /// Claims for which the workload already has templates. They cannot be changed.
    Existing(Vec<PersistentVolumeClaim>),
    /// An emptyDir.
    Ephemeral(Option<Box<PersistentVolumeClaimSpec>>),
}

/// Why a `Postgres` cannot be built as it stands. Each names the field, the value and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A name that cannot be a Service's.
    #[error(
        "metadata.name \"{0}\" cannot name a StatefulSet and its Services: use at most 52 letters a-z, digits and \
         '-', beginning with a letter"
    )]
    Name(String),
    /// The catalog has no such version.
    #[error(
        "spec.version \"{0}\" names no PostgresVersion: choose one that `kubectl get postgresversions` lists, or \
         create it"
    )]
    UnknownVersion(String),
    /// The catalog's entry has no version that can be understood.
    #[error("PostgresVersion \"{name}\" cannot be used: its spec.version {source}")]
    UnreadableVersion {
        /// Name of the entry.
        name: String,
        /// What is wrong; its words stand in the message, since conditions show no sources.
        source: ParseVersionError,
    },
    /// The catalog's entry is of a shape that this program does not know.
    #[error("PostgresVersion \"{name}\" cannot be read: {cause}; correct that field")]
    UnreadableEntry {
        /// Name of the entry.
        name: String,
        /// What does not fit, and where.
        cause: String,
    },
    /// The catalog's entry names root.
    #[error(
        "PostgresVersion \"{0}\" cannot be used: its spec.securityContext.runAsUser is {1}, and PostgreSQL refuses to \
         run as root: name the image's own user, such as 999 (Debian) or 70 (Alpine)"
    )]
    Root(String, i64),
    /// More than one server.
    #[error("spec.replicas is {0}, and this version of pgops builds no standbys: set it to 1")]
    Replicas(i32),
    /// Nothing to keep the data on.
    #[error(
        "spec.storage is missing, and spec.storageType is Durable: add storage with resources.requests.storage, or \
         set spec.storageType to Ephemeral for data that may be lost"
    )]
    NoStorage,
    /// The user's pod template is of another shape.
    #[error("spec.podTemplate cannot be read: its {0}; correct that field")]
    PodTemplate(serde_path_to_error::Error<serde_json::Error>),
    /// Another major version without an upgrade.
    #[error(
        "spec.version \"{name}\" is PostgreSQL {version}, and the data is of major version {data}: set spec.version \
         back, then create a PostgresOpsRequest of type UpdateVersion with targetVersion \"{name}\""
    )]
    MajorChanged {
        /// Name of the version asked for.
        name: String,
        /// The version asked for.
        version: PgVersion,
        /// Major version of the workload.
        data: u32,
    },
    /// A child's name is taken.
    #[error(
        "{kind} \"{name}\" exists and belongs to something else: remove it, or give the Postgres another name"
    )]
    Taken {
        /// Kind of the object.
        kind: String,
        /// Name of the object.
        name: String,
    },
}

impl Problem {
    /// One word for machines.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Name(_) => "InvalidName",
            Self::UnknownVersion(_) => "UnknownVersion",
            Self::UnreadableVersion { .. } | Self::UnreadableEntry { .. } => "UnreadableVersion",
            Self::Root(..) => "RunsAsRoot",
            Self::Replicas(_) => "UnsupportedReplicas",
            Self::NoStorage => "NoStorage",
            Self::PodTemplate(_) => "InvalidPodTemplate",
            Self::MajorChanged { .. } => "UpgradeNeeded",
            Self::Taken { .. } => "NameTaken",
        }
    }
}

/// Decides how a `Postgres` is built.
pub fn design(
    database: &Postgres,
    version: Option<&PostgresVersion>,
    workload: Option<&StatefulSet>,
) -> Result<Design, Problem> {
    let name = database.name_any();
    if !names_a_service(&name) {
        return Err(Problem::Name(name));
    }
    let spec = &database.spec;
    let entry = version.ok_or_else(|| Problem::UnknownVersion(spec.version.clone()))?;
    let version: PgVersion = entry
        .spec
        .version
        .parse()
        .map_err(|source| Problem::UnreadableVersion { name: spec.version.clone(), source })?;
    if database.replicas() != 1 {
        return Err(Problem::Replicas(database.replicas()));
    }
    if let Some(data) = workload.and_then(major_of).filter(|data| *data != version.major) {
        return Err(Problem::MajorChanged { name: spec.version.clone(), version, data });
    }
    // The files on the volume belong to the user that they were made by, whatever a later image prefers.
    let uid = workload.and_then(uid_of).unwrap_or_else(|| entry.spec.run_as_user());
    if uid <= 0 {
        return Err(Problem::Root(spec.version.clone(), uid));
    }
    Ok(Design {
        major: version.major,
        image: entry.spec.db.image.clone(),
        uid,
        storage: storage(database, workload)?,
        pod: PodTemplate::read(spec.pod_template.as_ref()).map_err(Problem::PodTemplate)?,
    })
}

fn storage(database: &Postgres, workload: Option<&StatefulSet>) -> Result<Storage, Problem> {
    let claim = database.spec.storage.clone();
    match database.spec.storage_type.unwrap_or_default() {
        StorageType::Ephemeral => Ok(Storage::Ephemeral(claim)),
        StorageType::Durable => {
            let claim = claim.ok_or(Problem::NoStorage)?;
            let existing =
                workload.and_then(|workload| workload.spec.as_ref()?.volume_claim_templates.clone());
            Ok(existing.map_or(Storage::Claim(claim), Storage::Existing))
        }
    }
}

/// 52: the StatefulSet's revisions are labels of 63 with a hash behind the name.
fn names_a_service(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 52 && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(plain)
}

/// Major version that a workload was built for, read from its `PGDATA`.
fn major_of(workload: &StatefulSet) -> Option<u32> {
    layout::pgdata_major(workload.spec.as_ref()?.template.spec.as_ref()?)
}

/// User that a workload runs as.
fn uid_of(workload: &StatefulSet) -> Option<i64> {
    workload.spec.as_ref()?.template.spec.as_ref()?.security_context.as_ref()?.run_as_user
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::children::{Images, children};
    use rstest::rstest;
    use serde_json::{Value, json};

    /// A typical database; `change` is merged into its spec.
    pub fn database(change: Value) -> Postgres {
        let mut spec = json!({
            "version": "13.16",
            "storageType": "Durable",
            "storage": { "resources": { "requests": { "storage": "1Gi" } } },
        });
        let Value::Object(change) = change else { panic!("a change is an object") };
        spec.as_object_mut().unwrap().extend(change);
        serde_json::from_value(json!({
            "apiVersion": "kubedb.com/v1",
            "kind": "Postgres",
            "metadata": { "name": "orders", "namespace": "demo", "uid": "5d1c", "generation": 1 },
            "spec": spec,
        }))
        .unwrap()
    }

    pub fn version(name: &str, version: &str, uid: Option<i64>) -> PostgresVersion {
        serde_json::from_value(json!({
            "apiVersion": "catalog.kubedb.com/v1alpha1",
            "kind": "PostgresVersion",
            "metadata": { "name": name },
            "spec": {
                "version": version,
                "db": { "image": format!("registry.example/postgres:{version}") },
                "securityContext": { "runAsUser": uid },
            },
        }))
        .unwrap()
    }

    /// The workload of [`database`] as it was built for a version.
    pub fn workload(version: &PostgresVersion) -> StatefulSet {
        let database = database(json!({}));
        let design = design(&database, Some(version), None).unwrap();
        let images = Images { instance: "registry.example/instance:1".into(), pull_policy: "Always".into() };
        children(&database, &design, &images).workload
    }

    #[rstest]
    #[case(json!({ "version": "17.99" }), "spec.version \"17.99\" names no PostgresVersion")]
    #[case(json!({ "replicas": 3 }), "spec.replicas is 3")]
    #[case(json!({ "storage": null }), "spec.storage is missing")]
    #[case(json!({ "podTemplate": { "spec": { "containers": "none" } } }), "spec.podTemplate cannot be read")]
    fn a_problem_names_the_field_and_the_value(#[case] change: Value, #[case] expected: &str) {
        let database = database(change);
        let entry = version("13.16", "13.16", None);
        let entry = (database.spec.version == entry.name_any()).then_some(&entry);
        let problem = design(&database, entry, None).unwrap_err();
        assert!(problem.to_string().contains(expected), "{problem}");
    }

    #[test]
    fn refuses_a_version_that_cannot_be_read_and_quotes_it() {
        let entry = version("13.16", "latest", None);
        let problem = design(&database(json!({})), Some(&entry), None).unwrap_err();
        assert!(
            problem.to_string().contains("PostgresVersion \"13.16\"")
                && problem.to_string().contains("\"latest\"")
        );
    }

    #[test]
    fn refuses_root() {
        let entry = version("13.16", "13.16", Some(0));
        assert_eq!(design(&database(json!({})), Some(&entry), None).unwrap_err().reason(), "RunsAsRoot");
    }

    #[rstest]
    #[case("orders", true)]
    #[case("orders.v2", false)]
    #[case("2orders", false)]
    #[case(&"o".repeat(53), false)]
    fn refuses_a_name_that_no_service_can_have(#[case] name: &str, #[case] accepted: bool) {
        assert_eq!(names_a_service(name), accepted);
    }

    #[test]
    fn the_data_keeps_its_user_and_its_claims() {
        let old = version("13.16", "13.16", Some(70));
        let workload = workload(&old);
        let minor = version("13.23", "13.23", Some(999));
        let grown = database(json!({ "storage": { "resources": { "requests": { "storage": "9Gi" } } } }));
        let design = design(&grown, Some(&minor), Some(&workload)).unwrap();
        assert_eq!((design.uid, design.image.as_str()), (70, "registry.example/postgres:13.23"));
        let Storage::Existing(claims) = design.storage else { panic!("{:?}", design.storage) };
        assert_eq!(Some(claims), workload.spec.unwrap().volume_claim_templates);
    }

    #[test]
    fn another_major_version_needs_a_request() {
        let workload = workload(&version("13.16", "13.16", None));
        let entry = version("17.11", "17.11", None);
        let problem =
            design(&database(json!({ "version": "17.11" })), Some(&entry), Some(&workload)).unwrap_err();
        assert!(matches!(problem, Problem::MajorChanged { data: 13, .. }), "{problem}");
        assert!(problem.to_string().contains("targetVersion \"17.11\""), "{problem}");
    }
}
