//! Replicas and API servers in random orders of events: no replica ever serves what an API server rejects.
//!
//! The code under test is all of [`SelfSigned::reconcile`]. Each of its requests waits until the schedule
//! answers it, so that a replica may sleep, fail or die between any two of them, and continue with what it
//! had read.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use pgops_testing::ManualClock;
use pgops_testing::fake_api_server::{FakeApiServer, PendingRequest, failure, gated_client};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::error::Error;
use crate::fixtures::{
    NAMESPACE, SERVER_NAME, api_server, begin, change_secret, self_signed, settings, trusted,
};
use crate::pki::{Bundle, verify};
use crate::settings::Settings;
use crate::sources::SelfSigned;

const REPLICAS: usize = 3;
const API_SERVERS: usize = 2;
/// Within this time every API server learns of a changed configuration.
const LEARNS_WITHIN: i64 = 10 * 60;
/// Replicas reconcile at least this often, except the first, which may be cut off as long as it has a valid
/// certificate.
const RECONCILES_WITHIN: i64 = 20 * 60;

#[derive(Clone, Debug)]
enum Event {
    /// A replica's request is answered, and it continues to the next.
    Continue(usize),
    /// A replica's request fails, although it may have been performed.
    Fail { replica: usize, done: bool },
    /// A replica dies; its request may have been performed. A new one replaces it.
    Die { replica: usize, done: bool },
    /// An API server reads one of the configurations.
    Learn { server: usize, kind: usize },
    /// A replica's clock is set to the true time plus an offset in seconds.
    SetClock { replica: usize, offset: i64 },
    /// An operator requests a rotation.
    RequestRotation,
    /// Seconds pass.
    Pass(i64),
}

fn schedule() -> impl Strategy<Value = Vec<Event>> {
    let replica = || 0..REPLICAS;
    let event = prop_oneof![
        30 => replica().prop_map(Event::Continue),
        1 => (replica(), any::<bool>()).prop_map(|(replica, done)| Event::Fail { replica, done }),
        1 => (replica(), any::<bool>()).prop_map(|(replica, done)| Event::Die { replica, done }),
        4 => (0..API_SERVERS, 0..2_usize).prop_map(|(server, kind)| Event::Learn { server, kind }),
        1 => (replica(), -600..600_i64).prop_map(|(replica, offset)| Event::SetClock { replica, offset }),
        1 => Just(Event::RequestRotation),
        12 => (0..1200_i64).prop_map(Event::Pass),
    ];
    proptest::collection::vec(event, 400)
}

/// The clocks of a machine whose wall clock has this offset from the true time, in seconds.
fn clock(time: &ManualClock, offset: &Arc<AtomicI64>) -> Clock {
    let wall = time.clone();
    let monotonic = time.clone();
    let offset = offset.clone();
    Clock::new(
        move || wall.wall() + SignedDuration::from_secs(offset.load(Ordering::SeqCst)),
        move || monotonic.monotonic(),
    )
}

/// The true time after that many seconds.
fn date(seconds: i64) -> Timestamp {
    begin() + SignedDuration::from_secs(seconds)
}

/// One replica: a task that stops at each of its requests.
struct Replica {
    offset: Arc<AtomicI64>,
    certificates: Certificates,
    requests: mpsc::UnboundedReceiver<PendingRequest>,
    pending: Option<PendingRequest>,
    task: JoinHandle<(SelfSigned, Result<(), Error>)>,
    /// When the running reconciliation began.
    began: i64,
    /// When the last successful reconciliation began.
    reconciled: i64,
}

impl Replica {
    async fn begin(time: &ManualClock, settings: Settings) -> Self {
        let (sender, requests) = mpsc::unbounded_channel();
        let offset = Arc::new(AtomicI64::new(0));
        let source = self_signed(&gated_client(NAMESPACE, sender), clock(time, &offset), settings);
        let certificates = source.context.certificates.clone();
        let mut replica = Self {
            offset,
            certificates,
            requests,
            pending: None,
            task: reconcile(source),
            began: time.elapsed(),
            reconciled: time.elapsed(),
        };
        replica.next(time).await;
        replica
    }

    /// Runs up to the next request, if need be of the next reconciliation. Returns whether one has ended.
    async fn next(&mut self, time: &ManualClock) -> bool {
        let mut ended = false;
        loop {
            tokio::select! {
                biased;
                request = self.requests.recv() => {
                    self.pending = request;
                    return ended;
                }
                done = &mut self.task => {
                    let (source, result) = done.unwrap();
                    if result.is_ok() {
                        self.reconciled = self.began;
                    }
                    self.began = time.elapsed();
                    self.task = reconcile(source);
                    ended = true;
                }
            }
        }
    }
}

fn reconcile(mut source: SelfSigned) -> JoinHandle<(SelfSigned, Result<(), Error>)> {
    tokio::spawn(async move {
        let result = source.reconcile().await;
        (source, result)
    })
}

struct Simulation {
    api: FakeApiServer,
    time: ManualClock,
    settings: Settings,
    replicas: Vec<Replica>,
    /// For both configurations: the bundles that were written, and when.
    written: [Vec<(i64, Bundle)>; 2],
    /// For each API server and both configurations: the index of the bundle that it knows.
    learnt: [[usize; 2]; API_SERVERS],
    /// Whether a certificate is accepted with a bundle, by its configuration and index.
    accepted: HashMap<(Vec<u8>, usize, usize), bool>,
}

impl Simulation {
    async fn begin(settings: Settings) -> Self {
        let api = api_server();
        let time = ManualClock::new(begin());
        let mut replicas = Vec::new();
        for _ in 0..REPLICAS {
            replicas.push(Replica::begin(&time, settings).await);
        }
        let nothing = || vec![(0, Bundle::default())];
        let mut simulation = Self {
            api,
            time,
            settings,
            replicas,
            written: [nothing(), nothing()],
            learnt: [[0; 2]; API_SERVERS],
            accepted: HashMap::new(),
        };
        // A complete installation: before that, no CA is trusted.
        for replica in 0..REPLICAS {
            simulation.reconcile(replica).await;
        }
        simulation.learn_all();
        simulation
    }

    async fn apply(&mut self, event: &Event) {
        match *event {
            Event::Continue(replica) => _ = self.answer_next(replica).await,
            Event::Fail { replica, done } => {
                let request = self.replicas[replica].pending.take().unwrap();
                if done {
                    self.perform(&request);
                }
                request.answer.send(failure(StatusCode::INTERNAL_SERVER_ERROR)).unwrap();
                self.replicas[replica].next(&self.time).await;
            }
            Event::Die { replica, done } => {
                if done {
                    let request = self.replicas[replica].pending.take().unwrap();
                    self.perform(&request);
                }
                self.replicas[replica].task.abort();
                self.replicas[replica] = Replica::begin(&self.time, self.settings).await;
            }
            Event::Learn { server, kind } => self.learnt[server][kind] = self.written[kind].len() - 1,
            Event::SetClock { replica, offset } => {
                self.replicas[replica].offset.store(offset, Ordering::SeqCst);
            }
            Event::RequestRotation => change_secret(&self.api, |secret| {
                let annotations = secret.metadata.annotations.get_or_insert_default();
                annotations.insert("pgops.dev/rotate-authority".into(), "now".into());
            }),
            Event::Pass(seconds) => self.elapse(seconds).await,
        }
    }

    /// Answers the request of a replica. Returns whether that ended its reconciliation.
    async fn answer_next(&mut self, replica: usize) -> bool {
        let request = self.replicas[replica].pending.take().unwrap();
        let response = self.perform(&request);
        request.answer.send(response).unwrap();
        self.replicas[replica].next(&self.time).await
    }

    fn perform(&mut self, request: &PendingRequest) -> http::Response<kube::client::Body> {
        let before = self.api.version();
        let response = self.api.perform(request);
        // Most requests read.
        if self.api.version() == before {
            return response;
        }
        for (written, bundle) in self.written.iter_mut().zip(trusted(&self.api)) {
            if written.last().is_none_or(|(_, last)| *last != bundle) {
                written.push((self.time.elapsed(), bundle));
            }
        }
        response
    }

    /// One complete reconciliation.
    async fn reconcile(&mut self, replica: usize) {
        // First the rest of the running one, which began with older reads.
        while !self.answer_next(replica).await {}
        while !self.answer_next(replica).await {}
    }

    async fn elapse(&mut self, seconds: i64) {
        let then = self.time.elapsed() + seconds;
        for index in 0..REPLICAS {
            let replica = &self.replicas[index];
            let until = replica.certificates.status().serving_until;
            let cut_off = index == 0 && until.is_some_and(|until| until > date(then));
            if !cut_off && replica.reconciled + RECONCILES_WITHIN <= then {
                self.reconcile(index).await;
            }
        }
        self.time.advance(seconds);
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

    /// Asserts that every API server accepts what every replica serves at this instant.
    fn check(&mut self) -> Result<(), TestCaseError> {
        let now = self.time.wall();
        for (index, replica) in self.replicas.iter().enumerate() {
            let Some(serving) = replica.certificates.serving() else { continue };
            prop_assert!(serving.not_after() > now, "replica {index} serves an expired certificate");
            let certificate = serving.key().cert[0].to_vec();
            for (server, learnt) in self.learnt.iter().enumerate() {
                for (kind, known) in learnt.iter().copied().enumerate() {
                    let bundle = &self.written[kind][known].1;
                    let accepted = self.accepted.entry((certificate.clone(), kind, known));
                    let accepted = accepted.or_insert_with(|| {
                        verify(&serving.key().cert[0], &[], bundle, SERVER_NAME, now).is_ok()
                    });
                    prop_assert!(
                        *accepted,
                        "API server {server} rejects replica {index} with its view of configuration {kind}"
                    );
                }
            }
        }
        Ok(())
    }
}

/// Runs random schedules; returns how many bundles were written in total.
fn run(runner: &mut TestRunner, settings: Settings) -> Result<usize, String> {
    let written = AtomicUsize::new(0);
    let result = runner.run(&schedule(), |events| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut simulation = Simulation::begin(settings).await;
            simulation.check()?;
            for event in &events {
                simulation.apply(event).await;
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
fn simulation_every_api_server_accepts_every_replica() {
    let config = Config { cases: 24, failure_persistence: None, max_shrink_iters: 50, ..Config::default() };
    let written = run(&mut TestRunner::new(config), settings()).unwrap();
    assert!(written > 24 * 6, "only {written} bundles were written: too few rotations happened");
}

#[test]
fn simulation_detects_a_ca_that_signs_before_it_is_known() {
    let day = Duration::from_hours(24);
    let hasty = Settings::new(day, day / 8, Duration::ZERO).unwrap();
    let config = Config { failure_persistence: None, max_shrink_iters: 0, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let error = run(&mut TestRunner::new_with_rng(config, random), hasty).unwrap_err();
    assert!(error.contains("rejects replica"), "{error}");
}
