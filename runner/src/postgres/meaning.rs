//! What a definition or a call means on another version, found by comparing the serving server with one of the target
//! version that has the same definitions.

pub mod abbreviations;
pub mod bodies;
pub mod defaults;
pub mod names;
pub mod removed;
mod replacements;
pub mod search_path;
mod words;
