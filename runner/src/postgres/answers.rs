//! Questions that the image answers and not the database: how its C library sorts and classifies letters, what a file of text
//! search holds, which rules a time zone has. Two servers are asked the same; where their answers differ, results that are
//! stored are those of the old image.
//!
//! - [`question`] has the questions, and how each is asked in SQL;
//! - [`known`] keeps what a server has answered, and compares two servers.

pub mod known;
pub mod question;
mod text_samples;
mod zone_rules;
