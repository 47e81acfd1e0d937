//! The proof: killed before and after every record and every effect, the saga ends upgraded, or rolled back, and no
//! effect exists twice.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use pgops_api::plan::UpgradeKind;

use super::*;

/// Counts down to a kill: nothing happens after it, as after SIGKILL.
#[derive(Clone)]
struct Fuse(Rc<Cell<Option<u32>>>);

impl Fuse {
    async fn burn(&self) {
        match self.0.get() {
            Some(0) => std::future::pending().await,
            Some(left) => self.0.set(Some(left - 1)),
            None => {}
        }
    }
}

/// Effects that outlive a kill.
#[derive(Clone, Default)]
struct Durable {
    records: Vec<Record>,
    effects: BTreeMap<String, u32>,
    /// The steps that were prepared, each with the number of records at that moment.
    prepared: Vec<(Step, usize)>,
}

struct FakeActions {
    durable: Rc<std::cell::RefCell<Durable>>,
    fuse: Fuse,
    fails: Option<Step>,
    /// The step whose undo fails, and why.
    undo_fails: Option<(Step, UndoError)>,
    /// The step that this runner cannot do, nor can it undo any from then on.
    interrupted_in: Option<Step>,
    is_interrupted: bool,
    point: PointOfNoReturn,
}

impl Actions for FakeActions {
    async fn prepare(&mut self, step: Step) {
        let mut durable = self.durable.borrow_mut();
        let records = durable.records.len();
        durable.prepared.push((step, records));
    }

    async fn act(&mut self, step: Step, _: bool) -> Result<(), ActError> {
        self.fuse.burn().await;
        if self.fails == Some(step) {
            return Err(ActError::Failed(broken()));
        }
        if self.interrupted_in == Some(step) {
            self.is_interrupted = true;
            return Err(ActError::Interrupted(broken()));
        }
        self.durable.borrow_mut().effects.entry(step.to_string()).or_insert(1);
        self.fuse.burn().await;
        Ok(())
    }

    async fn undo(&mut self, step: Step) -> Result<(), UndoError> {
        self.fuse.burn().await;
        if self.is_interrupted {
            return Err(UndoError::Interrupted(broken()));
        }
        if let Some((_, why)) = self.undo_fails.as_ref().filter(|(fails, _)| *fails == step) {
            return Err(why.clone());
        }
        self.durable.borrow_mut().effects.remove(&step.to_string());
        self.fuse.burn().await;
        Ok(())
    }

    fn point_of_no_return(&self) -> PointOfNoReturn {
        self.point
    }

    fn cancellation(&self) -> Option<Failure> {
        None
    }

    fn retries(&self, _: &Failure, _: bool) -> u32 {
        1
    }

    async fn before_retry(&mut self, _: Step, _: u32, _: &Failure) {}

    fn is_optional(&self, step: Step) -> bool {
        step == Step::Analyze
    }

    async fn serving_since(&mut self, step: Step, event: &Event) -> Option<Timestamp> {
        (step == Step::StopDatabase && *event == Event::Started).then_some(Timestamp::UNIX_EPOCH)
    }

    fn show(&mut self, _: &Record) {}
}

struct KillableJournal {
    durable: Rc<std::cell::RefCell<Durable>>,
    fuse: Fuse,
}

impl Journal for KillableJournal {
    async fn load(&self) -> Result<Vec<Record>, JournalError> {
        Ok(self.durable.borrow().records.clone())
    }

    async fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        self.fuse.burn().await;
        self.durable.borrow_mut().records.push(record.clone());
        self.fuse.burn().await;
        Ok(())
    }
}

fn broken() -> Failure {
    Failure { reason: "Broken".into(), message: "broken".into(), retryable: true }
}

/// Runs until the end or until the fuse stops it.
fn life(
    durable: &Rc<std::cell::RefCell<Durable>>,
    kill: Option<u32>,
    fails: Option<Step>,
) -> Option<Outcome> {
    life_with(durable, kill, fails, None)
}

/// The same with a step whose undo fails.
fn life_with(
    durable: &Rc<std::cell::RefCell<Durable>>,
    kill: Option<u32>,
    fails: Option<Step>,
    undo_fails: Option<(Step, UndoError)>,
) -> Option<Outcome> {
    let mut actions = FakeActions { fails, undo_fails, ..FakeActions::new(durable, kill) };
    actions.live().map(Result::unwrap)
}

impl FakeActions {
    /// All succeed, until the fuse stops them.
    fn new(durable: &Rc<std::cell::RefCell<Durable>>, kill: Option<u32>) -> Self {
        Self {
            durable: durable.clone(),
            fuse: Fuse(Rc::new(Cell::new(kill))),
            fails: None,
            undo_fails: None,
            interrupted_in: None,
            is_interrupted: false,
            point: PointOfNoReturn::EndOf(Step::StartDatabase),
        }
    }

    /// Runs until the end or until the fuse stops it.
    fn live(&mut self) -> Option<Result<Outcome, SagaError>> {
        let mut journal = KillableJournal { durable: self.durable.clone(), fuse: self.fuse.clone() };
        let mut run = std::pin::pin!(run(Step::sequence(UpgradeKind::Major), self, &mut journal));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match run.as_mut().poll(&mut context) {
            std::task::Poll::Ready(outcome) => Some(outcome),
            std::task::Poll::Pending => None,
        }
    }
}

/// Kills the first life at every possible instant, then lets a second one finish.
fn end_of_every_kill(fails: Option<Step>, check: impl Fn(&Outcome, &Durable)) -> u32 {
    let mut kills = 0;
    loop {
        let durable = Rc::default();
        let ended = life(&durable, Some(kills), fails);
        let outcome = life(&durable, None, fails).expect("a life without a kill ends");
        check(&outcome, &durable.borrow());
        if ended.is_some() {
            return kills;
        }
        kills += 1;
    }
}

#[test]
fn upgrade_killed_at_any_instant_completes() {
    let all = Step::sequence(UpgradeKind::Major).len();
    let kills = end_of_every_kill(None, |outcome, durable| {
        assert_eq!(*outcome, Outcome::Upgraded);
        assert_eq!(durable.effects.len(), all);
    });
    // Around each of two records and one effect a step.
    assert_eq!(kills as usize, all * 6);
}

/// What a preparation takes must not count as outage, which begins with a record.
#[test]
fn step_is_prepared_before_its_first_record_which_says_what_served() {
    let durable = Rc::default();
    assert_eq!(life(&durable, None, None), Some(Outcome::Upgraded));
    let durable = durable.borrow();
    let steps = Step::sequence(UpgradeKind::Major);
    assert_eq!(durable.prepared.iter().map(|(step, _)| *step).collect::<Vec<_>>(), steps);
    for (step, records) in &durable.prepared {
        assert_eq!(durable.records.iter().position(|record| record.step == *step), Some(*records));
    }
    let serving: Vec<_> = durable.records.iter().filter(|record| record.serving_since.is_some()).collect();
    let [record] = &serving[..] else { panic!("{serving:?}") };
    assert_eq!((record.step, &record.event), (Step::StopDatabase, &Event::Started));
}

#[test]
fn failing_upgrade_killed_at_any_instant_leaves_nothing() {
    for step in Step::sequence(UpgradeKind::Major).iter().take_while(|step| **step != Step::VerifyDatabase) {
        end_of_every_kill(Some(*step), |outcome, durable| {
            assert_eq!(*outcome, Outcome::RolledBack { step: *step, failure: broken() });
            assert!(durable.effects.is_empty(), "{step}: {:?}", durable.effects);
        });
    }
}

#[test]
fn failure_past_the_point_of_no_return_undoes_nothing() {
    end_of_every_kill(Some(Step::VerifyDatabase), |outcome, durable| {
        assert_eq!(*outcome, Outcome::Stuck { step: Step::VerifyDatabase, failure: broken() });
        assert!(durable.effects.contains_key("StartDatabase"));
    });
}

#[test]
fn failing_optional_step_does_not_fail_the_upgrade() {
    end_of_every_kill(Some(Step::Analyze), |outcome, durable| {
        assert_eq!(*outcome, Outcome::Upgraded);
        let skipped: Vec<_> = crate::saga::skipped(&durable.records).map(|(step, _)| step).collect();
        assert_eq!(skipped, [Step::Analyze]);
    });
}

/// The new server has answered just when the rollback began: killed at any instant, the saga ends forward.
#[test]
fn rollback_that_would_lose_writes_resumes_forward() {
    let unsafe_undo = || Some((Step::ReplacedDataDirectory, UndoError::Unsafe(broken())));
    let mut kills = 0;
    loop {
        let durable = Rc::default();
        let ended = life_with(&durable, Some(kills), Some(Step::StartDatabase), unsafe_undo());
        if ended.is_none() {
            let outcome = life_with(&durable, None, Some(Step::StartDatabase), unsafe_undo());
            assert_eq!(outcome, Some(Outcome::Stuck { step: Step::StartDatabase, failure: broken() }));
        }
        // An operator has fixed what kept the server from starting.
        assert_eq!(
            life_with(&durable, None, None, unsafe_undo()),
            Some(Outcome::Upgraded),
            "killed at {kills}"
        );
        assert_eq!(durable.borrow().effects.len(), Step::sequence(UpgradeKind::Major).len());
        kills += 1;
        if ended.is_some() {
            break;
        }
    }
    assert!(kills > 50, "only {kills} kills: was anything tested?");
}

#[test]
fn saga_stuck_in_an_undo_resumes_the_rollback() {
    let durable = Rc::default();
    let undo_fails = Some((Step::StopDatabase, UndoError::Failed(broken())));
    let stuck = life_with(&durable, None, Some(Step::PgUpgraded), undo_fails);
    assert_eq!(stuck, Some(Outcome::Stuck { step: Step::StopDatabase, failure: broken() }));
    let outcome = life(&durable, None, None);
    assert_eq!(outcome, Some(Outcome::RolledBack { step: Step::PgUpgraded, failure: broken() }));
    assert!(durable.borrow().effects.is_empty(), "{:?}", durable.borrow().effects);
}

/// A runner that cannot do this step. It ends as if it had been killed, unless the saga ends.
fn interrupted_life(durable: &Rc<std::cell::RefCell<Durable>>, step: Step) -> Result<Outcome, SagaError> {
    let mut actions = FakeActions { interrupted_in: Some(step), ..FakeActions::new(durable, None) };
    actions.live().expect("a life without a kill ends")
}

#[test]
fn interrupted_step_is_done_by_the_next_runner() {
    for step in Step::sequence(UpgradeKind::Major) {
        let durable = Rc::default();
        for _ in 0..INTERRUPTIONS {
            let error = interrupted_life(&durable, *step).unwrap_err();
            assert!(matches!(error, SagaError::Interrupted { step: at, .. } if at == *step), "{error}");
            assert_eq!(durable.borrow().records.last().map(|last| &last.event), Some(&Event::Started));
        }
        assert_eq!(life(&durable, None, None), Some(Outcome::Upgraded));
    }
}

/// Whatever interrupts it each time: the database must not stay down for ever.
#[test]
fn step_that_is_interrupted_again_and_again_fails_and_the_next_runner_undoes_it() {
    let durable = Rc::default();
    for _ in 0..=INTERRUPTIONS {
        assert!(interrupted_life(&durable, Step::PgUpgraded).is_err());
    }
    let failed = Event::Failed(broken());
    assert_eq!(durable.borrow().records.last().map(|last| &last.event), Some(&failed));
    assert!(durable.borrow().effects.contains_key("StopDatabase"), "the same runner cannot undo it");
    let outcome = life(&durable, None, None);
    assert_eq!(outcome, Some(Outcome::RolledBack { step: Step::PgUpgraded, failure: broken() }));
    assert!(durable.borrow().effects.is_empty(), "{:?}", durable.borrow().effects);
}

#[test]
fn step_past_the_point_of_no_return_that_is_interrupted_again_and_again_is_stuck() {
    let durable = Rc::default();
    for _ in 0..INTERRUPTIONS {
        assert!(interrupted_life(&durable, Step::VerifyDatabase).is_err());
    }
    let outcome = interrupted_life(&durable, Step::VerifyDatabase).unwrap();
    assert_eq!(outcome, Outcome::Stuck { step: Step::VerifyDatabase, failure: broken() });
}
