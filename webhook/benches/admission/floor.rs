//! The floor: the webhook's server with a handler that reads nothing and always allows.
//!
//! It has the certificates, the listener and the limits of the real one. The difference between subject and
//! floor is the cost of admission itself.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::post;
use jiff::{SignedDuration, Timestamp};
use pgops_certs::{Authority, Resolver};
use pgops_kube::{Readiness, shutdown};
use pgops_webhook::metrics::Metrics;
use pgops_webhook::server::tls;

use crate::client;
use crate::process::{Program, free_address};

/// First argument of this program to run as the floor.
pub const ARGUMENT: &str = "floor";

const ANSWER: &str = concat!(
    r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":"#,
    r#"{"uid":"8f3c1e2a-5b0d-4f7e-9a6c-000000000000","allowed":true}}"#
);
/// The line after the authority.
const END: &str = "END OF AUTHORITY";

/// Writes the authority to stdout, then serves until killed. The runtime is configured like the program's.
#[tokio::main(worker_threads = 2)]
pub async fn serve(bind: SocketAddr) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let life = SignedDuration::from_hours(24);
    let authority = Authority::generate(now, life)?;
    let resolver = Arc::new(Resolver::default());
    resolver.replace(authority.issue(&[client::SERVER_NAME.to_owned()], now, life)?);
    let config = pgops_certs::server_config(resolver, None);
    std::io::stdout().write_all(authority.certificate().as_bytes())?;
    println!("{END}");
    let router = Router::new().route("/validate", post(answer));
    let ready = Readiness::requiring(&[]);
    tls::serve(bind, config, router, Metrics::default(), ready, shutdown::on_signal()?).await
}

async fn answer(_: Bytes) -> ([(header::HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/json")], ANSWER)
}

/// Starts another process of this program as the floor.
pub fn start() -> anyhow::Result<(Program, client::Target)> {
    let bind = free_address()?;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args([ARGUMENT, &bind.to_string()]).stdout(std::process::Stdio::piped());
    let mut program = Program::start("floor", &mut command)?;
    let authority = program.read_stdout_until(END)?;
    let target = client::Target::new(bind, authority.as_bytes(), false)?;
    target.wait_for_listener()?;
    Ok((program, target))
}
