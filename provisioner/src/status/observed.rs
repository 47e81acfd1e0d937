//! What the status of a database is made from.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::build_error::BuildError;
use crate::deletion::DeletionBlocker;
use crate::image::ImageChoice;
use crate::observation::Observation;

/// What was observed of a database.
pub struct Observed<'a> {
    /// The workload, if it is the database's own.
    pub workload: Option<&'a StatefulSet>,
    /// The image of the workload, if the children were built just now.
    pub image: Option<&'a ImageChoice>,
    /// Why the children do not match the spec.
    pub build_error: Option<&'a BuildError>,
    /// Why the object is kept although it was deleted.
    pub blocker: Option<&'a DeletionBlocker>,
    /// Pod, volume claim and Secret.
    pub running: &'a Observation,
    pub now: Time,
}

/// The servers of a workload.
#[derive(Clone, Copy)]
pub struct Servers {
    pub wanted: i32,
    pub ready: i32,
    pub remaining: i32,
    /// Whether the counts are of the current workload.
    pub current: bool,
}

impl Servers {
    pub fn of(workload: &StatefulSet) -> Self {
        let status = workload.status.as_ref();
        Self {
            wanted: workload.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1),
            ready: status.and_then(|status| status.ready_replicas).unwrap_or(0),
            remaining: status.map_or(0, |status| status.replicas),
            current: status.and_then(|status| status.observed_generation) >= workload.metadata.generation,
        }
    }
}
