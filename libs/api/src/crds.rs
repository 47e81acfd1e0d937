//! The custom resource definitions, generated from the Rust types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{Postgres, PostgresOpsRequest, PostgresVersion};

/// The three definitions.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![postgres(), PostgresOpsRequest::crd(), PostgresVersion::crd()]
}

/// `v1` is stored; `v1alpha2` has the same schema, for manifests that still use it.
fn postgres() -> CustomResourceDefinition {
    let mut crd = Postgres::crd();
    let mut old = crd.spec.versions[0].clone();
    "v1alpha2".clone_into(&mut old.name);
    old.storage = false;
    crd.spec.versions.push(old);
    crd
}
