//! The two sources of certificates. The `reconcile` of each brings this replica's certificate and the cluster
//! one step closer to the desired state.

mod context;
mod files;
mod self_signed;

pub(crate) use context::Context;
pub(crate) use files::Files;
pub(crate) use self_signed::SelfSigned;
