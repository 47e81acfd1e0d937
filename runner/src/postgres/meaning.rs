//! What a definition or a call means on another version, found by comparing the serving server with one of the target
//! version that has the same definitions.

pub mod bodies;
pub mod names;
