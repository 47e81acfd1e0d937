//! A fake API server: it records what it gets, and answers what the test says.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{HeaderMap, HeaderName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::store::{Answered, Store};

/// What the server answers from now on.
#[derive(Clone)]
pub enum Answer {
    /// A response.
    Response(StatusCode, Vec<(&'static str, &'static str)>, String),
    /// Nothing, ever.
    Silence,
    /// An endless body.
    Events(Arc<Mutex<Option<mpsc::Receiver<String>>>>),
    /// The end of the connection.
    End,
    /// What these objects make of it.
    Store(Arc<Store>),
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    pub headers: HeaderMap,
    pub body: String,
    /// Which connection it came from.
    pub connection: usize,
}

pub struct ApiServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinSet<()>,
    service_account: TempDir,
}

struct Shared {
    answer: Mutex<Answer>,
    seen: Mutex<Vec<Seen>>,
    open: tokio::sync::watch::Sender<usize>,
}

type ResponseBody = Either<Full<Bytes>, Events>;

impl ApiServer {
    /// Starts a server with a certificate of its own, and a service account with the token `first`.
    pub async fn start() -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let service_account = tempfile::tempdir().unwrap();
        std::fs::write(service_account.path().join("ca.crt"), cert.pem()).unwrap();
        std::fs::write(service_account.path().join("token"), "first").unwrap();

        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));

        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let shared = Arc::new(Shared {
            answer: Mutex::new(Answer::Silence),
            seen: Mutex::default(),
            open: tokio::sync::watch::Sender::new(0),
        });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(socket, acceptor, shared.clone()));
        Self { address, shared, accepting, service_account }
    }

    /// Refuses connections, and ends those that are open.
    pub async fn stop(&mut self) {
        self.accepting.shutdown().await;
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn service_account(&self) -> &Path {
        self.service_account.path()
    }

    pub fn set_token(&self, token: &str) {
        std::fs::write(self.service_account().join("token"), token).unwrap();
    }

    pub fn answer(&self, answer: Answer) {
        *self.shared.answer.lock().unwrap() = answer;
    }

    pub fn answer_json(&self, code: StatusCode, json: &serde_json::Value) {
        self.answer(Answer::Response(code, vec![("content-type", "application/json")], json.to_string()));
    }

    /// Answers with a watch, and returns what sends its bytes.
    pub fn answer_events(&self) -> mpsc::Sender<String> {
        let (sender, receiver) = mpsc::channel(1);
        self.answer(Answer::Events(Arc::new(Mutex::new(Some(receiver)))));
        sender
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Waits until this number of connections is open.
    pub async fn until_connections(&self, number: usize) {
        let mut open = self.shared.open.subscribe();
        super::within_deadline(open.wait_for(|open| *open == number)).await.unwrap();
    }
}

async fn accept(socket: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    for connection in 0.. {
        let (stream, _) = socket.accept().await.unwrap();
        connections.spawn(handle(stream, acceptor.clone(), shared.clone(), connection));
    }
}

async fn handle(stream: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>, connection: usize) {
    shared.open.send_modify(|open| *open += 1);
    if let Ok(stream) = acceptor.accept(stream).await {
        let service = service_fn(|request| respond(request, &shared, connection));
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }
    shared.open.send_modify(|open| *open -= 1);
}

async fn respond(
    request: Request<Incoming>,
    shared: &Shared,
    connection: usize,
) -> Result<Response<ResponseBody>, &'static str> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| "no body")?.to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let (method, target) = (head.method.to_string(), head.uri.to_string());
    shared.seen.lock().unwrap().push(Seen {
        line: format!("{method} {target}"),
        headers: head.headers,
        body: body.clone(),
        connection,
    });
    let answer = shared.answer.lock().unwrap().clone();
    match answer {
        Answer::Silence => std::future::pending().await,
        Answer::End => Err("the end of the connection"),
        Answer::Store(store) => Ok(match store.answer(&method, &target, &body) {
            Answered::Watch(receiver) => Response::new(Either::Right(Events(receiver))),
            Answered::Json(code, json) => {
                let mut response = Response::new(Either::Left(Full::from(json.to_string())));
                *response.status_mut() = code;
                response
            }
        }),
        Answer::Response(code, headers, body) => {
            let mut response = Response::new(Either::Left(Full::from(body)));
            *response.status_mut() = code;
            for (name, value) in headers {
                response.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
            }
            Ok(response)
        }
        Answer::Events(receiver) => {
            let receiver = receiver.lock().unwrap().take().unwrap();
            Ok(Response::new(Either::Right(Events(receiver))))
        }
    }
}

/// A body that the test sends.
struct Events(mpsc::Receiver<String>);

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes.into()))))
    }
}
