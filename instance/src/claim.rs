//! How an instance gets to its volume: it waits for its turn, and initialises an empty volume once.

use std::time::Duration;

use pgops_volume::{FileError, Interlock};

use crate::boot::{self, Boot, BootRefusal, MemberRoles, Place};
use crate::cluster::{self, NoAnswer};
use crate::error::RunError;
use crate::lifecycle::{Claim, Instance};
use crate::options::Options;
use crate::stage::Stage;
use crate::{initdb, replacement, tls, volume};

/// Pause between two checks of a volume that is in use: it adds to the outage of an upgrade.
const POLL_INTERVAL: Duration = Duration::from_millis(25);
/// Pause before the API server is queried again, or the volume is checked for an operator's repair.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What an instance does next with its volume.
enum Next {
    Go(Boot),
    /// Check again after a pause.
    Wait(Duration),
}

impl Instance {
    /// Waits until this instance may have its server started, and initialises the volume if it is new.
    pub async fn claim(&self) -> Result<Claim, RunError> {
        self.volume.tree().create_dir(&self.volume.state_dir())?;
        loop {
            // Checked without the lock first, so that waiting never blocks the upgrade that it waits for;
            // what counts is the second check, under the lock.
            // A replacement that was interrupted has left no data, which the lock is needed for as well.
            let interrupted = replacement::interrupted(&self.volume, self.major())?;
            if interrupted.is_none()
                && let Next::Wait(pause) = self.check_volume()?
            {
                tokio::time::sleep(pause).await;
                continue;
            }
            let Some(interlock) = Interlock::try_take(&self.volume)? else {
                self.reporter.report(Stage::WaitingForInterlock);
                tokio::time::sleep(POLL_INTERVAL).await;
                continue;
            };
            let pause = match self.prepare_volume(&interlock).await? {
                Next::Wait(pause) => pause,
                Next::Go(_) => match self.member_roles().await? {
                    Ok(roles) => return Ok(Claim { interlock, roles }),
                    Err(error) => {
                        self.reporter.report(Stage::Unanswered(error.to_string()));
                        RETRY_INTERVAL
                    }
                },
            };
            drop(interlock);
            tokio::time::sleep(pause).await;
        }
    }

    /// Whether the roles of members exist, of which the API server has to be asked only if Patroni never ran on this data.
    async fn member_roles(&self) -> Result<Result<MemberRoles, NoAnswer>, FileError> {
        let Options { namespace, database, ha_scope, .. } = &self.options;
        let (Some(scope), Place::First) = (ha_scope, self.options.place()) else {
            return Ok(Ok(MemberRoles::Exist));
        };
        if volume::trace_of_members(&self.volume, self.major())? {
            return Ok(Ok(MemberRoles::Exist));
        }
        let records = cluster::records(namespace, database, scope).await;
        Ok(records.map(|records| boot::member_roles(records.identity.as_deref())))
    }

    /// What may be done with the volume now.
    fn check_volume(&self) -> Result<Next, RunError> {
        let own = self.major();
        Ok(match boot::decide(own, self.options.place(), &volume::observe(&self.volume)?) {
            Boot::WaitFor { active } => {
                self.reporter.report(Stage::WaitingForVersion { own, active });
                Next::Wait(POLL_INTERVAL)
            }
            Boot::Refuse(refusal) => self.refuse(refusal),
            boot => Next::Go(boot),
        })
    }

    /// Makes the volume ready for the server; only under the interlock.
    async fn prepare_volume(&self, interlock: &Interlock) -> Result<Next, RunError> {
        replacement::resume(&self.volume, self.major())?;
        let next = self.check_volume()?;
        if matches!(next, Next::Go(_))
            && let Some(wait) = self.wait_for_certificate()
        {
            return Ok(wait);
        }
        match next {
            Next::Go(Boot::Initialise) => return self.fill(interlock).await,
            Next::Go(Boot::Adopt) => {
                tracing::info!(major = self.major(), "adopting the data directory of an interrupted start");
                self.volume.set_active(self.major())?;
            }
            Next::Go(Boot::Clone) => log_clone(),
            Next::Go(_) | Next::Wait(_) => {}
        }
        Ok(next)
    }

    /// Not an exit: a container that restarts again and again hides the reason, and resumes more slowly.
    fn refuse(&self, refusal: BootRefusal) -> Next {
        self.reporter.report(Stage::Refused(refusal));
        Next::Wait(RETRY_INTERVAL)
    }

    /// A server without the certificate that it must have would not start, and must not serve without TLS either.
    fn wait_for_certificate(&self) -> Option<Next> {
        let status = tls::problem(&self.tls.as_ref()?.read().err()?);
        self.reporter.report(Stage::WaitingForCertificate(status.problem.clone().unwrap_or_default()));
        self.report.set_certificate(status);
        Some(Next::Wait(RETRY_INTERVAL))
    }

    /// Initialises an empty volume, if the API server says that the database is new.
    async fn fill(&self, interlock: &Interlock) -> Result<Next, RunError> {
        match self.decide_on_empty().await {
            Err(error) => {
                self.reporter.report(Stage::Unanswered(error.to_string()));
                Ok(Next::Wait(RETRY_INTERVAL))
            }
            Ok(Boot::Refuse(refusal)) => Ok(self.refuse(refusal)),
            Ok(Boot::Initialise) => {
                self.initialise(interlock).await?;
                Ok(Next::Go(Boot::Start))
            }
            Ok(boot) => {
                log_clone();
                Ok(Next::Go(boot))
            }
        }
    }

    /// What is done with an empty volume, as far as it does not follow from the volume itself.
    async fn decide_on_empty(&self) -> Result<Boot, NoAnswer> {
        let Options { namespace, database, ha_scope, .. } = &self.options;
        let decided = match (self.options.place(), ha_scope) {
            (Place::Only, _) | (_, None) => {
                let found = cluster::own_database(namespace, database).await?;
                boot::may_initialise(found.as_ref()).map(|()| Boot::Initialise)
            }
            (Place::First, Some(scope)) => {
                let records = cluster::records(namespace, database, scope).await?;
                boot::first_member(records.database.as_ref(), records.identity.as_deref())
            }
            (Place::Other, Some(_)) => Ok(Boot::Clone),
        };
        Ok(decided.unwrap_or_else(Boot::Refuse))
    }

    async fn initialise(&self, interlock: &Interlock) -> Result<(), RunError> {
        self.reporter.report(Stage::Initialising);
        initdb::initialise(
            &self.volume,
            interlock,
            &self.programs,
            &self.options.initdb_arguments,
            &self.credentials,
            &self.run_dir,
            &self.reaper,
        )
        .await?;
        Ok(())
    }
}

fn log_clone() {
    tracing::info!("the volume has no data: Patroni has it cloned from another server of the database");
}
