//! Keeps the certificates for years: looks whenever something has changed, and at the clock.

use std::convert::Infallible;
use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use futures::stream::{BoxStream, Stream, StreamExt};
use kube::runtime::{WatchStreamExt, watcher::watch_object};
use kube::{Api, Client, Resource};
use pgops_api::display_chain;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::configurations::Configurations;
use crate::files::{self, Files};
use crate::own::{self, Own};
use crate::secret::Store;
use crate::{Certificates, Error, Names, Settings};

/// How often the wall clock is asked what is due. A timer for the whole time would stand still while a
/// machine sleeps.
const CLOCK_CHECK: Duration = Duration::from_mins(1);
/// How often files are read. Kubelet swaps a symlink, which no inotify event of the file tells.
const FILE_CHECK: Duration = Duration::from_secs(10);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(5);

/// Where certificates come from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// An authority of our own, kept in this Secret.
    Own {
        /// Name of the Secret.
        secret: String,
    },
    /// The files `tls.crt`, `tls.key` and `ca.crt`, which somebody else keeps.
    Directory(PathBuf),
}

/// Keeps the certificates of one replica, and the `caBundle` of the webhook configurations.
pub struct Keeper {
    work: Work,
    certificates: Certificates,
    complaint: Option<String>,
}

enum Work {
    Own(Box<Own>),
    Files(Box<Files>),
}

impl Keeper {
    /// Keeps `certificates`.
    #[must_use]
    pub fn new(
        client: &Client,
        names: &Names,
        source: Source,
        settings: Settings,
        certificates: Certificates,
    ) -> Self {
        let configurations = Configurations::new(client, &names.configuration);
        certificates.begin(&source);
        let (clock, kept) = (Clock::system(), certificates.clone());
        let work = match source {
            Source::Own { secret } => Work::Own(Box::new(Own {
                store: Store { secrets: Api::namespaced(client.clone(), &names.namespace), name: secret },
                configurations,
                dns: names.dns(),
                settings,
                clock,
                certificates: kept,
                state: own::State::new(),
            })),
            Source::Directory(directory) => Work::Files(Box::new(Files {
                directory,
                name: names.called(),
                configurations,
                settings,
                clock,
                certificates: kept,
                state: files::State::new(),
            })),
        };
        Self { work, certificates, complaint: None }
    }

    /// Waits until there is a certificate to serve with. A Secret that cannot be used is an error at once,
    /// so that it is seen.
    pub async fn obtain(&mut self) -> Result<(), Error> {
        loop {
            match self.work.pass().await {
                // What failed besides is for `keep` to mend.
                _ if self.certificates.is_serving() => return Ok(()),
                Err(error) if !error.is_transient() => return Err(error),
                result => self.hear(&result),
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Keeps the certificates and the `caBundle` as long as it is polled.
    pub async fn keep(&mut self) -> Result<Infallible, Error> {
        let mut changes = self.work.changes();
        loop {
            let result = self.look().await;
            let pause = if result.is_ok() { self.work.period() } else { RETRY };
            tokio::select! {
                change = changes.next() => change.ok_or(Error::WatchEnded)?,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    pub(crate) async fn look(&mut self) -> Result<(), Error> {
        let result = self.work.pass().await;
        self.hear(&result);
        result
    }

    /// Says what is wrong once, and once that it is right again.
    fn hear(&mut self, result: &Result<(), Error>) {
        let complaint = result.as_ref().err().map(|error| display_chain(error as &dyn std::error::Error));
        match result {
            Ok(()) => self.certificates.reject(None),
            Err(error) if error.is_rejection() => self.certificates.reject(complaint.as_ref()),
            Err(_) => {}
        }
        if complaint == self.complaint {
            return;
        }
        match &complaint {
            Some(error) if self.certificates.is_serving() => {
                tracing::warn!(%error, "the certificates are not in order; what was good before is kept");
            }
            Some(error) => tracing::warn!(%error, "there is no certificate yet"),
            None => tracing::info!("the certificates are in order again"),
        }
        self.complaint = complaint;
    }
}

impl Work {
    async fn pass(&mut self) -> Result<(), Error> {
        match self {
            Self::Own(own) => own.pass().await,
            Self::Files(files) => files.pass().await,
        }
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        match self {
            Self::Own(own) => {
                let secret = changes(own.store.secrets.clone(), &own.store.name);
                futures::stream::select(secret, own.configurations.changes()).boxed()
            }
            Self::Files(files) => files.configurations.changes(),
        }
    }

    fn period(&self) -> Duration {
        match self {
            Self::Own(_) => CLOCK_CHECK,
            Self::Files(_) => FILE_CHECK,
        }
    }
}

/// An item whenever the object may have changed. What a watch misses, the look at the clock finds.
pub(crate) fn changes<K>(api: Api<K>, name: &str) -> impl Stream<Item = ()> + Send + 'static
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let name = name.to_owned();
    watch_object(api, &name).default_backoff().filter_map(move |change| {
        let seen = match change {
            Ok(_) => Some(()),
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), name, %error, "failed to watch; looks by the clock meanwhile");
                None
            }
        };
        std::future::ready(seen)
    })
}
