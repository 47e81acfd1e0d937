//! Code of roles without superuser rights that restoring a schema executes. `pg_restore` creates most objects as the
//! superuser, and the server evaluates some definitions then: it simplifies partition keys, checks of domains and tables
//! that refer to themselves, and calls whatever functions they name.
//!
//! - [`stored`] asks the serving database, before anything is restored, what a restore would evaluate: [`node_tree`] reads
//!   its stored expressions, [`calls`] says what they call, [`untrusted`] what of it would run;
//! - [`executed`] asks a server which functions a restore has called;
//! - [`definitions`] asks the serving database which of its definitions name such functions, called or not.

pub mod calls;
pub mod definitions;
pub mod executed;
pub mod node_tree;
pub mod stored;
pub mod untrusted;
