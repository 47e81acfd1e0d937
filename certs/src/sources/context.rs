//! What both sources use.

use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::settings::Settings;
use crate::store::Configurations;

/// The settings, and where the results go.
#[derive(Clone)]
pub(crate) struct Context {
    pub configurations: Configurations,
    pub settings: Settings,
    pub clock: Clock,
    pub certificates: Certificates,
}
