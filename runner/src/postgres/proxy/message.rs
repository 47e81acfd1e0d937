//! The messages at the start of a connection, see "Message Formats" in `PostgreSQL`'s documentation.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// The largest message before a session has begun, in bytes; the server accepts no larger startup packet either.
const MAX: usize = 10_000;
const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// The first packet of a connection, whole.
#[derive(Debug, Eq, PartialEq)]
pub enum Startup {
    Session(Vec<u8>),
    Cancel(Vec<u8>),
}

/// Reads the first packet, and declines encryption: a socket needs none. `None` if the client closes the connection.
pub async fn read_startup(client: &mut UnixStream) -> io::Result<Option<Startup>> {
    loop {
        let length = match client.read_u32().await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            length => length?,
        };
        let body = read_body(client, length).await?;
        let code = body.first_chunk().map(|code| u32::from_be_bytes(*code));
        let packet = [&length.to_be_bytes()[..], &body].concat();
        match code {
            Some(SSL_REQUEST | GSS_REQUEST) => client.write_all(b"N").await?,
            Some(CANCEL_REQUEST) => return Ok(Some(Startup::Cancel(packet))),
            Some(_) => return Ok(Some(Startup::Session(packet))),
            None => return Err(invalid("a startup packet without a version")),
        }
    }
}

/// A message with its type and its length.
pub async fn read(server: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let kind = server.read_u8().await?;
    let length = server.read_u32().await?;
    let body = read_body(server, length).await?;
    Ok([&[kind][..], &length.to_be_bytes(), &body].concat())
}

/// The rest of a message, whose length counts itself.
async fn read_body(stream: &mut (impl AsyncRead + Unpin), length: u32) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).ok().and_then(|length| length.checked_sub(4));
    let length =
        length.filter(|length| *length <= MAX).ok_or_else(|| invalid("a message of invalid length"))?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

pub fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("received {what}"))
}
