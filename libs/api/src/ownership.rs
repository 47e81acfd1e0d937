//! Whether an object belongs to a `Postgres`, to a request or to a StatefulSet. pgops changes no other object: a name
//! may have been taken by another user, or by an earlier object of the same name.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

/// The owner of objects, by its uid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    group: String,
    kind: String,
    name: String,
    uid: String,
}

/// An object that exists and belongs to another owner.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "{kind} {name} does not belong to {owner}, so pgops does not change it: delete it if it is not needed, or use \
     another name"
)]
pub struct ForeignObject {
    /// Kind of the object.
    pub kind: String,
    /// Name of the object.
    pub name: String,
    /// The owner that it should have.
    pub owner: Box<Owner>,
}

impl Owner {
    /// The owner of this kind, name and uid.
    #[must_use]
    pub fn new<K: Resource<DynamicType = ()>>(name: impl Into<String>, uid: impl Into<String>) -> Self {
        Self {
            group: K::group(&()).into_owned(),
            kind: K::kind(&()).into_owned(),
            name: name.into(),
            uid: uid.into(),
        }
    }

    /// The object as an owner. One that the API server has not stored yet owns nothing.
    #[must_use]
    pub fn of<K: Resource<DynamicType = ()>>(object: &K) -> Self {
        let metadata = object.meta();
        Self::new::<K>(metadata.name.clone().unwrap_or_default(), metadata.uid.clone().unwrap_or_default())
    }

    /// Whether the object with this metadata belongs to the owner: by kind and uid, never by name.
    #[must_use]
    pub fn owns(&self, metadata: &ObjectMeta) -> bool {
        let mut owners = metadata.owner_references.iter().flatten();
        !self.uid.is_empty()
            && owners.any(|owner| {
                // The core group has no name, and its version no slash.
                let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
                owner.uid == self.uid && owner.kind == self.kind && group == self.group
            })
    }

    /// Fails unless the object belongs to the owner.
    pub fn require<K: Resource<DynamicType = ()>>(&self, object: &K) -> Result<(), ForeignObject> {
        if self.owns(object.meta()) {
            return Ok(());
        }
        Err(self.foreign::<K>(object.meta().name.clone().unwrap_or_default()))
    }

    /// The error about an object of that name, which belongs to another owner.
    #[must_use]
    pub fn foreign<K: Resource<DynamicType = ()>>(&self, name: impl Into<String>) -> ForeignObject {
        ForeignObject { kind: K::kind(&()).into_owned(), name: name.into(), owner: Box::new(self.clone()) }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} (uid {})", self.kind, self.name, self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Postgres;
    use k8s_openapi::api::apps::v1::StatefulSet;
    use k8s_openapi::api::core::v1::Pod;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
    use rstest::rstest;

    fn owned_by(api_version: &str, kind: &str, uid: &str) -> StatefulSet {
        let owner = OwnerReference {
            api_version: api_version.into(),
            kind: kind.into(),
            name: "orders".into(),
            uid: uid.into(),
            ..OwnerReference::default()
        };
        let mut workload = StatefulSet::default();
        workload.metadata.name = Some("orders".into());
        workload.metadata.owner_references = Some(vec![OwnerReference::default(), owner]);
        workload
    }

    #[rstest]
    #[case::ours(owned_by("kubedb.com/v1", "Postgres", "db"), true)]
    #[case::by_the_older_version_of_the_api(owned_by("kubedb.com/v1alpha2", "Postgres", "db"), true)]
    #[case::of_an_earlier_database_of_that_name(owned_by("kubedb.com/v1", "Postgres", "earlier"), false)]
    #[case::of_another_kind(owned_by("kubedb.com/v1", "MySQL", "db"), false)]
    #[case::of_another_group(owned_by("example.com/v1", "Postgres", "db"), false)]
    #[case::without_owner(StatefulSet::default(), false)]
    fn owner_is_recognised_by_kind_and_uid(#[case] workload: StatefulSet, #[case] owned: bool) {
        let owner = Owner::new::<Postgres>("orders", "db");
        assert_eq!(owner.owns(&workload.metadata), owned);
        assert_eq!(owner.require(&workload).is_ok(), owned);
    }

    #[test]
    fn owner_without_a_uid_owns_nothing() {
        let owner = Owner::new::<Postgres>("orders", "");
        assert!(!owner.owns(&owned_by("kubedb.com/v1", "Postgres", "").metadata));
    }

    #[test]
    fn foreign_object_is_named_with_the_owner_that_it_lacks() {
        let mut workload = StatefulSet::default();
        workload.metadata.uid = Some("1".into());
        workload.metadata.name = Some("orders".into());
        let mut pod = Pod::default();
        pod.metadata.name = Some("orders-0".into());
        let error = Owner::of(&workload).require(&pod).unwrap_err().to_string();
        assert!(
            error.starts_with("Pod orders-0 does not belong to StatefulSet orders (uid 1), so pgops"),
            "{error}"
        );
    }
}
