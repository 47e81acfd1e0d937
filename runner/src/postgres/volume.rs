//! What only the runner does on the volume of a database; [`pgops_volume`] has what every program that mounts it does.
//! Every change is durable before the call returns.

pub mod capacity;
pub mod data;
pub mod settings_files;
pub mod work_dir;
