//! Binds the sockets of listeners, in clusters with IPv4, IPv6 or both.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

/// Binds a socket. `[::]` accepts IPv6 and IPv4, or IPv4 alone on a node without IPv6.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        // Whatever the cause is: if it is another one, this fails too, and says so in terms of the port.
        Err(_) if address.is_ipv6() && address.ip().is_unspecified() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv6Addr};

    use tokio::net::TcpStream;

    /// The address under which the client is known that connects to the socket.
    async fn connect(socket: &TcpListener, from: IpAddr) -> io::Result<SocketAddr> {
        let _client = TcpStream::connect((from, socket.local_addr()?.port())).await?;
        Ok(socket.accept().await?.1)
    }

    #[tokio::test]
    async fn unspecified_ipv6_address_accepts_both_families() {
        let socket = bind((Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap();
        let peer = connect(&socket, Ipv4Addr::LOCALHOST.into()).await.unwrap();
        assert_eq!(peer.ip().to_canonical(), Ipv4Addr::LOCALHOST);
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.is_ok() {
            let peer = connect(&socket, Ipv6Addr::LOCALHOST.into()).await.unwrap();
            assert_eq!(peer.ip(), Ipv6Addr::LOCALHOST);
        }
    }

    #[tokio::test]
    async fn port_in_use_is_an_error() {
        let socket = bind((Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let error = bind((Ipv6Addr::UNSPECIFIED, port).into()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
