//! The subject: the program as it is shipped, started as in a pod.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::client::Target;
use crate::process::{Program, free_address};
use crate::standin::StandIn;

/// Time after which a program that is not ready never will be.
const PATIENCE: Duration = Duration::from_mins(1);
/// Pause between two questions whether it is ready.
const POLL: Duration = Duration::from_millis(1);

/// Starts the program; it logs JSON into a file of the directory. Also says how long it took to be ready.
pub fn start(standin: &StandIn, directory: &Path) -> anyhow::Result<(Program, Target, Duration)> {
    let kubeconfig = directory.join("kubeconfig.yaml");
    write_kubeconfig(&kubeconfig, standin.address)?;
    let log = directory.join("webhook.log");
    let (bind, health) = (free_address()?, free_address()?);
    let built = || env!("CARGO_BIN_EXE_pgops-webhook").into();
    let mut command = Command::new(std::env::var_os("PGOPS_BENCH_PROGRAM").unwrap_or_else(built));
    command
        .args(["serve", "--launcher", "false", "--log-format", "json"])
        .args(["--namespace", "pgops-system", "--pod-name", "pgops-webhook-0"])
        .args(["--bind", &bind.to_string(), "--health-bind", &health.to_string()])
        .env_remove("RUST_LOG")
        .env("KUBECONFIG", &kubeconfig)
        .stderr(std::fs::File::create(&log)?);

    let begin = Instant::now();
    let mut program = Program::start("webhook", &mut command)?;
    while !is_ready(health) {
        program.check().with_context(|| format!("see {}", log.display()))?;
        ensure!(begin.elapsed() < PATIENCE, "the webhook is not ready, see {}", log.display());
        std::thread::sleep(POLL);
    }
    let ready = begin.elapsed();
    let target = Target::new(bind, &standin.authority()?, true)?;
    target.await_listener()?;
    Ok((program, target, ready))
}

fn is_ready(health: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut socket = TcpStream::connect(health)?;
        socket.write_all(b"GET /readyz HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.1 200 "))
    };
    ask().unwrap_or(false)
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
