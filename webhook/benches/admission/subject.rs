//! The subject: the released program, started as in a pod.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::client::Target;
use crate::fake_api_server::FakeApiServer;
use crate::process::{Program, free_address};

/// Maximum time until the program is ready.
const READY_TIMEOUT: Duration = Duration::from_mins(1);
/// Interval between readiness checks.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Starts the program, which logs JSON to a file in the directory. Also returns the time until it was ready.
pub fn start(api_server: &FakeApiServer, directory: &Path) -> anyhow::Result<(Program, Target, Duration)> {
    let kubeconfig = directory.join("kubeconfig.yaml");
    write_kubeconfig(&kubeconfig, api_server.address)?;
    let log = directory.join("webhook.log");
    let bind = free_address()?;
    let health = free_address()?;
    let default = || env!("CARGO_BIN_EXE_pgops-webhook").into();
    let mut command = Command::new(std::env::var_os("PGOPS_BENCH_PROGRAM").unwrap_or_else(default));
    command
        .args(["serve", "--log-format", "json", "--namespace", "pgops-system"])
        .args(["--bind", &bind.to_string(), "--health-bind", &health.to_string()])
        .arg("--kubeconfig")
        .arg(&kubeconfig)
        .env_remove("RUST_LOG")
        .stderr(std::fs::File::create(&log)?);

    let begin = Instant::now();
    let mut program = Program::start("webhook", &mut command)?;
    while !is_ready(health) {
        program.check().with_context(|| format!("see {}", log.display()))?;
        ensure!(begin.elapsed() < READY_TIMEOUT, "the webhook is not ready, see {}", log.display());
        std::thread::sleep(POLL_INTERVAL);
    }
    let ready = begin.elapsed();
    let target = Target::new(bind, &api_server.authority()?, true)?;
    target.wait_for_listener()?;
    Ok((program, target, ready))
}

fn is_ready(health: SocketAddr) -> bool {
    let probe = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect(health)?;
        socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n")?;
        let mut response = Vec::new();
        socket.read_to_end(&mut response)?;
        Ok(response.starts_with(b"HTTP/1.1 200 "))
    };
    probe().unwrap_or(false)
}

fn write_kubeconfig(path: &Path, server: SocketAddr) -> anyhow::Result<()> {
    let text = format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: bench, cluster: {{server: 'http://{server}'}}}}]
users: [{{name: bench, user: {{}}}}]
contexts: [{{name: bench, context: {{cluster: bench, user: bench}}}}]
current-context: bench
"
    );
    std::fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
}
