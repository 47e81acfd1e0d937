//! `make bench-admission`: the cost of admission on top of TLS and HTTP.
//!
//! The released program and a floor, the same server with a handler that reads nothing, run side by side as
//! separate processes. Both get the same load in turn, so that other activity of the machine affects both
//! equally; the result is a ratio.

mod cases;
mod client;
mod cluster;
mod fake_api_server;
mod floor;
mod goals;
mod load;
mod process;
mod report;
mod review;
mod subject;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("failed to install the crypto provider: another one is installed");
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [first, address] if first == floor::ARGUMENT => {
            floor::serve(address.parse().with_context(|| format!("\"{address}\" is not an address"))?)
        }
        // `cargo bench` passes this flag; `cargo test --benches` must not run any load.
        _ if arguments.iter().any(|argument| argument == "--bench") => cases::run(),
        _ => {
            println!("nothing is measured without --bench; run make bench-admission");
            Ok(())
        }
    }
}
