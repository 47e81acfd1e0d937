//! Connects to servers of this container.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use tokio::net::UnixStream;

use crate::agent::connection::Connection;
use crate::agent::protocol::{Response, ServerProcess};

/// Connects to the server that listens at `socket`, and passes the connection on. Code of users may listen there in its place:
/// the answer says which process does.
pub async fn connect(socket: &Path, channel: &mut Connection) -> Result<Response, String> {
    let connected = open(socket).await;
    let descriptor = connected.as_ref().ok().map(|(stream, _)| stream.as_fd());
    channel.send_descriptor(descriptor).await.map_err(|error| error.to_string())?;
    match connected {
        Ok((_, process)) => Ok(Response::Connected(process)),
        Err(error) => Err(format!("failed to connect to {}: {error}", socket.display())),
    }
}

async fn open(socket: &Path) -> io::Result<(UnixStream, ServerProcess)> {
    let stream = UnixStream::connect(socket).await?;
    let pid = stream.peer_cred()?.pid().ok_or(io::ErrorKind::NotFound)?;
    Ok((stream, ServerProcess { pid, started: started(pid)? }))
}

/// When a process was started, in ticks since the boot.
fn started(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_started(&stat).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The 22nd field; the second is the program's name in parentheses, which may contain anything.
fn parse_started(stat: &str) -> Option<u64> {
    stat.rsplit_once(") ")?.1.split(' ').nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_of_a_process_is_found_whatever_its_name() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 200";
        assert_eq!(parse_started(stat), Some(987_654));
        assert_eq!(parse_started("42 (a) S 1"), None);
    }

    #[tokio::test]
    async fn process_that_listens_is_known_by_number_and_start() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let (_, process) = open(&socket).await.unwrap();
        assert_eq!(process.pid, i32::try_from(std::process::id()).unwrap());
        assert_eq!(process.started, started(process.pid).unwrap());
        assert!(process.started > 0);
    }
}
