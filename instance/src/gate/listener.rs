//! The gate's clients. Any process of the container may connect, also code of users: none can hold up PID 1 or another client
//! for longer than its time.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, geteuid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

use super::access::Access;
use super::decision::Refusal;
use super::keeper::Decisions;
use super::message::{CloneStep, DONE, Message};
use super::program::Gated;
use super::request::{MAX_REQUEST, REFUSED, RequestError};

/// Clients that are served at a time.
const MAX_CLIENTS: usize = 16;
/// Time in which a client sends its request, reads a refusal, and executes its program.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(1);
const EXECUTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failure to accept: this process may have too many open files.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Serves clients.
pub struct Listener {
    pub socket: UnixListener,
    pub decisions: Decisions,
    pub access: Access,
}

impl Listener {
    /// Serves until the process ends.
    pub async fn serve(self) {
        let clients = Arc::new(Semaphore::new(MAX_CLIENTS));
        let service = Arc::new(Service {
            decisions: self.decisions,
            access: self.access,
            last_refusal: Mutex::default(),
        });
        // The semaphore is never closed.
        while let Ok(permit) = clients.clone().acquire_owned().await {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    let service = service.clone();
                    tokio::spawn(async move {
                        service.attend(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!("failed to accept a client of the gate: {error}");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            }
        }
    }
}

struct Service {
    decisions: Decisions,
    access: Access,
    /// Patroni asks again and again: a refusal is logged when it is another one.
    last_refusal: Mutex<Option<String>>,
}

impl Service {
    async fn attend(&self, mut stream: UnixStream) {
        let message = match tokio::time::timeout(CLIENT_TIMEOUT, receive(&mut stream)).await {
            Ok(Ok(message)) => message,
            // It has not sent one.
            Err(_) | Ok(Err(None)) => return,
            Ok(Err(Some(refusal))) => return self.refuse(stream, "nothing is started", &refusal).await,
        };
        let (granted, refused) = (Granted::by(&message), message.refused());
        let stream = Arc::new(stream);
        let result = match peer(&stream) {
            Some(pid) => self.decisions.ask(message, pid, &stream).await.map(|()| pid),
            None => Err(Refusal::ForeignPeer),
        };
        match (result, granted) {
            (Ok(pid), Granted::Promotion) => {
                self.last_refusal().take();
                tracing::info!("the server is promoted: Patroni has the lock");
                self.follow(&stream, pid).await;
            }
            (Ok(pid), Granted::Interlock(program)) => {
                self.last_refusal().take();
                tracing::info!(%program, pid = pid.as_raw_pid(), "the gate has given the interlock");
                self.follow(&stream, pid).await;
            }
            (Ok(_), Granted::Step(step)) => {
                self.last_refusal().take();
                tracing::info!("{step}");
                if let Ok(stream) = Arc::try_unwrap(stream) {
                    answer(stream, &[DONE]).await;
                }
            }
            (Err(refusal), _) => {
                // The thread has dropped it, unless it is still at work: then it answers with the descriptor's end.
                if let Ok(stream) = Arc::try_unwrap(stream) {
                    self.refuse(stream, &refused, &refusal).await;
                }
            }
        }
    }

    /// Waits until the client has executed its program, which closes the socket.
    async fn follow(&self, stream: &UnixStream, pid: Pid) {
        if tokio::time::timeout(EXECUTION_TIMEOUT, closed(stream)).await.is_ok() {
            self.access.record_execution(pid);
        } else {
            tracing::warn!(
                pid = pid.as_raw_pid(),
                "killing a client of the gate: it has not executed its program within {} s",
                EXECUTION_TIMEOUT.as_secs()
            );
            self.access.give_up(pid);
        }
    }

    async fn refuse(&self, stream: UnixStream, what: &str, refusal: &Refusal) {
        let text = format!("{what}: {refusal}");
        if self.last_refusal().replace(text.clone()).as_ref() != Some(&text) {
            tracing::warn!("{text}");
        }
        answer(stream, &[&[REFUSED][..], text.as_bytes()].concat()).await;
    }

    fn last_refusal(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a client gets that is not refused.
#[derive(Clone, Copy)]
enum Granted {
    /// For this program.
    Interlock(Gated),
    Promotion,
    Step(CloneStep),
}

impl Granted {
    fn by(message: &Message) -> Self {
        match message {
            Message::Execute(request) if request.program == Gated::PgCtl => Self::Promotion,
            Message::Execute(request) => Self::Interlock(request.program),
            Message::Clone(step) => Self::Step(*step),
        }
    }
}

/// Answers, and ends the connection. What a client does not read it has in the log.
async fn answer(mut stream: UnixStream, bytes: &[u8]) {
    let _ = tokio::time::timeout(CLIENT_TIMEOUT, stream.write_all(bytes)).await;
}

/// The client's process, if it is of this user and container: the kernel gives no number to those of others.
fn peer(stream: &UnixStream) -> Option<Pid> {
    let peer = stream.peer_cred().ok().filter(|peer| peer.uid() == geteuid().as_raw())?;
    Pid::from_raw(peer.pid()?)
}

/// The message, after its length in four bytes. `None` as the error: the client has ended.
async fn receive(stream: &mut UnixStream) -> Result<Message, Option<Refusal>> {
    let failed = |_: io::Error| None;
    let length = usize::try_from(stream.read_u32().await.map_err(failed)?).unwrap_or(usize::MAX);
    if length > MAX_REQUEST {
        return Err(Some(RequestError::TooLong.into()));
    }
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.map_err(failed)?;
    Message::decode(&bytes).map_err(|error| Some(error.into()))
}

/// Waits until the other end is closed.
async fn closed(stream: &UnixStream) {
    let mut ignored = [0; 64];
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut ignored) {
            Ok(0) => return,
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return,
            Ok(_) | Err(_) => {}
        }
    }
}
