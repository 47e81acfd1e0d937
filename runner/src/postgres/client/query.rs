//! Queries of one column, as text or as a count. Those without parameters take one round trip: their types need not be asked for.

use std::error::Error;

use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row};

use super::error::ServerError;

/// The column of a query that returns one row.
pub async fn text(client: &Client, what: &'static str, sql: &str) -> Result<String, ServerError> {
    let failed = ServerError::query(what);
    client.query_typed_one(sql, &[]).await.map_err(failed)?.try_get(0).map_err(failed)
}

/// The number that a query returns as text.
pub async fn count(client: &Client, what: &'static str, sql: &str) -> Result<u64, ServerError> {
    let answer = text(client, what, sql).await?;
    answer.parse().map_err(|_| ServerError::Answer { what, answer: answer.clone() })
}

/// The column of a query, one string for each row.
pub async fn strings(client: &Client, what: &'static str, sql: &str) -> Result<Vec<String>, ServerError> {
    let failed = ServerError::query(what);
    first_column(&client.query_typed(sql, &[]).await.map_err(failed)?).map_err(failed)
}

/// The column of a query with parameters, one string for each row.
pub async fn strings_with(
    client: &Client,
    what: &'static str,
    sql: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<String>, ServerError> {
    let failed = ServerError::query(what);
    first_column(&client.query(sql, parameters).await.map_err(failed)?).map_err(failed)
}

fn first_column(rows: &[Row]) -> Result<Vec<String>, tokio_postgres::Error> {
    rows.iter().map(|row| Ok(row.try_get::<_, Lossy>(0)?.0)).collect()
}

/// A column that is an array of text.
pub fn texts(row: &Row, column: usize) -> Result<Vec<String>, tokio_postgres::Error> {
    Ok(row.try_get::<_, Vec<Lossy>>(column)?.into_iter().map(|Lossy(text)| text).collect())
}

/// Text that the server may be unable to give in valid UTF-8, such as a name given in a database of another encoding.
/// Invalid bytes are shown as replacement characters.
pub struct Lossy(pub String);

impl<'a> FromSql<'a> for Lossy {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    fn accepts(kind: &Type) -> bool {
        <String as FromSql>::accepts(kind)
    }
}

/// Whether a name was valid UTF-8 when it was read as [`Lossy`], so that a statement can name the object.
#[must_use]
pub fn was_utf8(name: &str) -> bool {
    !name.contains(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_in_another_encoding_is_shown_lossily() {
        let read = |raw| Lossy::from_sql(&Type::TEXT, raw).map(|text| text.0).unwrap();
        assert_eq!(read("Zoë".as_bytes()), "Zoë");
        assert_eq!(read(b"Zo\xeb"), "Zo\u{fffd}");
        assert!(was_utf8(&read("Zoë".as_bytes())) && !was_utf8(&read(b"Zo\xeb")));
    }
}
