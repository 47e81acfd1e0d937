//! Certificates of an authority of our own, which all replicas share.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;

use crate::bundle::Bundle;
use crate::clock::{Clock, Settled};
use crate::configurations::Configurations;
use crate::rotation::{Held, Step};
use crate::secret::{SecretError, Store};
use crate::{AuthorityError, Certificates, Error, Settings};

/// One replica's view, and what it does about it.
pub(crate) struct Own {
    pub store: Store,
    pub configurations: Configurations,
    pub dns: Vec<String>,
    pub settings: Settings,
    pub clock: Clock,
    pub certificates: Certificates,
    pub state: State,
}

/// What a replica remembers.
pub(crate) struct State {
    /// The last authorities that could be read.
    held: Option<Held>,
    /// Certificate of the authority that signed what is served.
    signed_by: Option<String>,
    /// All authorities, and when they last moved, as every configuration holds them.
    settled: Settled<(Bundle, Option<Timestamp>)>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self { held: None, signed_by: None, settled: Settled::new() }
    }
}

impl Own {
    /// Brings serving certificate, configurations and Secret one step nearer to where they should be.
    ///
    /// The configurations are read before the Secret, and written only if they are as they were read. So
    /// what is written was in the Secret at a time when the configurations already were as they are: a
    /// replica that slept in between never puts back the bundle of an earlier day.
    pub(crate) async fn pass(&mut self) -> Result<(), Error> {
        let seen = self.configurations.read(&self.clock).await;
        // Before the Secret is read, so that no certificate outlives what the date of a step promises.
        let now = self.clock.wall();
        let found = match self.store.obtain(&self.clock, &self.settings).await {
            Ok((secret, held)) => {
                self.state.held = Some(held);
                Ok(secret)
            }
            Err(error) => Err(error),
        };
        let Some(held) = self.state.held.clone() else { return found.map(drop).map_err(Error::from) };
        // Also when the Secret cannot be read: with the certificate of before, it would end without.
        self.serve(&held, now)?;

        let seen = seen?;
        let ours = held.bundle();
        let foreign = match &found {
            // What other sources put there may be in use until all replicas are of this source.
            Ok(_) => seen.trusted(now).unlike(held.current.der()),
            // Another replica may have read what we cannot read.
            Err(_) => seen.trusted(now),
        };
        self.configurations.write(&seen, &ours.union(&foreign)).await?;
        let settled = self.state.settled.observe((ours.clone(), held.since), seen.trusts(&ours), seen.at);
        let secret = found?;
        let step = held.step(settled, now, &self.settings);
        if step != Step::Stay {
            self.take(step, &held, secret, now).await?;
        }
        Ok(self.configurations.check(&seen)?)
    }

    async fn take(&self, step: Step, held: &Held, secret: Secret, now: Timestamp) -> Result<(), SecretError> {
        let after = held.after(step, now, &self.settings).map_err(|source| self.store.cannot_make(source))?;
        // Whoever was faster woke us with it, and so does our own write.
        if self.store.write(secret, &after).await?.is_some() {
            tell(step, &self.store.name, &after, self.settings.overlap);
        }
        Ok(())
    }

    fn serve(&mut self, held: &Held, now: Timestamp) -> Result<(), AuthorityError> {
        let authority = &held.current;
        let is_ours = self.state.signed_by.as_deref() == Some(authority.certificate());
        if authority.is_expired(now) || (is_ours && !self.certificates.is_due(now)) {
            return Ok(());
        }
        let serving = authority.issue(&self.dns, now, self.settings.serving_life)?;
        tracing::info!(
            secret = %self.store.name,
            authority_until = %authority.not_after(),
            serving_until = %serving.not_after(),
            "made a serving certificate"
        );
        self.state.signed_by = Some(authority.certificate().to_owned());
        self.certificates.serve(serving, Some(authority.not_after()));
        Ok(())
    }
}

fn tell(step: Step, secret: &str, held: &Held, overlap: SignedDuration) {
    match step {
        Step::Stay => {}
        Step::Announce => tracing::info!(
            secret,
            ?overlap,
            "announced the next certification authority: it signs when every API server trusts it"
        ),
        Step::Promote => tracing::info!(
            secret,
            until = %held.current.not_after(),
            "the next certification authority signs from now on; the one before it is trusted still"
        ),
        Step::Retire => tracing::info!(secret, "the certification authorities of before are trusted no more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, own, settings};
    use crate::{Authority, Source};
    use k8s_openapi::ByteString;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::{Duration, Instant};

    const HOUR: i64 = 60 * 60;

    struct Scene {
        world: World,
        seconds: Arc<AtomicI64>,
        own: Own,
    }

    impl Scene {
        async fn begin() -> Self {
            let (world, seconds, origin) = (World::new(), Arc::new(AtomicI64::new(0)), Instant::now());
            let (wall, steady) = (seconds.clone(), seconds.clone());
            let clock = Clock::new(
                move || begin() + SignedDuration::from_secs(wall.load(Ordering::SeqCst)),
                move || origin + Duration::from_secs(steady.load(Ordering::SeqCst).unsigned_abs()),
            );
            let own = own(&world.client(), clock, settings());
            let mut scene = Self { world, seconds, own };
            scene.pass_after(0).await.unwrap();
            scene.pass_after(1).await.unwrap();
            scene
        }

        async fn pass_after(&mut self, seconds: i64) -> Result<(), Error> {
            self.seconds.fetch_add(seconds, Ordering::SeqCst);
            self.own.pass().await
        }

        fn set(&self, key: &str, value: &str) {
            self.world.change_secret(|secret| {
                let data = secret.data.get_or_insert_default();
                data.insert(key.to_owned(), ByteString(value.into()));
            });
        }

        fn served(&self) -> Vec<u8> {
            self.own.certificates.serving().unwrap().key().cert[0].to_vec()
        }
    }

    fn begin() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[tokio::test]
    async fn a_person_who_asks_gets_another_authority_after_the_overlap_and_both_are_trusted() {
        let mut scene = Scene::begin().await;
        let (served, [first, _]) = (scene.served(), scene.world.trusted());
        scene.world.change_secret(|secret| {
            let annotations = secret.metadata.annotations.get_or_insert_default();
            annotations.insert("pgops.dev/rotate-authority".into(), "key leaked".into());
        });
        // Announced, written, seen.
        for _ in 0..3 {
            scene.pass_after(1).await.unwrap();
        }
        assert_eq!(scene.served(), served);
        let [both, _] = scene.world.trusted();
        assert!(both.len() == 2 && both.contains_all(&first));
        // Promoted, taken.
        for _ in 0..2 {
            scene.pass_after(10 * 60).await.unwrap();
        }
        assert_ne!(scene.served(), served);
        assert_eq!(scene.world.trusted(), [both.clone(), both]);
    }

    #[tokio::test]
    async fn a_half_written_or_mismatched_secret_is_refused_and_the_last_good_authority_stays() {
        let mut scene = Scene::begin().await;
        let (served, trusted) = (scene.served(), scene.world.trusted());
        let other = Authority::generate(begin(), SignedDuration::from_hours(24)).unwrap();
        for (certificate, expected) in
            [("", "no key \"ca.crt\""), (other.certificate(), "no usable authority")]
        {
            scene.set("ca.crt", certificate);
            let error = scene.pass_after(60).await.unwrap_err();
            assert!(error.is_rejection() && error.to_string().contains(expected), "{error}");
        }
        assert_eq!((scene.served(), scene.world.trusted()), (served.clone(), trusted));
        // It does not run out meanwhile.
        scene.pass_after(2 * HOUR).await.unwrap_err();
        assert_ne!(scene.served(), served);
    }

    #[tokio::test]
    async fn who_cannot_read_the_secret_takes_nothing_out_of_the_bundle() {
        let mut scene = Scene::begin().await;
        let mut other = own(&scene.world.client(), scene.own.clock.clone(), settings());
        scene
            .own
            .take(Step::Announce, scene.own.state.held.as_ref().unwrap(), scene.world.secret(), begin())
            .await
            .unwrap();
        other.pass().await.unwrap();
        scene.set("ca.key", "x");
        scene.pass_after(60).await.unwrap_err();
        assert_eq!(scene.world.trusted().map(|bundle| bundle.len()), [2, 2]);
    }

    #[tokio::test]
    async fn an_authority_that_expired_while_the_cluster_was_off_is_replaced_at_once() {
        let mut scene = Scene::begin().await;
        let [before, _] = scene.world.trusted();
        scene.pass_after(365 * 24 * HOUR).await.unwrap();
        let [after, _] = scene.world.trusted();
        assert!(after.len() == 1 && after != before);
        assert!(scene.own.certificates.status().serving_until > Some(scene.own.clock.wall()));
    }

    #[tokio::test]
    async fn an_emptied_secret_gets_a_new_authority_and_the_old_one_is_trusted_no_more() {
        let mut scene = Scene::begin().await;
        let [before, _] = scene.world.trusted();
        scene.world.change_secret(|secret| secret.data = None);
        scene.pass_after(1).await.unwrap();
        let [after, _] = scene.world.trusted();
        assert!(after.len() == 1 && after != before);
    }

    #[tokio::test]
    async fn what_another_source_put_into_the_bundle_stays_until_it_expires() {
        let mut scene = Scene::begin().await;
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "corporate");
        params.not_after = std::time::SystemTime::from(begin() + SignedDuration::from_hours(2)).into();
        let foreign = Bundle::from_iter([params.self_signed(&key).unwrap().der().clone()]);
        let seen = scene.own.configurations.read(&scene.own.clock).await.unwrap();
        scene.own.configurations.write(&seen, &foreign).await.unwrap();
        scene.pass_after(HOUR).await.unwrap();
        assert_eq!(scene.world.trusted().map(|bundle| bundle.len()), [2, 2]);
        scene.pass_after(HOUR).await.unwrap();
        assert_eq!(scene.world.trusted().map(|bundle| bundle.len()), [1, 1]);
    }

    #[tokio::test]
    async fn the_status_tells_what_was_refused_until_it_is_mended() {
        let world = World::new();
        let certificates = Certificates::default();
        let source = Source::Own { secret: crate::world::SECRET.into() };
        let mut keeper = crate::Keeper::new(
            &world.client(),
            &crate::world::names(),
            source,
            settings(),
            certificates.clone(),
        );
        keeper.obtain().await.unwrap();
        let good = world.secret();
        world.change_secret(|secret| _ = secret.data.as_mut().unwrap().remove("ca.key"));
        keeper.look().await.unwrap_err();
        assert!(certificates.status().rejection.as_ref().unwrap().contains("no key \"ca.key\""));
        world.change_secret(|secret| secret.data = good.data);
        keeper.look().await.unwrap();
        assert_eq!(certificates.status().rejection, None);
    }

    #[tokio::test]
    async fn a_process_that_begins_with_garbage_ends_with_what_to_do() {
        let world = World::new();
        world.change_secret(|secret| {
            let entry = |key: &str| (key.to_owned(), ByteString(b"x".to_vec()));
            secret.data = Some([entry("ca.crt"), entry("ca.key")].into());
        });
        let source = Source::Own { secret: crate::world::SECRET.into() };
        let names = crate::world::names();
        let mut keeper =
            crate::Keeper::new(&world.client(), &names, source, settings(), Certificates::default());
        let error = keeper.obtain().await.unwrap_err();
        assert!(error.to_string().contains("restore it"), "{error}");
    }
}
