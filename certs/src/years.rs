//! Years of real TLS on loopback: authorities come and go, and no handshake fails.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use crate::bundle::Bundle;
use crate::clock::Clock;
use crate::own::Own;
use crate::world::{CALLED, World, own};
use crate::{Resolver, Settings, server_config};

const DAY: i64 = 24 * 60 * 60;
const YEAR: i64 = 365 * DAY;
const STEP: i64 = DAY / 2;
/// How many steps later the API server knows what was written.
const LATE: usize = 3;

/// The date of everybody, which the test moves.
#[derive(Clone, Debug)]
struct Calendar(Arc<AtomicI64>);

impl Calendar {
    fn seconds(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn date(&self) -> Timestamp {
        Timestamp::from_second(self.seconds()).unwrap()
    }

    fn clock(&self) -> Clock {
        let (wall, steady, origin) = (self.clone(), self.clone(), Instant::now());
        let begin = self.seconds();
        Clock::new(
            move || wall.date(),
            move || origin + Duration::from_secs((steady.seconds() - begin).unsigned_abs()),
        )
    }
}

impl TimeProvider for Calendar {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.seconds().unsigned_abs())))
    }
}

/// A TLS server on loopback, for one replica; it ends with the test.
fn listen(resolver: Arc<Resolver>) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (accepting, config) = (listener.try_clone().unwrap(), Arc::new(server_config(resolver)));
    std::thread::spawn(move || {
        for stream in accepting.incoming() {
            let mut connection = ServerConnection::new(config.clone()).unwrap();
            // A client that refuses us ends it; whether it did is for the client to say.
            let _ = connection.complete_io(&mut stream.unwrap());
        }
    });
    listener
}

/// Connects as an API server that trusts these, at this date.
fn shake(server: &TcpListener, trusted: &Bundle, calendar: &Calendar) -> std::io::Result<()> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted.certificates() {
        roots.add(certificate.into_owned()).unwrap();
    }
    let config = ClientConfig::builder_with_details(Arc::new(default_provider()), Arc::new(calendar.clone()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(CALLED).unwrap();
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

/// Two replicas for some years, which look after their certificates as long as the function says so.
async fn live(years: i64, settings: Settings, looks_after: fn(usize) -> bool) -> Count {
    let _ = default_provider().install_default();
    let calendar = Calendar(Arc::new(AtomicI64::new(1_800_000_000)));
    let world = World::new();
    let mut replicas: Vec<Own> = (0..2).map(|_| own(&world.client(), calendar.clock(), settings)).collect();
    let servers: Vec<_> = replicas.iter().map(|own| listen(own.certificates.resolver())).collect();
    let mut count = Count { handshakes: 0, failed: 0, authorities: 0 };
    let mut written = Vec::new();
    for step in 0..usize::try_from(years * YEAR / STEP).unwrap() {
        if looks_after(step) {
            for replica in &mut replicas {
                replica.pass().await.unwrap();
            }
        }
        written.push(world.trusted()[0].clone());
        // At first nobody trusts anybody.
        let known = &written[step.saturating_sub(LATE)];
        for server in &servers {
            count.handshakes += 1;
            count.failed += usize::from(shake(server, known, &calendar).is_err());
        }
        calendar.0.fetch_add(STEP, Ordering::SeqCst);
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
async fn no_handshake_fails_in_three_years_of_rotations() {
    let count = live(3, settings(4 * STEP), |_| true).await;
    assert_eq!((count.handshakes, count.failed), (2 * 2190, 0));
    assert!(count.authorities > 15, "only {} authorities", count.authorities);
}

#[tokio::test]
async fn the_count_shows_an_overlap_that_is_too_short() {
    assert!(live(1, settings(STEP), |_| true).await.failed > 0);
}

#[tokio::test]
async fn the_count_shows_a_renewal_that_is_forgotten() {
    assert!(live(1, settings(4 * STEP), |step| step < 10).await.failed > 0);
}
