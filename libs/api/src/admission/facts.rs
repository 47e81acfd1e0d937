//! What a decision depends on.

use std::sync::Arc;

use crate::matrix::Catalog;
use crate::topology::StandbySupport;
use crate::{Postgres, PostgresOpsRequest};

/// Everything that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The request; its database is in the same namespace.
    pub request: &'a PostgresOpsRequest,
    /// The database that it names, if it exists.
    pub database: Option<&'a Postgres>,
    /// The catalog, with which the compatibility matrix is evaluated.
    pub catalog: &'a Catalog,
    /// Other requests that may still change the same database, see [`PostgresOpsRequest::is_active`].
    pub active: &'a [Arc<PostgresOpsRequest>],
    /// Whether this installation builds databases with standbys.
    pub standbys: StandbySupport,
}
