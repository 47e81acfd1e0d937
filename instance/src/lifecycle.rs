//! The life of a database, once its volume was [claimed](crate::claim): serves, and stops cleanly.

use std::sync::Arc;
use std::time::Duration;

use pgops_api::display_chain;
use pgops_api::serverconf::{self, MountedAuthority};
use pgops_kube::shutdown::StopSignals;
use pgops_volume::{Interlock, Tree, Volume};
use tokio::sync::Notify;

use crate::boot::MemberRoles;
use crate::credentials::Credentials;
use crate::error::RunError;
use crate::gate::{Access, Freeze};
use crate::ha::{self, Passwords, Patroni};
use crate::mounted_settings::SecretCheck;
use crate::options::Options;
use crate::programs::Programs;
use crate::reaper::{Exit, Reaper};
use crate::reclone::{self, Standby};
use crate::report::StatusReport;
use crate::server::{self, Configuration, ServerError};
use crate::serving::{End, Serving};
use crate::session::OwnSessions;
use crate::settings::{self, Checker, Refusal};
use crate::stage::{Stage, StageReporter};
use crate::tls::{self, Tls};
use crate::watchdog::Watchdog;
use crate::{retired, rotation, secrets};

/// The instance of one database.
pub struct Instance {
    pub options: Options,
    /// None if the server does not speak TLS.
    pub tls: Option<Tls>,
    pub credentials: Credentials,
    pub programs: Programs,
    pub volume: Volume,
    /// Directory of files that live as long as the container: generated configuration, initdb's password file.
    pub run_dir: Tree,
    pub reaper: Reaper,
    pub gate: Access,
    pub reporter: StageReporter,
    pub report: Arc<StatusReport>,
}

/// A volume whose server may be started.
pub struct Claim {
    pub interlock: Interlock,
    pub roles: MemberRoles,
}

impl Instance {
    pub fn major(&self) -> u32 {
        self.options.pgdata.major
    }

    /// Runs the server until it ends or is asked to stop.
    pub async fn serve(
        &self,
        claim: &Claim,
        stop_signals: &mut StopSignals,
        grace: Duration,
    ) -> Result<(), RunError> {
        // An upgrade away from this version may have been started and rolled back.
        self.volume.clear_retired(self.major())?;
        retired::make_room(&self.volume, self.major());
        let settings = secrets::settings();
        let inline = settings::inline().unwrap_or_else(|| {
            tracing::warn!(
                "the ConfigMap with spec.configuration of the Postgres does not exist: the server starts without these settings, \
                 and reads them once it exists"
            );
            String::new()
        });
        let mut certificate =
            self.tls.clone().map(|tls| tls::Watch::start(tls, self.report.clone())).transpose()?;
        if certificate.is_some() {
            warn_of_overridden_settings(settings.as_deref(), &inline);
        }
        let configuration = self.configuration(certificate.as_ref());
        self.gate.hold(claim.interlock.cloexec_fd().map_err(ServerError::Start)?);
        let mut serving = self.start(&configuration, claim.roles).await?;
        self.reporter.report(Stage::Running);
        retired::watch(self.volume.clone(), self.major());
        let superuser = self.credentials.username.clone();
        secrets::watch(self.report.clone(), settings.clone(), self.tls.clone(), superuser);
        rotation::watch(self.report.clone(), self.credentials.username.clone(), self.major());
        let reload = Arc::new(Notify::new());
        settings::watch(settings::Watch {
            checker: self.checker(),
            report: self.report.clone(),
            reload: reload.clone(),
            sessions: OwnSessions::new(&self.credentials.username, self.major()),
            started_with: inline,
            secret: SecretCheck::new(settings),
        });
        let ended = loop {
            tokio::select! {
                end = serving.ended() => break Some(end),
                () = reload.notified() => serving.reload(),
                () = tls::changed(&mut certificate) => {
                    self.replace_settings(certificate.as_ref());
                    serving.reload();
                }
                () = stop_signals.recv() => break None,
            }
        };
        match ended {
            Some(End::Server(exit)) => return Err(self.why_ended(exit).await.into()),
            Some(End::Patroni(error)) => return Err(error.into()),
            None => {}
        }
        self.gate.freeze(Freeze::Terminating);
        self.reporter.report(Stage::Stopping);
        serving.stop(grace, stop_signals.recv()).await?;
        tracing::info!("the server has shut down cleanly");
        Ok(())
    }

    /// Starts the server, or Patroni, which starts it when it has found out what it is among the others.
    async fn start(&self, configuration: &Configuration, roles: MemberRoles) -> Result<Serving, RunError> {
        let files = server::configure(&self.volume, self.major(), configuration, &self.run_dir)?;
        let Some(member) = self.options.member(&self.credentials.username) else {
            let data = self.volume.data_dir(self.major());
            return Ok(Serving::Alone(server::start(&data, &files, &self.run_dir, &self.reaper)?));
        };
        let passwords = Passwords::mounted()?;
        if roles == MemberRoles::Missing {
            let data = self.volume.data_dir(self.major());
            let (run_dir, reaper) = (&self.run_dir, &self.reaper);
            ha::create_first(&data, &files.settings, self.major(), &passwords, run_dir, reaper).await?;
        }
        let (watchdog, starts) = Watchdog::new(&self.run_dir, self.gate.clone())?;
        tokio::spawn(watchdog.watch());
        let files = ha::write(&member, &passwords, &self.run_dir, &self.volume)?;
        let patroni = Patroni::start(&files, &self.reaper, starts)?;
        ha::watch_roles(&member.superuser, member.major);
        reclone::watch(Standby {
            sessions: OwnSessions::new(&member.superuser, member.major),
            member,
            volume: self.volume.clone(),
            access: self.gate.clone(),
            report: self.report.clone(),
        });
        Ok(Serving::Member { patroni, access: self.gate.clone() })
    }

    /// Why a server ended that was not asked to. Its log says more, and fewer people may read that.
    async fn why_ended(&self, exit: Exit) -> ServerError {
        match self.checker().check_present().await {
            Err(Refusal::Rejected(words)) => ServerError::Settings(words),
            Ok(()) | Err(Refusal::Unknown(_)) => ServerError::Ended(exit),
        }
    }

    fn checker(&self) -> Checker {
        Checker {
            programs: self.programs.clone(),
            reaper: self.reaper.clone(),
            run_dir: self.run_dir.clone(),
            data: self.volume.data_dir(self.major()),
        }
    }

    fn configuration(&self, certificate: Option<&tls::Watch>) -> Configuration {
        Configuration {
            client_auth_mode: self.options.client_auth_mode,
            tls: self.tls.as_ref().map(|tls| tls.server),
            authority: match certificate {
                Some(watch) if watch.used().has_authority => MountedAuthority::Present,
                _ => MountedAuthority::Absent,
            },
            servers: self.options.servers(),
        }
    }

    /// An authority may have been added or removed with the certificate.
    fn replace_settings(&self, certificate: Option<&tls::Watch>) {
        let configuration = self.configuration(certificate);
        let replaced = server::replace_settings(&self.volume, self.major(), &configuration, &self.run_dir);
        if let Err(error) = replaced {
            // The server reads the new certificate with the settings that it has.
            tracing::warn!("{}", display_chain(&error));
        }
    }
}

/// The user's settings take precedence over most others, but not over the certificate that the spec promises.
fn warn_of_overridden_settings(user_conf: Option<&[u8]>, inline: &str) {
    let user_conf = String::from_utf8_lossy(user_conf.unwrap_or_default());
    let sources = [
        ("user.conf of the configSecret", &*user_conf),
        ("spec.configuration.inline of the Postgres", inline),
    ];
    for (source, text) in sources {
        let overridden = serverconf::overridden_tls_settings(text);
        if !overridden.is_empty() {
            tracing::warn!(
                "{source} sets {}, which has no effect: spec.tls takes precedence; remove it there",
                overridden.join(", ")
            );
        }
    }
}
