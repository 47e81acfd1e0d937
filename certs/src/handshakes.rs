//! Years of real TLS handshakes on loopback, with rotations of the CA: none fails.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use pgops_testing::ManualClock;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use crate::fixtures::{SERVER_NAME, api_server, begin, clock, self_signed, trusted};
use crate::pki::Bundle;
use crate::resolver::{Resolver, server_config};
use crate::settings::Settings;
use crate::sources::SelfSigned;

const DAY: i64 = 24 * 60 * 60;
const YEAR: i64 = 365 * DAY;
const STEP: i64 = DAY / 2;
/// Steps after which the API server has learned of a written bundle.
const DELAY: usize = 3;

/// The date on all machines.
#[derive(Clone, Debug)]
struct Calendar(ManualClock);

impl TimeProvider for Calendar {
    fn current_time(&self) -> Option<UnixTime> {
        let date = self.0.wall().as_second();
        Some(UnixTime::since_unix_epoch(Duration::from_secs(date.unsigned_abs())))
    }
}

/// A TLS server on loopback for one replica, until the test ends.
fn listen(resolver: Arc<Resolver>) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let accepting = listener.try_clone().unwrap();
    let config = Arc::new(server_config(resolver, None));
    std::thread::spawn(move || {
        for stream in accepting.incoming() {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            // A client that rejects the certificate ends the connection, and reports that itself.
            let _ = connection.complete_io(&mut stream.unwrap());
        }
    });
    listener
}

/// Performs a handshake as an API server with this bundle, at this date.
fn handshake(server: &TcpListener, trusted: &Bundle, calendar: &Calendar) -> std::io::Result<()> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted.certificates() {
        roots.add(certificate.into_owned()).unwrap();
    }
    let config = ClientConfig::builder_with_details(Arc::new(default_provider()), Arc::new(calendar.clone()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(SERVER_NAME).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = TcpStream::connect(server.local_addr()?)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(())
}

struct Count {
    handshakes: usize,
    failed: usize,
    authorities: usize,
}

/// Runs two replicas for some years; they reconcile in the steps for which the function returns true.
async fn run(years: i64, settings: Settings, reconciles: fn(usize) -> bool) -> Count {
    let _ = default_provider().install_default();
    let calendar = Calendar(ManualClock::new(begin()));
    let api = api_server();
    let mut replicas: Vec<SelfSigned> =
        (0..2).map(|_| self_signed(&api.client(), clock(&calendar.0), settings)).collect();
    let servers: Vec<_> =
        replicas.iter().map(|replica| listen(replica.context.certificates.resolver())).collect();
    let mut count = Count { handshakes: 0, failed: 0, authorities: 0 };
    let mut written = Vec::new();
    for step in 0..usize::try_from(years * YEAR / STEP).unwrap() {
        if reconciles(step) {
            for replica in &mut replicas {
                replica.reconcile().await.unwrap();
            }
        }
        written.push(trusted(&api)[0].clone());
        // In the first steps no CA is trusted.
        let known = &written[step.saturating_sub(DELAY)];
        for server in &servers {
            count.handshakes += 1;
            count.failed += usize::from(handshake(server, known, &calendar).is_err());
        }
        calendar.0.advance(STEP);
    }
    let all = written.iter().fold(Bundle::default(), |all, bundle| all.union(bundle));
    count.authorities = all.certificates().count();
    count
}

fn settings(overlap: i64) -> Settings {
    let seconds = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
    Settings::new(seconds(90 * DAY), seconds(7 * DAY), seconds(overlap)).unwrap()
}

#[tokio::test]
async fn handshakes_never_fail_in_three_years_of_rotations() {
    let count = run(3, settings(4 * STEP), |_| true).await;
    assert_eq!((count.handshakes, count.failed), (2 * 2190, 0));
    assert!(count.authorities > 15, "only {} authorities", count.authorities);
}

#[tokio::test]
async fn handshakes_fail_when_the_overlap_is_too_short() {
    assert!(run(1, settings(STEP), |_| true).await.failed > 0);
}

#[tokio::test]
async fn handshakes_fail_when_renewal_stops() {
    assert!(run(1, settings(4 * STEP), |step| step < 10).await.failed > 0);
}
