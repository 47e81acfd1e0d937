//! Certificates that pgops' own CA signs, which all replicas share.

use futures::stream::{self, BoxStream, StreamExt};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;

use super::context::Context;
use crate::clock::VisibleSince;
use crate::error::Error;
use crate::pki::{AuthorityError, Bundle};
use crate::rotation::{CaSet, Step};
use crate::store::{SecretError, SecretStore};

/// One replica that issues its own serving certificate.
pub(crate) struct SelfSigned {
    store: SecretStore,
    dns_names: Vec<String>,
    pub(crate) context: Context,
    /// The last CAs that could be read.
    set: Option<CaSet>,
    /// Certificate of the CA that signed the current serving certificate.
    signed_by: Option<String>,
    /// The CAs and when they last changed, as every configuration holds them.
    visible: VisibleSince<(Bundle, Option<Timestamp>)>,
}

impl SelfSigned {
    pub(crate) fn new(store: SecretStore, dns_names: Vec<String>, context: Context) -> Self {
        Self { store, dns_names, context, set: None, signed_by: None, visible: VisibleSince::new() }
    }

    /// An item whenever the Secret or a webhook configuration may have changed.
    pub(crate) fn changes(&self) -> BoxStream<'static, ()> {
        stream::select(self.store.changes(), self.context.configurations.changes()).boxed()
    }

    /// Brings serving certificate, configurations and Secret one step closer to the desired state.
    ///
    /// The configurations are read before the Secret, and written only if they are unchanged since. So the
    /// bundle that is written was in the Secret when the configurations already had their present content: a
    /// replica that slept between the two never restores an older bundle.
    pub(crate) async fn reconcile(&mut self) -> Result<(), Error> {
        let observed = self.context.configurations.read(&self.context.clock).await;
        // Before the Secret is read, so that no certificate outlives what the date of a step promises.
        let now = self.context.clock.wall();
        let loaded = match self.store.load_or_create(&self.context.clock, &self.context.settings).await {
            Ok((secret, set)) => {
                self.set = Some(set);
                Ok(secret)
            }
            Err(error) => Err(error),
        };
        let Some(set) = self.set.clone() else { return loaded.map(drop).map_err(Error::from) };
        // Also when the Secret cannot be read: the previous certificate would expire without a successor.
        self.renew(&set, now)?;

        let observed = observed?;
        let bundle = set.bundle();
        let foreign = match &loaded {
            // CAs of the other source may be in use until all replicas have changed to this one.
            Ok(_) => observed.trusted_by_any(now).without_subject_of(set.current.der()),
            // Another replica may have read what this one cannot read.
            Err(_) => observed.trusted_by_any(now),
        };
        self.context.configurations.write(&observed, &bundle.union(&foreign)).await?;
        let is_visible = observed.all_trust(&bundle);
        let visible = self.visible.observe((bundle, set.changed_at), is_visible, observed.at);
        let secret = loaded?;
        let step = set.next_step(visible, now, &self.context.settings);
        if step != Step::Stay {
            self.apply(step, &set, secret, now).await?;
        }
        Ok(self.context.configurations.require_both(&observed)?)
    }

    async fn apply(
        &self,
        step: Step,
        set: &CaSet,
        secret: Secret,
        now: Timestamp,
    ) -> Result<(), SecretError> {
        let after = set
            .after(step, now, &self.context.settings)
            .map_err(|source| self.store.generate_error(source))?;
        // Without a result another replica was faster. Either write triggers the next reconciliation.
        if self.store.write(secret, &after).await?.is_some() {
            log_step(step, &self.store.name, &after, self.context.settings.overlap);
        }
        Ok(())
    }

    /// Issues a serving certificate if the current one is due, or was signed by another CA.
    fn renew(&mut self, set: &CaSet, now: Timestamp) -> Result<(), AuthorityError> {
        let authority = &set.current;
        let is_current = self.signed_by.as_deref() == Some(authority.certificate());
        if authority.is_expired(now) || (is_current && !self.context.certificates.is_due(now)) {
            return Ok(());
        }
        let serving = authority.issue(&self.dns_names, now, self.context.settings.serving_life)?;
        tracing::info!(
            secret = %self.store.name,
            authority_until = %authority.not_after(),
            serving_until = %serving.not_after(),
            "issued a serving certificate"
        );
        self.signed_by = Some(authority.certificate().to_owned());
        self.context.certificates.serve(serving, Some(authority.not_after()));
        Ok(())
    }
}

fn log_step(step: Step, secret: &str, set: &CaSet, overlap: SignedDuration) {
    match step {
        Step::Stay => {}
        Step::Announce => tracing::info!(
            secret,
            ?overlap,
            "announced the next CA; it signs once every API server trusts it"
        ),
        Step::Promote => tracing::info!(
            secret,
            until = %set.current.not_after(),
            "the next CA signs from now on; the previous one is still trusted"
        ),
        Step::Retire => tracing::info!(secret, "previous CAs are no longer trusted"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{api_server, begin, change_secret, clock, secret, self_signed, settings, trusted};
    use crate::pki::Authority;
    use k8s_openapi::ByteString;
    use pgops_testing::ManualClock;
    use pgops_testing::fake_api_server::FakeApiServer;

    const HOUR: i64 = 60 * 60;

    struct Scene {
        api: FakeApiServer,
        time: ManualClock,
        replica: SelfSigned,
    }

    impl Scene {
        async fn begin() -> Self {
            let api = api_server();
            let time = ManualClock::new(begin());
            let replica = self_signed(&api.client(), clock(&time), settings());
            let mut scene = Self { api, time, replica };
            scene.reconcile_after(0).await.unwrap();
            scene.reconcile_after(1).await.unwrap();
            scene
        }

        async fn reconcile_after(&mut self, seconds: i64) -> Result<(), Error> {
            self.time.advance(seconds);
            self.replica.reconcile().await
        }

        fn set(&self, key: &str, value: &str) {
            change_secret(&self.api, |secret| {
                let data = secret.data.get_or_insert_default();
                data.insert(key.to_owned(), ByteString(value.into()));
            });
        }

        fn served(&self) -> Vec<u8> {
            self.replica.context.certificates.serving().unwrap().key().cert[0].to_vec()
        }
    }

    #[tokio::test]
    async fn requested_rotation_ends_with_both_cas_trusted() {
        let mut scene = Scene::begin().await;
        let served = scene.served();
        let [first, _] = trusted(&scene.api);
        change_secret(&scene.api, |secret| {
            let annotations = secret.metadata.annotations.get_or_insert_default();
            annotations.insert("pgops.dev/rotate-authority".into(), "key leaked".into());
        });
        // Announce, write the bundle, observe it.
        for _ in 0..3 {
            scene.reconcile_after(1).await.unwrap();
        }
        assert_eq!(scene.served(), served);
        let [both, _] = trusted(&scene.api);
        assert!(both.len() == 2 && both.contains_all(&first));
        // Promote, issue.
        for _ in 0..2 {
            scene.reconcile_after(10 * 60).await.unwrap();
        }
        assert_ne!(scene.served(), served);
        assert_eq!(trusted(&scene.api), [both.clone(), both]);
    }

    #[tokio::test]
    async fn broken_secret_is_rejected_and_the_last_good_ca_stays() {
        let mut scene = Scene::begin().await;
        let served = scene.served();
        let before = trusted(&scene.api);
        let other = Authority::generate(begin(), SignedDuration::from_hours(24)).unwrap();
        for (certificate, expected) in [("", "no key \"ca.crt\""), (other.certificate(), "no usable CA")] {
            scene.set("ca.crt", certificate);
            let error = scene.reconcile_after(60).await.unwrap_err();
            assert!(error.is_rejection() && error.to_string().contains(expected), "{error}");
        }
        assert_eq!(scene.served(), served);
        assert_eq!(trusted(&scene.api), before);
        // The serving certificate is still renewed.
        scene.reconcile_after(2 * HOUR).await.unwrap_err();
        assert_ne!(scene.served(), served);
    }

    #[tokio::test]
    async fn replica_without_the_secret_removes_nothing_from_the_bundle() {
        let mut scene = Scene::begin().await;
        let mut other = self_signed(&scene.api.client(), scene.replica.context.clock.clone(), settings());
        scene
            .replica
            .apply(Step::Announce, scene.replica.set.as_ref().unwrap(), secret(&scene.api), begin())
            .await
            .unwrap();
        other.reconcile().await.unwrap();
        scene.set("ca.key", "x");
        scene.reconcile_after(60).await.unwrap_err();
        assert_eq!(trusted(&scene.api).map(|bundle| bundle.len()), [2, 2]);
    }

    #[tokio::test]
    async fn ca_that_expired_while_the_cluster_was_off_is_replaced_at_once() {
        let mut scene = Scene::begin().await;
        let [before, _] = trusted(&scene.api);
        scene.reconcile_after(365 * 24 * HOUR).await.unwrap();
        let [after, _] = trusted(&scene.api);
        assert!(after.len() == 1 && after != before);
        assert!(
            scene.replica.context.certificates.status().serving_until
                > Some(scene.replica.context.clock.wall())
        );
    }

    #[tokio::test]
    async fn emptied_secret_gets_a_new_ca_and_the_old_one_is_distrusted() {
        let mut scene = Scene::begin().await;
        let [before, _] = trusted(&scene.api);
        change_secret(&scene.api, |secret| secret.data = None);
        scene.reconcile_after(1).await.unwrap();
        let [after, _] = trusted(&scene.api);
        assert!(after.len() == 1 && after != before);
    }

    #[tokio::test]
    async fn foreign_ca_stays_in_the_bundle_until_it_expires() {
        let mut scene = Scene::begin().await;
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "corporate");
        params.not_after = std::time::SystemTime::from(begin() + SignedDuration::from_hours(2)).into();
        let foreign = Bundle::from_iter([params.self_signed(&key).unwrap().der().clone()]);
        let seen = scene.replica.context.configurations.read(&scene.replica.context.clock).await.unwrap();
        scene.replica.context.configurations.write(&seen, &foreign).await.unwrap();
        scene.reconcile_after(HOUR).await.unwrap();
        assert_eq!(trusted(&scene.api).map(|bundle| bundle.len()), [2, 2]);
        scene.reconcile_after(HOUR).await.unwrap();
        assert_eq!(trusted(&scene.api).map(|bundle| bundle.len()), [1, 1]);
    }
}
