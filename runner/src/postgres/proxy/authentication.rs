//! Authenticates to a server in place of a client.

use std::io;

use bytes::{Bytes, BytesMut};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend::{password_message, sasl_initial_response, sasl_response};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::message::{invalid, read};
use crate::postgres::client::session::Superuser;

/// Answers the server's requests; returns the message that the client is to see: that it is authenticated, or the error.
pub async fn authenticate(
    server: &mut (impl AsyncRead + AsyncWrite + Unpin),
    superuser: &Superuser,
) -> io::Result<Bytes> {
    let mut scram = None;
    loop {
        let raw = Bytes::from(read(server).await?);
        let mut buffer = BytesMut::from(&raw[..]);
        let message = Message::parse(&mut buffer)?.ok_or_else(|| invalid("an incomplete message"))?;
        let mut answer = BytesMut::new();
        match message {
            Message::AuthenticationOk | Message::ErrorResponse(_) => return Ok(raw),
            // A server of another protocol version lists what it does not know.
            Message::NoticeResponse(_) => {}
            Message::AuthenticationCleartextPassword => {
                password_message(superuser.password().as_bytes(), &mut answer)?;
            }
            Message::AuthenticationMd5Password(request) => {
                let password = superuser.password().as_bytes();
                let hash = md5_hash(superuser.name.as_bytes(), password, request.salt());
                password_message(hash.as_bytes(), &mut answer)?;
            }
            Message::AuthenticationSasl(request) => {
                if !request.mechanisms().any(|mechanism| Ok(mechanism == SCRAM_SHA_256))? {
                    return Err(invalid("a request for an unknown authentication"));
                }
                let password = superuser.password().as_bytes();
                let client = scram.insert(ScramSha256::new(password, ChannelBinding::unsupported()));
                sasl_initial_response(SCRAM_SHA_256, client.message(), &mut answer)?;
            }
            Message::AuthenticationSaslContinue(request) => {
                let client = scram.as_mut().ok_or_else(|| invalid("a request out of order"))?;
                client.update(request.data())?;
                sasl_response(client.message(), &mut answer)?;
            }
            Message::AuthenticationSaslFinal(request) => {
                // The server proves that it knows the password too.
                let client = scram.as_mut().ok_or_else(|| invalid("a request out of order"))?;
                client.finish(request.data())?;
            }
            _ => return Err(invalid("a request for an unknown authentication")),
        }
        server.write_all(&answer).await?;
        server.flush().await?;
    }
}
