//! `make bench-admission`: what admission costs beyond TLS and HTTP themselves.
//!
//! The program as it is shipped and a floor, which is the same server with a handler that reads
//! nothing, run beside each other as processes of their own. Both get the same load in turn, so that
//! what else the machine does falls on both; what is compared is a ratio.

mod cases;
mod client;
mod cluster;
mod floor;
mod goals;
mod load;
mod process;
mod report;
mod review;
mod standin;
mod subject;

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("failed to install the crypto provider: another one is installed");
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [first, address] if first == floor::ARGUMENT => {
            floor::serve(address.parse().with_context(|| format!("\"{address}\" is no address"))?)
        }
        // What `cargo bench` gives; under `cargo test --benches` no load shall run.
        _ if arguments.iter().any(|argument| argument == "--bench") => cases::run(),
        _ => {
            println!("nothing is measured without --bench: make bench-admission");
            Ok(())
        }
    }
}
