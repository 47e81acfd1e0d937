//! Patroni, in a database of several servers: what it reads, and that it runs.
//!
//! | file | content |
//! |---|---|
//! | `member` | this server among the others |
//! | `configuration` | Patroni's own settings, without those that all members share, which are in a `ConfigMap`: pure |
//! | `kubeconfig` | its way to the API server, by the sidecar: pure |
//! | `secret` | the passwords between the members |
//! | `files` | writes these files |
//! | `roles` | the roles of these passwords in the database |
//! | `bundle` | the mounted Patroni |
//! | `rest` | what Patroni is asked for |
//! | `supervisor` | starts Patroni, and again when it ends |

mod bundle;
mod configuration;
mod files;
mod kubeconfig;
mod member;
mod rest;
mod roles;
mod secret;
mod supervisor;

pub use files::write;
pub use kubeconfig::PROXY;
pub use member::Member;
pub use rest::reinitialize;
pub use roles::{RolesError, create_first, watch as watch_roles};
pub use secret::Passwords;
pub use supervisor::{Patroni, PatroniError};
