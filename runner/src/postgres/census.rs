//! The census: everything that the system catalogs of a database hold, made comparable between two servers.
//!
//! A dump leaves out what is in `PostgreSQL`'s own schemas, changes of what is built in, and more, and says nothing. So
//! the rows of every catalog are compared, before the outage with the scratch server that the dump was restored into, and
//! afterwards with the new server. What the source has and the other server lacks, or has with another definition, is
//! lost or changed.
//!
//! - [`definitions`] says how each column of each catalog is compared, as data;
//! - [`sql`] makes queries of it, for the columns that both servers have;
//! - [`presence`] asks beforehand which catalogs have rows;
//! - [`read`] runs them;
//! - [`row_digests`] says which rows of a large catalog are looked at;
//! - [`compare`] finds the differences, [`rules`] says what each means for the upgrade;
//! - [`dropped`] knows what a database lacks of what `initdb` created.

pub mod compare;
pub mod definitions;
pub mod dropped;
pub mod presence;
pub mod read;
pub mod row_digests;
pub mod rules;
pub mod sql;
