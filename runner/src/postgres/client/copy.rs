//! Rows as the server's `COPY` writes them: for queries of plain columns, which call no function. Code that has run as superuser
//! may have created functions in `pg_catalog` that match a call better than the server's own.

use std::borrow::Cow;
use std::pin::pin;

use futures::TryStreamExt;
use tokio_postgres::Client;

use super::error::ServerError;

/// A row: the text of each column, without null.
pub type Columns = Vec<Option<String>>;

/// The rows of a query. Bytes that are not valid UTF-8, as in a name of another database's encoding, are shown as `\xe4`: the
/// same bytes are the same text on every server.
pub async fn rows(client: &Client, what: &'static str, query: &str) -> Result<Vec<Columns>, ServerError> {
    Ok(lines(&answer(client, what, query).await?).map(columns).collect())
}

/// The answer to a query as the server writes it, for [`lines`]. Where only equality counts, this takes a fraction of the time.
pub async fn answer(client: &Client, what: &'static str, query: &str) -> Result<Vec<u8>, ServerError> {
    let failed = ServerError::query(what);
    let copy = format!("COPY ({query}) TO STDOUT (ENCODING 'SQL_ASCII')");
    let mut chunks = pin!(client.copy_out(copy.as_str()).await.map_err(failed)?);
    let mut answer = Vec::new();
    while let Some(chunk) = chunks.try_next().await.map_err(failed)? {
        answer.extend_from_slice(&chunk);
    }
    Ok(answer)
}

/// The lines of an answer, one for each row, with tabs between the columns. Within a column tabs and line breaks are escaped.
pub fn lines(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    answer.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

/// The columns of a line. A tab or a line break within one is escaped.
fn columns(line: &[u8]) -> Columns {
    line.split(|byte| *byte == b'\t').map(|column| (column != b"\\N").then(|| text(column))).collect()
}

fn text(column: &[u8]) -> String {
    let plain = if column.contains(&b'\\') { Cow::Owned(unescaped(column)) } else { Cow::Borrowed(column) };
    let mut text = String::with_capacity(plain.len());
    for chunk in plain.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

fn unescaped(column: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(column.len());
    let mut bytes = column.iter().copied();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'b') => 8,
                Some(b'f') => 12,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 11,
                Some(other) => other,
                None => byte,
            },
            byte => byte,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn some(texts: &[&str]) -> Columns {
        texts.iter().map(|&text| Some(text.to_owned())).collect()
    }

    #[test]
    fn columns_are_told_apart_and_null_from_empty() {
        assert_eq!(columns(b"16384\tapp\tt"), some(&["16384", "app", "t"]));
        assert_eq!(columns(b"\t\\N\t"), [Some(String::new()), None, Some(String::new())]);
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(columns(br"a\tb\nc\\d\re\\N"), some(&["a\tb\nc\\d\re\\N"]));
    }

    #[test]
    fn name_in_another_encoding_is_the_same_text_everywhere() {
        assert_eq!(columns(b"Zo\xeb\tZo\xc3\xab"), some(&["Zo\\xeb", "Zoë"]));
    }

    proptest! {
        #[test]
        fn any_text_is_read_as_it_was_written(expected in ".{0,50}") {
            let written = expected
                .replace('\\', "\\\\")
                .replace('\t', "\\t")
                .replace('\n', "\\n")
                .replace('\r', "\\r");
            prop_assert_eq!(columns(written.as_bytes()), [Some(expected)]);
        }
    }
}
