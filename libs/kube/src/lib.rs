//! What every program of pgops that talks to Kubernetes needs.
//!
//! | module | content |
//! |---|---|
//! | [`connect`] | finding the API server |
//! | [`ApiError`] | a call to the API server that failed |
//! | [`status`] | what the status of a failed call means |
//! | [`patch`] | patches that apply only to the version of the object that was read |
//! | [`finalizers`] | adding and removing one finalizer and leaving the others alone |
//! | [`lease`] | leader election |
//! | [`logging`] | the log's format and filter |
//! | [`shutdown`] | termination signals |
//! | [`Readiness`] | what a process waits for before it is ready |
//! | [`Namespaces`] | the namespaces that a program works in |
//! | [`node_affinity`] | the node that the next pod of a StatefulSet must run on |
//! | [`member`] | the servers of a database with standbys, from their pods |
//! | [`LostPod`] | pods whose node no longer reports |
//! | [`observed`] | what other components report about pods, and in Events |
//! | [`broken_pod`] | pods that waiting does not bring up |
//! | [`pod_problem`] | why a pod does not exist or does not run |
//! | [`stored_image`] | how the API server stores an image of a StatefulSet |
//! | [`secret_projection()`] | keys of a Secret as a part of a projected volume |
//! | [`watches`] | watches that notice when the API server does not answer any more |
//! | [`PullPolicy`] | the flag for `imagePullPolicy` |
//! | [`ContainerResources`] | a flag with requests and limits of a container |
//! | [`identity`] | the identity of a pod at the API server, for some of its containers |
//! | [`ImageArgs`] | where the images of pods come from, and on which nodes they run |

mod api_error;
pub mod broken_pod;
pub mod connect;
pub mod finalizers;
pub mod identity;
mod image_args;
pub mod lease;
pub mod logging;
mod lost_pod;
pub mod member;
mod namespaces;
pub mod node_affinity;
pub mod observed;
pub mod patch;
pub mod pod_problem;
mod pull_policy;
mod readiness;
mod resources;
mod secret_projection;
pub mod shutdown;
pub mod status;
pub mod stored_image;
pub mod watches;

pub use api_error::ApiError;
pub use image_args::ImageArgs;
pub use lost_pod::{LostPod, PodLoss, lost_pod};
pub use namespaces::{NamespaceArgs, NamespaceScope, Namespaces};
pub use pull_policy::PullPolicy;
pub use readiness::Readiness;
pub use resources::{ContainerResources, ParseResourcesError};
pub use secret_projection::secret_projection;
