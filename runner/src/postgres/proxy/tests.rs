use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::*;

const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const DENIED: &[u8] = b"E\0\0\0\x0aMno!\0\0";
const STARTUP: &[u8] = b"\0\0\0\x14\0\x03\0\0user\0admin\0\0";
const SSL_REQUEST: &[u8] = b"\0\0\0\x08\x04\xd2\x16\x2f";

/// A server that requests the password, and answers as given.
async fn server_that_answers(last: &'static [u8]) -> tokio::task::JoinHandle<Vec<u8>> {
    // The proxy connects to PostgreSQL's port, so each test has an address of its own.
    let address = match last {
        OK => "127.0.0.71",
        _ => "127.0.0.72",
    };
    let listener = TcpListener::bind((address, POSTGRES_PORT)).await.unwrap();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut startup = vec![0; STARTUP.len()];
        client.read_exact(&mut startup).await.unwrap();
        assert_eq!(startup, STARTUP);
        client.write_all(CLEARTEXT).await.unwrap();
        let password = message::read(&mut client).await.unwrap();
        client.write_all(last).await.unwrap();
        password
    })
}

async fn answer(address: &str, length: usize) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let superuser = Superuser::new("admin", "secret");
    let proxy = Proxy::start(directory.path(), address, &superuser).unwrap();
    let socket = directory.path().join(".s.PGSQL.5432");
    let mut client = UnixStream::connect(&socket).await.unwrap();
    client.write_all(SSL_REQUEST).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'N');
    client.write_all(STARTUP).await.unwrap();
    let mut answer = vec![0; length];
    client.read_exact(&mut answer).await.unwrap();
    drop(proxy);
    assert!(!socket.exists());
    answer
}

#[tokio::test]
async fn client_is_authenticated_without_the_password() {
    let server = server_that_answers(OK).await;
    assert_eq!(answer("127.0.0.71", OK.len()).await, OK);
    assert_eq!(server.await.unwrap(), b"p\0\0\0\x0bsecret\0");
}

#[tokio::test]
async fn client_sees_why_it_was_denied() {
    let _server = server_that_answers(DENIED).await;
    assert_eq!(answer("127.0.0.72", DENIED.len()).await, DENIED);
}

#[tokio::test]
async fn packet_of_invalid_length_ends_the_connection() {
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(&[0xff; 8]).await.unwrap();
    let error = message::read_startup(&mut ours).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
