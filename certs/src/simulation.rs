//! Replicas and API servers in every order of events: nobody ever serves what an API server refuses.
//!
//! The code under test is all of [`Own::pass`]. Each of its requests waits until the schedule answers it, so
//! that a replica may sleep, fail or die between any two of them, and go on with what it had seen.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::bundle::Bundle;
use crate::clock::Clock;
use crate::own::Own;
use crate::pair::check;
use crate::world::{Asked, CALLED, World, own, respond, settings};
use crate::{Certificates, Error, Settings};

const REPLICAS: usize = 3;
const API_SERVERS: usize = 2;
/// Within this time every API server learns of a changed configuration.
const LEARNS_WITHIN: i64 = 10 * 60;
/// Replicas look at the Secret at least as often, but for the first, which may be cut off as long as it
/// has a certificate.
const LOOKS_WITHIN: i64 = 20 * 60;

#[derive(Clone, Debug)]
enum Event {
    /// A replica goes on to its next request.
    Go(usize),
    /// A replica's request fails; what it asks for may have been done.
    Fail { replica: usize, done: bool },
    /// A replica dies; what it asked for may have been done. Another one takes its place.
    Die { replica: usize, done: bool },
    /// An API server reads one of the configurations.
    Learn { server: usize, kind: usize },
    /// A replica's clock is set, by seconds beside the true time.
    SetClock { replica: usize, offset: i64 },
    /// A person asks for another authority.
    Ask,
    /// Seconds pass.
    Pass(i64),
}

fn schedule() -> impl Strategy<Value = Vec<Event>> {
    let replica = || 0..REPLICAS;
    let event = prop_oneof![
        30 => replica().prop_map(Event::Go),
        1 => (replica(), any::<bool>()).prop_map(|(replica, done)| Event::Fail { replica, done }),
        1 => (replica(), any::<bool>()).prop_map(|(replica, done)| Event::Die { replica, done }),
        4 => (0..API_SERVERS, 0..2_usize).prop_map(|(server, kind)| Event::Learn { server, kind }),
        1 => (replica(), -600..600_i64).prop_map(|(replica, offset)| Event::SetClock { replica, offset }),
        1 => Just(Event::Ask),
        12 => (0..1200_i64).prop_map(Event::Pass),
    ];
    proptest::collection::vec(event, 400)
}

/// True time, in seconds; the steady clock goes with it.
#[derive(Clone)]
struct Time {
    origin: Instant,
    seconds: Arc<AtomicI64>,
}

impl Time {
    fn now(&self) -> i64 {
        self.seconds.load(Ordering::SeqCst)
    }

    /// The clocks of a machine that is wrong by this offset.
    fn clock(&self, offset: &Arc<AtomicI64>) -> Clock {
        let (wall, steady, offset) = (self.clone(), self.clone(), offset.clone());
        Clock::new(
            move || date(wall.now() + offset.load(Ordering::SeqCst)),
            move || steady.origin + Duration::from_secs(steady.now().unsigned_abs()),
        )
    }
}

fn date(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// One replica: what it does is a task that stops at each request.
struct Replica {
    offset: Arc<AtomicI64>,
    certificates: Certificates,
    asks: mpsc::UnboundedReceiver<Asked>,
    asked: Option<Asked>,
    task: JoinHandle<(Own, Result<(), Error>)>,
    /// When the pass that it is in began, and the last one that ended well.
    began: i64,
    looked: i64,
}

impl Replica {
    async fn begin(time: &Time, settings: Settings) -> Self {
        let (sender, asks) = mpsc::unbounded_channel();
        let offset = Arc::new(AtomicI64::new(0));
        let own = own(&World::gated(sender), time.clock(&offset), settings);
        let certificates = own.certificates.clone();
        let mut replica = Self {
            offset,
            certificates,
            asks,
            asked: None,
            task: pass(own),
            began: time.now(),
            looked: time.now(),
        };
        replica.next(time).await;
        replica
    }

    /// Runs up to the next request; a pass that has ended is followed by another. Says if one has.
    async fn next(&mut self, time: &Time) -> bool {
        let mut ended = false;
        loop {
            tokio::select! {
                biased;
                asked = self.asks.recv() => {
                    self.asked = asked;
                    return ended;
                }
                done = &mut self.task => {
                    let (own, result) = done.unwrap();
                    if result.is_ok() {
                        self.looked = self.began;
                    }
                    self.began = time.now();
                    self.task = pass(own);
                    ended = true;
                }
            }
        }
    }
}

fn pass(mut own: Own) -> JoinHandle<(Own, Result<(), Error>)> {
    tokio::spawn(async move {
        let result = own.pass().await;
        (own, result)
    })
}

struct Simulation {
    world: World,
    time: Time,
    settings: Settings,
    replicas: Vec<Replica>,
    /// For both configurations: what was written, and when.
    written: [Vec<(i64, Bundle)>; 2],
    /// For each API server and both configurations: up to where it knows what was written.
    learnt: [[usize; 2]; API_SERVERS],
    /// Which certificate is accepted by what was written.
    accepted: HashMap<(Vec<u8>, usize, usize), bool>,
}

impl Simulation {
    async fn begin(settings: Settings) -> Self {
        let world = World::new();
        let time = Time { origin: Instant::now(), seconds: Arc::new(AtomicI64::new(0)) };
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            replicas.push(Replica::begin(&time, settings).await);
        }
        let nothing = || vec![(0, Bundle::default())];
        let mut simulation = Self {
            world,
            time,
            settings,
            replicas,
            written: [nothing(), nothing()],
            learnt: [[0; 2]; API_SERVERS],
            accepted: HashMap::new(),
        };
        // An installation that is done: before, nobody trusts anybody.
        for replica in 0..REPLICAS {
            simulation.look(replica).await;
        }
        simulation.learn_all();
        simulation
    }

    async fn happen(&mut self, event: &Event) {
        match *event {
            Event::Go(replica) => _ = self.go(replica).await,
            Event::Fail { replica, done } => {
                let asked = self.replicas[replica].asked.take().unwrap();
                if done {
                    self.perform(&asked);
                }
                let failed = json!({ "status": "Failure", "code": 500 });
                asked.answer.send(respond(StatusCode::INTERNAL_SERVER_ERROR, &failed)).unwrap();
                self.replicas[replica].next(&self.time).await;
            }
            Event::Die { replica, done } => {
                if done {
                    let asked = self.replicas[replica].asked.take().unwrap();
                    self.perform(&asked);
                }
                self.replicas[replica].task.abort();
                self.replicas[replica] = Replica::begin(&self.time, self.settings).await;
            }
            Event::Learn { server, kind } => self.learnt[server][kind] = self.written[kind].len() - 1,
            Event::SetClock { replica, offset } => {
                self.replicas[replica].offset.store(offset, Ordering::SeqCst);
            }
            Event::Ask => self.world.change_secret(|secret| {
                let annotations = secret.metadata.annotations.get_or_insert_default();
                annotations.insert("pgops.dev/rotate-authority".into(), "now".into());
            }),
            Event::Pass(seconds) => self.elapse(seconds).await,
        }
    }

    /// Answers the request of a replica. Says if its pass has ended with that.
    async fn go(&mut self, replica: usize) -> bool {
        let asked = self.replicas[replica].asked.take().unwrap();
        let response = self.perform(&asked);
        asked.answer.send(response).unwrap();
        self.replicas[replica].next(&self.time).await
    }

    fn perform(&mut self, asked: &Asked) -> http::Response<kube::client::Body> {
        let response = self.world.perform(asked);
        for (written, bundle) in self.written.iter_mut().zip(self.world.trusted()) {
            if written.last().is_none_or(|(_, last)| *last != bundle) {
                written.push((self.time.now(), bundle));
            }
        }
        response
    }

    /// One whole pass.
    async fn look(&mut self, replica: usize) {
        // The rest of the one that it is in, which began with older reads.
        while !self.go(replica).await {}
        while !self.go(replica).await {}
    }

    async fn elapse(&mut self, seconds: i64) {
        let then = self.time.now() + seconds;
        for index in 0..REPLICAS {
            let replica = &self.replicas[index];
            let until = replica.certificates.status().serving_until;
            let cut_off = index == 0 && until.is_some_and(|until| until > date(then));
            if !cut_off && replica.looked + LOOKS_WITHIN <= then {
                self.look(index).await;
            }
        }
        self.time.seconds.store(then, Ordering::SeqCst);
        for learnt in &mut self.learnt {
            for (known, written) in learnt.iter_mut().zip(&self.written) {
                let due = written.iter().rposition(|(at, _)| at + LEARNS_WITHIN <= then).unwrap_or_default();
                *known = due.max(*known);
            }
        }
    }

    fn learn_all(&mut self) {
        self.learnt = [[self.written[0].len() - 1, self.written[1].len() - 1]; API_SERVERS];
    }

    /// Whether every API server accepts what every replica serves, at this instant.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let now = date(self.time.now());
        for (index, replica) in self.replicas.iter().enumerate() {
            let Some(serving) = replica.certificates.serving() else { continue };
            prop_assert!(serving.not_after() > now, "replica {index} serves what has expired");
            let certificate = serving.key().cert[0].to_vec();
            for (server, learnt) in self.learnt.iter().enumerate() {
                for (kind, known) in learnt.iter().copied().enumerate() {
                    let bundle = &self.written[kind][known].1;
                    let accepted = self.accepted.entry((certificate.clone(), kind, known));
                    let accepted = accepted
                        .or_insert_with(|| check(&serving.key().cert[0], &[], bundle, CALLED, now).is_ok());
                    prop_assert!(
                        *accepted,
                        "API server {server} refuses replica {index} by what it knows of configuration {kind}"
                    );
                }
            }
        }
        Ok(())
    }
}

/// Runs a number of random schedules. Says how many bundles were written in all.
fn run(runner: &mut TestRunner, settings: Settings) -> Result<usize, String> {
    let written = AtomicUsize::new(0);
    let result = runner.run(&schedule(), |events| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut simulation = Simulation::begin(settings).await;
            simulation.check()?;
            for event in &events {
                simulation.happen(event).await;
                simulation.check()?;
            }
            written.fetch_add(simulation.written[0].len(), Ordering::SeqCst);
            Ok(())
        })
    });
    match result {
        Ok(()) => Ok(written.into_inner()),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn whatever_happens_every_api_server_accepts_what_every_replica_serves() {
    let config = Config { cases: 24, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
    let written = run(&mut TestRunner::new(config), settings()).unwrap();
    assert!(written > 24 * 6, "only {written} bundles were written: hardly a rotation was tried");
}

#[test]
fn the_simulation_finds_out_a_successor_that_signs_before_it_is_known() {
    let day = Duration::from_hours(24);
    let hasty = Settings::new(day, day / 8, Duration::ZERO).unwrap();
    let config = Config { failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let error = run(&mut TestRunner::new_with_rng(config, random), hasty).unwrap_err();
    assert!(error.contains("refuses replica"), "{error}");
}
