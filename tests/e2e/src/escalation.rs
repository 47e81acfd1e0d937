//! Attacks by roles that own one schema: everywhere that a restore or an upgrade may evaluate a role's code with the
//! superuser's rights. None may gain a right, and the preflight names each object whose definition it would evaluate.

mod attack;
mod case;
mod cases;

pub use attack::attack_all;
pub use case::Case;
pub use cases::all_cases;
