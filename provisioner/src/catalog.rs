//! The catalog of versions.

use pgops_api::PostgresVersion;

use crate::apply::{ApplyError, ReadError, read};
use crate::build_error::BuildError;
use crate::context::Context;

/// The entry of a version. A name that no object can have is not requested.
pub async fn entry(context: &Context, name: &str) -> Result<Option<PostgresVersion>, ApplyError> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Ok(None);
    }
    read(&context.client, None, name).await.map_err(|error| match error {
        ReadError::Unreadable(cause) => BuildError::UnreadableEntry { name: name.to_owned(), cause }.into(),
        ReadError::Api(error) => error.into(),
    })
}
