//! Certificates from files: a mounted Secret of cert-manager, or of a person.

use std::path::PathBuf;

use jiff::SignedDuration;

use crate::bundle::Bundle;
use crate::clock::{Clock, Settled};
use crate::configurations::Configurations;
use crate::pair::Pair;
use crate::{Certificates, Error, Settings};

/// One replica's view of the files, and what it does about it.
pub(crate) struct Files {
    pub directory: PathBuf,
    /// The name by which API servers call.
    pub name: String,
    pub configurations: Configurations,
    pub settings: Settings,
    pub clock: Clock,
    pub certificates: Certificates,
    pub state: State,
}

/// What a replica remembers.
pub(crate) struct State {
    /// The last pair that was good.
    good: Option<Pair>,
    /// The pair that is served.
    served: Option<Pair>,
    /// Whom every configuration trusts, of those that the good pair needs.
    settled: Settled<Bundle>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self { good: None, served: None, settled: Settled::new() }
    }
}

impl Files {
    /// Reads the files by their contents, which kubelet replaces by swapping a symlink, and brings
    /// configurations and serving certificate one step nearer to them.
    ///
    /// What is written is what `ca.crt` holds and what the configurations trust already, until it expires.
    /// So replicas that see different files never fight, and an authority is trusted as long as one of them
    /// may serve with its certificate.
    pub(crate) async fn pass(&mut self) -> Result<(), Error> {
        let now = self.clock.wall();
        let refused = match Pair::read(&self.directory, &self.name, now) {
            Ok(pair) => {
                self.state.good = Some(pair);
                Ok(())
            }
            Err(source) => Err(Error::Files { directory: self.directory.clone(), source }),
        };
        let Some(pair) = self.state.good.clone() else { return refused };
        let trust = pair.trust.valid(now);
        let seen = self.configurations.read(&self.clock).await;
        let settled = match &seen {
            Ok(seen) => self.state.settled.observe(trust.clone(), seen.trusts(&trust), seen.at),
            Err(_) => SignedDuration::ZERO,
        };
        // A new authority must be known before its certificate is shown, unless there is nothing to lose.
        let may_serve = match &self.state.served {
            Some(served) => {
                settled >= self.settings.overlap
                    || served.trust.contains_all(&trust)
                    || served.serving.not_after() <= now
            }
            None => true,
        };
        if may_serve {
            self.serve(pair);
        }
        let seen = seen?;
        self.configurations.write(&seen, &trust.union(&seen.trusted(now))).await?;
        refused?;
        Ok(self.configurations.check(&seen)?)
    }

    fn serve(&mut self, pair: Pair) {
        if self.state.served.as_ref().is_some_and(|served| served.is_same(&pair)) {
            return;
        }
        tracing::info!(
            directory = %self.directory.display(),
            serving_until = %pair.serving.not_after(),
            "took a serving certificate from files"
        );
        self.certificates.serve(pair.serving.clone(), pair.trust.not_after());
        self.state.served = Some(pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{CALLED, CONFIGURATION, World};
    use crate::{Authority, PairError};
    use jiff::Timestamp;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::{Duration, Instant};
    use tempfile::TempDir;

    const DAY: SignedDuration = SignedDuration::from_hours(24);
    const MINUTE: i64 = 60;

    /// A Secret as kubelet mounts it: the files are links into a directory that is swapped as a whole.
    struct Mount {
        directory: TempDir,
        swaps: usize,
    }

    impl Mount {
        fn new() -> Self {
            let directory = TempDir::new().unwrap();
            for file in ["tls.crt", "tls.key", "ca.crt"] {
                symlink(format!("..data/{file}"), directory.path().join(file)).unwrap();
            }
            Self { directory, swaps: 0 }
        }

        fn swap(&mut self, [certificate, key, authority]: [&str; 3]) {
            self.swaps += 1;
            let (path, new) = (self.directory.path(), format!("..{}", self.swaps));
            fs::create_dir(path.join(&new)).unwrap();
            for (file, text) in [("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority)] {
                fs::write(path.join(&new).join(file), text).unwrap();
            }
            symlink(&new, path.join("..data_tmp")).unwrap();
            fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
        }
    }

    struct Scene {
        world: World,
        mount: Mount,
        seconds: Arc<AtomicI64>,
        files: Files,
    }

    impl Scene {
        fn new() -> Self {
            let (world, mount) = (World::new(), Mount::new());
            let (seconds, origin) = (Arc::new(AtomicI64::new(0)), Instant::now());
            let (wall, steady) = (seconds.clone(), seconds.clone());
            let clock = Clock::new(
                move || begin() + SignedDuration::from_secs(wall.load(Ordering::SeqCst)),
                move || origin + Duration::from_secs(steady.load(Ordering::SeqCst).unsigned_abs()),
            );
            let files = Files {
                directory: mount.directory.path().to_owned(),
                name: CALLED.into(),
                configurations: Configurations::new(&world.client(), CONFIGURATION),
                settings: crate::world::settings(),
                clock,
                certificates: Certificates::default(),
                state: State::new(),
            };
            Self { world, mount, seconds, files }
        }

        async fn pass_after(&mut self, seconds: i64) -> Result<(), Error> {
            self.seconds.fetch_add(seconds, Ordering::SeqCst);
            self.files.pass().await
        }

        /// The certificate that is served.
        fn served(&self) -> Option<Vec<u8>> {
            Some(self.files.certificates.serving()?.key().cert[0].to_vec())
        }

        /// Asserts that the files are refused for this, and that what was served before is served still.
        async fn keeps(&mut self, files: [&str; 3], expected: fn(&PairError) -> bool) {
            let before = self.served();
            self.mount.swap(files);
            let error = self.pass_after(10).await.unwrap_err();
            let Error::Files { source, .. } = &error else { panic!("{error}") };
            assert!(expected(source), "{source}");
            assert_eq!(self.served(), before);
        }
    }

    fn begin() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn authority() -> Authority {
        Authority::generate(begin(), DAY * 30).unwrap()
    }

    /// Certificate and key for a name, from this date on.
    fn leaf(authority: &Authority, name: &str, from: Timestamp) -> [String; 2] {
        let (certificate, key) = authority.sign(&[name.to_owned()], from, from + DAY).unwrap();
        [certificate.pem(), key.serialize_pem()]
    }

    #[tokio::test]
    async fn a_swapped_pair_of_the_same_authority_is_served_at_once() {
        let (mut scene, authority) = (Scene::new(), authority());
        for _ in 0..3 {
            let [certificate, key] = leaf(&authority, CALLED, begin());
            let before = scene.served();
            scene.mount.swap([&certificate, &key, authority.certificate()]);
            scene.pass_after(10).await.unwrap();
            assert_ne!(scene.served(), before);
        }
        let status = scene.files.certificates.status();
        assert_eq!(status.serving_until, Some(begin() + DAY));
        assert_eq!(status.authority_until, Some(authority.not_after()));
    }

    #[tokio::test]
    async fn a_pair_of_a_new_authority_waits_until_api_servers_know_it_and_the_old_one_stays_trusted() {
        let (mut scene, old, new) = (Scene::new(), authority(), authority());
        let [certificate, key] = leaf(&old, CALLED, begin());
        scene.mount.swap([&certificate, &key, old.certificate()]);
        scene.pass_after(0).await.unwrap();
        let before = scene.served();

        let [certificate, key] = leaf(&new, CALLED, begin());
        scene.mount.swap([&certificate, &key, new.certificate()]);
        scene.pass_after(10).await.unwrap();
        let both = Bundle::from_iter([old.der().clone(), new.der().clone()]);
        assert_eq!(scene.world.trusted(), [both.clone(), both.clone()]);
        scene.pass_after(10).await.unwrap();
        scene.pass_after(9 * MINUTE).await.unwrap();
        assert_eq!(scene.served(), before);
        scene.pass_after(MINUTE).await.unwrap();
        assert_ne!(scene.served(), before);
        assert_eq!(scene.world.trusted(), [both.clone(), both]);
    }

    #[tokio::test]
    async fn replicas_that_see_different_files_do_not_fight_over_the_bundle() {
        let (mut one, old, new) = (Scene::new(), authority(), authority());
        let mut other = Scene::new();
        other.files.configurations = one.files.configurations.clone();
        for (scene, authority) in [(&mut one, &old), (&mut other, &new)] {
            let [certificate, key] = leaf(authority, CALLED, begin());
            scene.mount.swap([&certificate, &key, authority.certificate()]);
            scene.pass_after(0).await.unwrap();
        }
        let both = one.world.trusted();
        assert_eq!(both[0].len(), 2);
        one.pass_after(10).await.unwrap();
        assert_eq!(one.world.trusted(), both);
    }

    #[tokio::test]
    async fn an_authority_leaves_the_bundle_when_it_has_expired() {
        let (mut scene, short) = (Scene::new(), Authority::generate(begin(), DAY).unwrap());
        let long = authority();
        let [certificate, key] = leaf(&long, CALLED, begin());
        let both = [short.certificate(), long.certificate()].concat();
        scene.mount.swap([&certificate, &key, &both]);
        scene.pass_after(0).await.unwrap();
        assert_eq!(scene.world.trusted()[0].len(), 2);
        let [certificate, key] = leaf(&long, CALLED, begin() + DAY);
        scene.mount.swap([&certificate, &key, &both]);
        scene.pass_after(DAY.as_secs()).await.unwrap();
        assert_eq!(scene.world.trusted()[0], Bundle::from_iter([long.der().clone()]));
    }

    #[tokio::test]
    async fn what_api_servers_would_refuse_is_refused_and_the_last_good_pair_stays() {
        let (mut scene, authority, other) = (Scene::new(), authority(), authority());
        let ca = authority.certificate();
        let [certificate, key] = leaf(&authority, CALLED, begin());
        let [_, other_key] = leaf(&authority, CALLED, begin());
        let [expired, expired_key] = leaf(&authority, CALLED, begin() - DAY * 2);
        let [early, early_key] = leaf(&authority, CALLED, begin() + DAY);
        let [elsewhere, elsewhere_key] = leaf(&authority, "elsewhere.svc", begin());

        // Without anything good before, nothing is served.
        scene.keeps([&certificate, &other_key, ca], |error| matches!(error, PairError::Mismatch)).await;
        assert!(!scene.files.certificates.is_serving());
        scene.mount.swap([&certificate, &key, ca]);
        scene.pass_after(10).await.unwrap();
        assert!(scene.files.certificates.is_serving());

        scene.keeps([&certificate, &other_key, ca], |error| matches!(error, PairError::Mismatch)).await;
        let half = &certificate[..certificate.len() / 2];
        scene.keeps([half, &key, ca], |error| matches!(error, PairError::Certificate(_))).await;
        scene.keeps(["", &key, ca], |error| matches!(error, PairError::Certificate(_))).await;
        let half = &key[..key.len() / 2];
        scene.keeps([&certificate, half, ca], |error| matches!(error, PairError::KeyPem(_))).await;
        scene.keeps([&expired, &expired_key, ca], |error| matches!(error, PairError::Expired(_))).await;
        scene.keeps([&early, &early_key, ca], |error| matches!(error, PairError::NotYetValid(_))).await;
        scene.keeps([&elsewhere, &elsewhere_key, ca], |error| matches!(error, PairError::Name(_))).await;
        scene.keeps([&certificate, &key, "x"], |error| matches!(error, PairError::NoAuthority)).await;
        let foreign = other.certificate();
        scene.keeps([&certificate, &key, foreign], |error| matches!(error, PairError::Untrusted)).await;
    }

    #[tokio::test]
    async fn a_mount_without_files_is_told_and_waited_for() {
        let mut scene = Scene::new();
        let error = scene.pass_after(0).await.unwrap_err();
        assert!(pgops_api::display_chain(&error).contains("failed to read tls.crt"), "{error}");
        assert!(error.is_transient());
    }
}
