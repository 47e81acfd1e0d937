//! The listener for Patroni, on the pod's loopback interface.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::exchange::{Exchange, Proxy};

/// Patroni uses two for its watches, and one for each thread that writes.
const MAX_CONNECTIONS: usize = 32;
/// What is buffered of a connection: the head of a request, or a part of its body.
const BUFFER: usize = 16 * 1024;
/// Pause after a failure to accept, such as a lack of file descriptors, which would otherwise fail in a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Without a connection for this time, Patroni has ended: its watches begin again within a second.
const QUIET: Duration = Duration::from_secs(2);

/// Binds the sockets: IPv4, and IPv6 where the pod has it.
pub async fn bind(port: u16) -> io::Result<Vec<TcpListener>> {
    let mut sockets = vec![TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?];
    // The same port, also if any was free.
    let port = sockets[0].local_addr()?.port();
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(socket) => sockets.push(socket),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
        Err(_) => {}
    }
    Ok(sockets)
}

/// Serves until the pod stops, and after that for as long as Patroni still runs: it is told to stop at the same time, and gives
/// up its lock through this proxy.
pub async fn serve(sockets: Vec<TcpListener>, proxy: Arc<Proxy>, stopped: impl Future<Output = ()>) {
    let open = watch::Sender::new(0);
    let mut accepting = JoinSet::new();
    for socket in sockets {
        accepting.spawn(accept(socket, proxy.clone(), open.clone()));
    }
    stopped.await;
    until_quiet(open.subscribe()).await;
}

async fn until_quiet(mut open: watch::Receiver<usize>) {
    loop {
        // Fails if there is no sender, and then there is no connection either.
        let _ = open.wait_for(|open| *open == 0).await;
        if timeout(QUIET, open.changed()).await.is_err() {
            return;
        }
    }
}

async fn accept(socket: TcpListener, proxy: Arc<Proxy>, open: watch::Sender<usize>) {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => match Place::take(&open) {
                Some(place) => {
                    tokio::spawn(handle(stream, proxy.clone(), place));
                }
                None => proxy.log.limited(MAX_CONNECTIONS),
            },
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn handle(stream: TcpStream, proxy: Arc<Proxy>, _place: Place) {
    // Otherwise an event could wait 40 ms for an acknowledgement. Without the option the connection works too.
    let _ = stream.set_nodelay(true);
    let exchange = Exchange::new(proxy);
    let served = http1::Builder::new()
        // Patroni keeps connections that it does not use; one that ends while it sends a patch would fail the patch.
        .header_read_timeout(None)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service_fn(|request| exchange.respond(request)));
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection ended");
    }
}

/// One of the connections that may be open.
struct Place(watch::Sender<usize>);

impl Place {
    fn take(open: &watch::Sender<usize>) -> Option<Self> {
        let taken = open.send_if_modified(|open| {
            let is_free = *open < MAX_CONNECTIONS;
            *open += usize::from(is_free);
            is_free
        });
        taken.then(|| Self(open.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn serving_ends_when_no_connection_was_open_for_a_while() {
        let open = watch::Sender::new(0);
        let first = Place::take(&open).unwrap();
        let quiet = tokio::spawn(until_quiet(open.subscribe()));
        tokio::time::sleep(QUIET * 10).await;
        assert!(!quiet.is_finished(), "while a connection is open");
        drop(first);
        tokio::time::sleep(QUIET / 2).await;
        drop(Place::take(&open));
        tokio::time::sleep(QUIET * 3 / 4).await;
        assert!(!quiet.is_finished(), "Patroni has connected again");
        tokio::time::sleep(QUIET).await;
        assert!(quiet.is_finished());
    }

    #[test]
    fn places_are_limited_and_given_back() {
        let open = watch::Sender::new(0);
        let mut places: Vec<_> = (0..MAX_CONNECTIONS).map(|_| Place::take(&open).unwrap()).collect();
        assert!(Place::take(&open).is_none());
        places.pop();
        assert!(Place::take(&open).is_some());
    }
}
