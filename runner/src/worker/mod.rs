//! Small jobs inside the worker pod, whose containers are database images: nothing but our own
//! static binary can be relied on there.

pub mod dump;
pub mod init;
pub mod install;
pub mod launcher;
pub mod stage;
