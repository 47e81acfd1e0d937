//! Rules for text: what an upgrade changes about them, and what depends on them.

pub mod amcheck;
pub mod changes;
pub mod indexes;
pub mod partitions;
pub mod versions;
