//! Summary of a finished request: the message of its last condition, and the report.

use pgops_api::opsrequest::resume_command;
use pgops_api::outage::seconds;
use pgops_api::plan::{Scope, UpgradeKind, UpgradePlan};

use crate::outage::Outage;
use crate::saga::{self, Event, Outcome, Record};
use crate::upgrade::{MAX_LISTED, shown_lines};

/// How a request ended.
pub struct Summary<'a> {
    pub plan: &'a UpgradePlan,
    pub outcome: &'a Outcome,
    pub outage: Outage,
    pub records: &'a [Record],
    /// What the preflight reported to users.
    pub preflight_lines: &'a [String],
    /// What is kept of the old data and until when, if anything.
    pub kept: Option<String>,
}

impl Summary<'_> {
    /// The message: first what it means for the database, then why, then what to do.
    #[must_use]
    pub fn message(&self) -> String {
        match self.plan.scope {
            Scope::Upgrade => self.upgrade_message(),
            Scope::DryRun => self.dry_run_message(&shown_lines(self.preflight_lines, MAX_LISTED)),
        }
    }

    /// The report: the message, what the preflight reported, and how long each step took.
    #[must_use]
    pub fn report(&self) -> String {
        let preflight = self.preflight_lines.join("\n");
        let mut parts = match self.plan.scope {
            Scope::Upgrade => vec![self.message(), preflight],
            Scope::DryRun => vec![self.dry_run_message(&preflight)],
        };
        parts.push(timings(self.records));
        parts.retain(|part| !part.is_empty());
        parts.join("\n\n")
    }

    fn upgrade_message(&self) -> String {
        let UpgradePlan { namespace, database, request, from, to, .. } = self.plan;
        let after = self.outage.duration();
        let after = after.map(|outage| format!(" after {} of outage", seconds(outage))).unwrap_or_default();
        let resumed = resumed_forward(self.records);
        let down = self.outage.since();
        let down = down.map(|_| format!("accepts no writes ({}) and ", self.outage)).unwrap_or_default();
        match self.outcome {
            Outcome::Upgraded => {
                let kept = self.kept.as_ref().map(|kept| format!("; {kept}")).unwrap_or_default();
                let skipped = skipped(self.records);
                let kept_pod = if self.kept_its_server() {
                    "; its server had that image and was not restarted"
                } else {
                    ""
                };
                format!("{namespace}/{database} is on {}{after}{kept_pod}{kept}{resumed}{skipped}", to.name)
            }
            Outcome::RolledBack { failure, .. } if !self.outage.has_begun() => {
                format!(
                    "{namespace}/{database} was not touched and serves {}. {}",
                    from.name, failure.message
                )
            }
            Outcome::RolledBack { step, failure } => format!(
                "{namespace}/{database} serves {} again{after}, no data changed. {step}: {}",
                from.name, failure.message
            ),
            Outcome::Stuck { step, failure } if saga::is_paused(self.records) => format!(
                "{namespace}/{database} needs help: {step} did not complete; the database {down}stays paused by request \
                 {request}{resumed}. {}. Nothing more is removed. After fixing the cause, resume with: {} \
                 (docs/runbook.md)",
                failure.message,
                resume_command(namespace, request)
            ),
            // Before the pause, or once it is lifted, only what the upgrade created next to the data is left.
            Outcome::Stuck { step, failure } => format!(
                "{namespace}/{database} serves {}, no data changed, but {step} could not be undone: {}. \
                 docs/runbook.md says what to remove before a new request",
                from.name, failure.message
            ),
        }
    }

    /// Whether the pod had the image already: a minor upgrade without an outage has replaced none.
    fn kept_its_server(&self) -> bool {
        self.plan.kind().is_ok_and(|kind| kind == UpgradeKind::Minor) && !self.outage.has_begun()
    }

    /// Of a dry run: nothing was changed, and what the preflight found.
    fn dry_run_message(&self, lines: &str) -> String {
        let UpgradePlan { namespace, database, from, to, .. } = self.plan;
        let untouched = format!("dry run: {namespace}/{database} was not touched and serves {}", from.name);
        match self.outcome {
            Outcome::Upgraded => {
                format!("{untouched}. No blocking findings for the upgrade to {}\n{lines}", to.name)
                    .trim_end()
                    .to_owned()
            }
            Outcome::RolledBack { failure, .. } | Outcome::Stuck { failure, .. } => {
                format!("{untouched}. {}", failure.message)
            }
        }
    }
}

/// Why the upgrade resumed forward although a step had failed.
fn resumed_forward(records: &[Record]) -> String {
    saga::resumed_forward(records)
        .map(|why| format!("; it resumed forward after a failure, because {}", why.message))
        .unwrap_or_default()
}

/// The optional steps that failed.
fn skipped(records: &[Record]) -> String {
    saga::skipped(records).fold(String::new(), |text, (step, failure)| {
        format!("{text}. {step} was not completed: {}", failure.message)
    })
}

/// How long each step took.
fn timings(records: &[Record]) -> String {
    let mut lines = Vec::new();
    for (index, record) in records.iter().enumerate() {
        if record.event == Event::Succeeded
            && let Some(began) = records[..index].iter().rev().find(|other| other.step == record.step)
        {
            lines.push(format!("{:<26}{:>8}", record.step, seconds(record.at.duration_since(began.at))));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outage::OutageChange;
    use crate::saga::Failure;
    use jiff::Timestamp;
    use pgops_api::plan::Step;

    fn plan(scope: Scope) -> UpgradePlan {
        UpgradePlan { scope, ..UpgradePlan::example("13.16", "17.11") }
    }

    fn failure() -> Failure {
        Failure {
            reason: "PgUpgradedFailed".into(),
            message: "no space left on device".into(),
            retryable: false,
        }
    }

    fn rolled_back(step: Step) -> Outcome {
        Outcome::RolledBack { step, failure: failure() }
    }

    fn record(step: Step, event: Event) -> Record {
        Record { at: Timestamp::UNIX_EPOCH, step, event, serving_since: None }
    }

    /// One that began at 0 and ended at this millisecond.
    fn outage(ended: Option<i64>) -> Outage {
        let mut outage = Outage::default();
        outage.record(OutageChange::Begins, Timestamp::UNIX_EPOCH, None);
        if let Some(ended) = ended {
            outage.record(OutageChange::Ends, Timestamp::from_millisecond(ended).unwrap(), None);
        }
        outage
    }

    fn message(outcome: &Outcome, outage: Outage, records: &[Record], kept: Option<&str>) -> String {
        let plan = plan(Scope::Upgrade);
        let kept = kept.map(ToOwned::to_owned);
        Summary { plan: &plan, outcome, outage, records, preflight_lines: &[], kept }.message()
    }

    fn dry_run_message(outcome: &Outcome, lines: &[&str]) -> String {
        let plan = plan(Scope::DryRun);
        let lines: Vec<_> = lines.iter().map(|&line| line.to_owned()).collect();
        Summary {
            plan: &plan,
            outcome,
            outage: Outage::default(),
            records: &[],
            preflight_lines: &lines,
            kept: None,
        }
        .message()
    }

    #[test]
    fn failure_before_the_outage_says_that_nothing_was_touched() {
        let text = message(&rolled_back(Step::Preflight), Outage::default(), &[], None);
        assert!(text.starts_with("demo/orders was not touched and serves 13.16. no space left"), "{text}");
    }

    #[test]
    fn dry_run_is_labelled_first_and_its_findings_follow() {
        let text = dry_run_message(&Outcome::Upgraded, &["mode copy", "[physical-slot] note: a"]);
        assert_eq!(
            text,
            "dry run: demo/orders was not touched and serves 13.16. No blocking findings for the upgrade to 17.11\n\
             mode copy\n[physical-slot] note: a"
        );
        let text = dry_run_message(&rolled_back(Step::Preflight), &[]);
        assert_eq!(text, "dry run: demo/orders was not touched and serves 13.16. no space left on device");
    }

    /// The message is a condition's, the report is a `ConfigMap` that has other parts too.
    #[test]
    fn message_of_a_dry_run_has_as_many_notes_as_fit_and_the_report_has_all() {
        let plan = plan(Scope::DryRun);
        let lines: Vec<_> = (0..180).map(|number| format!("note {number} {}", "x".repeat(1014))).collect();
        let outcome = &Outcome::Upgraded;
        let summary = Summary {
            plan: &plan,
            outcome,
            outage: Outage::default(),
            records: &[],
            preflight_lines: &lines,
            kept: None,
        };
        let message = summary.message();
        assert!(message.len() < 28 << 10, "{}", message.len());
        assert!(message.contains("note 0 x") && message.ends_with("all of them are in the Job's log"));
        assert!(summary.report().contains("note 179 x"));
    }

    #[test]
    fn upgrade_to_the_image_that_runs_says_that_nothing_was_restarted() {
        let plan = UpgradePlan::example("13.16", "13.16");
        let summary = |outage| {
            let outcome = &Outcome::Upgraded;
            Summary { plan: &plan, outcome, outage, records: &[], preflight_lines: &[], kept: None }.message()
        };
        let kept = summary(Outage::default());
        assert_eq!(kept, "demo/orders is on 13.16; its server had that image and was not restarted");
        assert_eq!(summary(outage(Some(1200))), "demo/orders is on 13.16 after 1.2s of outage");
    }

    #[test]
    fn rollback_says_first_that_the_old_version_serves() {
        let text = message(&rolled_back(Step::PgUpgraded), outage(Some(9200)), &[], None);
        assert!(
            text.starts_with("demo/orders serves 13.16 again after 9.2s of outage, no data changed"),
            "{text}"
        );
        assert!(text.contains("PgUpgraded: no space left on device"), "{text}");
    }

    #[test]
    fn upgrade_names_kept_data_and_skipped_steps() {
        let succeeded = [record(Step::Analyze, Event::Succeeded)];
        let text = message(&Outcome::Upgraded, Outage::default(), &succeeded, None);
        assert_eq!(text, "demo/orders is on 17.11");
        let text = message(
            &Outcome::Upgraded,
            Outage::default(),
            &succeeded,
            Some("the data of 13.16 (58 MiB) is kept"),
        );
        assert_eq!(text, "demo/orders is on 17.11; the data of 13.16 (58 MiB) is kept");
        let skipped = [record(Step::Analyze, Event::Skipped(failure()))];
        let text = message(&Outcome::Upgraded, Outage::default(), &skipped, None);
        assert_eq!(text, "demo/orders is on 17.11. Analyze was not completed: no space left on device");
    }

    #[test]
    fn stuck_upgrade_says_who_holds_the_database_and_how_to_resume() {
        let outcome = Outcome::Stuck { step: Step::UpdateDatabase, failure: failure() };
        let text =
            message(&outcome, Outage::default(), &[record(Step::PauseDatabase, Event::Succeeded)], None);
        assert!(text.contains("stays paused by request orders-17") && text.contains("runbook"), "{text}");
        assert!(text.contains("kubectl annotate pgops orders-17 -n demo pgops.dev/carry-on=true"), "{text}");
    }

    #[test]
    fn stuck_upgrade_says_since_when_the_database_accepts_no_writes() {
        let outcome = Outcome::Stuck { step: Step::StartDatabase, failure: failure() };
        let paused = [record(Step::PauseDatabase, Event::Succeeded)];
        let text = message(&outcome, outage(None), &paused, None);
        let expected = "needs help: StartDatabase did not complete; the database accepts no writes (since \
                        1970-01-01T00:00:00Z) and stays paused";
        assert!(text.contains(expected), "{text}");
        assert!(!message(&outcome, outage(Some(10)), &paused, None).contains("accepts no writes"));
    }

    #[test]
    fn failed_undo_without_a_pause_is_not_reported_as_paused() {
        let outcome = Outcome::Stuck { step: Step::DataDirectoryInitialized, failure: failure() };
        let text = message(&outcome, Outage::default(), &[], None);
        assert!(
            text.starts_with("demo/orders serves 13.16, no data changed, but DataDirectoryInitialized"),
            "{text}"
        );
        assert!(!text.contains("carry-on"), "{text}");
    }

    #[test]
    fn upgrade_that_resumed_forward_says_why() {
        let why = Event::RollForward(Failure { message: "the new server has run".into(), ..failure() });
        let text =
            message(&Outcome::Upgraded, Outage::default(), &[record(Step::ReplacedDataDirectory, why)], None);
        assert_eq!(
            text,
            "demo/orders is on 17.11; it resumed forward after a failure, because the new server has run"
        );
    }

    #[test]
    fn report_has_the_duration_of_each_step() {
        let at = |milliseconds, event| Record {
            at: Timestamp::from_millisecond(milliseconds).unwrap(),
            step: Step::PgUpgraded,
            event,
            serving_since: None,
        };
        let text = timings(&[at(0, Event::Started), at(3300, Event::Succeeded)]);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["PgUpgraded", "3.3s"]);
    }
}
