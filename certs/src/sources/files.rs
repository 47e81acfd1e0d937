//! Certificates from files: a mounted Secret that cert-manager or an operator maintains.

use std::path::PathBuf;

use futures::stream::{BoxStream, StreamExt};
use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use crate::clock::VisibleSince;
use crate::error::Error;
use crate::pki::{Bundle, Pair};

/// One replica that serves with the certificate in a directory.
pub(crate) struct Files {
    directory: PathBuf,
    /// The DNS name with which API servers call.
    server_name: String,
    context: Context,
    /// The last pair that passed the checks.
    valid: Option<Pair>,
    /// The pair that is served.
    served: Option<Pair>,
    /// The CAs of the valid pair, as every configuration holds them.
    visible: VisibleSince<Bundle>,
}

impl Files {
    pub(crate) fn new(directory: PathBuf, server_name: String, context: Context) -> Self {
        Self { directory, server_name, context, valid: None, served: None, visible: VisibleSince::new() }
    }

    /// An item whenever a webhook configuration may have changed.
    pub(crate) fn changes(&self) -> BoxStream<'static, ()> {
        self.context.configurations.changes().boxed()
    }

    /// Reads the contents of the files, which the kubelet replaces by swapping a symlink, and brings
    /// configurations and serving certificate one step closer to them.
    ///
    /// The bundle that is written holds the CAs in `ca.crt` and those that the configurations already trust,
    /// until they expire. So replicas that see different files never undo each other's writes, and a CA is
    /// trusted as long as a replica may serve with its certificate.
    pub(crate) async fn reconcile(&mut self) -> Result<(), Error> {
        let now = self.context.clock.wall();
        let read = match Pair::read(&self.directory, &self.server_name, now) {
            Ok(pair) => {
                self.valid = Some(pair);
                Ok(())
            }
            Err(source) => Err(Error::Files { directory: self.directory.clone(), source }),
        };
        let Some(pair) = self.valid.clone() else { return read };
        let trust = pair.trust.valid(now);
        let observed = self.context.configurations.read(&self.context.clock).await;
        let visible = match &observed {
            Ok(observed) => self.visible.observe(trust.clone(), observed.all_trust(&trust), observed.at),
            Err(_) => SignedDuration::ZERO,
        };
        if self.may_serve(&trust, visible, now) {
            self.serve(pair);
        }
        let observed = observed?;
        let bundle = trust.union(&observed.trusted_by_any(now));
        self.context.configurations.write(&observed, &bundle).await?;
        read?;
        Ok(self.context.configurations.require_both(&observed)?)
    }

    /// API servers must trust a new CA before a certificate of it is served, unless there is nothing to lose.
    fn may_serve(&self, trust: &Bundle, visible: SignedDuration, now: Timestamp) -> bool {
        self.served.as_ref().is_none_or(|served| {
            visible >= self.context.settings.overlap
                || served.trust.contains_all(trust)
                || served.serving.not_after() <= now
        })
    }

    fn serve(&mut self, pair: Pair) {
        if self.served.as_ref().is_some_and(|served| served.is_same(&pair)) {
            return;
        }
        tracing::info!(
            directory = %self.directory.display(),
            serving_until = %pair.serving.not_after(),
            "loaded a serving certificate from files"
        );
        self.context.certificates.serve(pair.serving.clone(), pair.trust.not_after());
        self.served = Some(pair);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{DAY, SERVER_NAME, api_server, begin, clock, context, settings, trusted};
    use crate::pki::{Authority, PairError};
    use pgops_testing::ManualClock;
    use pgops_testing::fake_api_server::FakeApiServer;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    const MINUTE: i64 = 60;

    /// A Secret as the kubelet mounts it: the files are links into a directory that is swapped as a whole.
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
            let path = self.directory.path();
            let new = format!("..{}", self.swaps);
            fs::create_dir(path.join(&new)).unwrap();
            for (file, text) in [("tls.crt", certificate), ("tls.key", key), ("ca.crt", authority)] {
                fs::write(path.join(&new).join(file), text).unwrap();
            }
            symlink(&new, path.join("..data_tmp")).unwrap();
            fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
        }
    }

    struct Scene {
        api: FakeApiServer,
        mount: Mount,
        time: ManualClock,
        files: Files,
    }

    impl Scene {
        fn new() -> Self {
            let api = api_server();
            let mount = Mount::new();
            let time = ManualClock::new(begin());
            let context = context(&api.client(), clock(&time), settings());
            let files = Files::new(mount.directory.path().to_owned(), SERVER_NAME.into(), context);
            Self { api, mount, time, files }
        }

        async fn reconcile_after(&mut self, seconds: i64) -> Result<(), Error> {
            self.time.advance(seconds);
            self.files.reconcile().await
        }

        /// The served certificate.
        fn served(&self) -> Option<Vec<u8>> {
            Some(self.files.context.certificates.serving()?.key().cert[0].to_vec())
        }

        /// Asserts that the files are rejected with this error, and that the previous certificate stays.
        async fn assert_rejected(&mut self, files: [&str; 3], expected: fn(&PairError) -> bool) {
            let before = self.served();
            self.mount.swap(files);
            let error = self.reconcile_after(10).await.unwrap_err();
            let Error::Files { source, .. } = &error else { panic!("{error}") };
            assert!(expected(source), "{source}");
            assert_eq!(self.served(), before);
        }
    }

    fn authority() -> Authority {
        Authority::generate(begin(), DAY * 30).unwrap()
    }

    /// Certificate and key for a name, valid from this date.
    fn leaf(authority: &Authority, name: &str, from: Timestamp) -> [String; 2] {
        let (certificate, key) = authority.sign(&[name.to_owned()], from, from + DAY).unwrap();
        [certificate.pem(), key.serialize_pem()]
    }

    #[tokio::test]
    async fn pair_of_the_same_ca_is_served_at_once() {
        let mut scene = Scene::new();
        let authority = authority();
        for _ in 0..3 {
            let [certificate, key] = leaf(&authority, SERVER_NAME, begin());
            let before = scene.served();
            scene.mount.swap([&certificate, &key, authority.certificate()]);
            scene.reconcile_after(10).await.unwrap();
            assert_ne!(scene.served(), before);
        }
        let status = scene.files.context.certificates.status();
        assert_eq!(status.serving_until, Some(begin() + DAY));
        assert_eq!(status.authority_until, Some(authority.not_after()));
    }

    #[tokio::test]
    async fn pair_of_a_new_ca_is_served_after_the_overlap() {
        let mut scene = Scene::new();
        let old = authority();
        let new = authority();
        let [certificate, key] = leaf(&old, SERVER_NAME, begin());
        scene.mount.swap([&certificate, &key, old.certificate()]);
        scene.reconcile_after(0).await.unwrap();
        let before = scene.served();

        let [certificate, key] = leaf(&new, SERVER_NAME, begin());
        scene.mount.swap([&certificate, &key, new.certificate()]);
        scene.reconcile_after(10).await.unwrap();
        let both = Bundle::from_iter([old.der().clone(), new.der().clone()]);
        assert_eq!(trusted(&scene.api), [both.clone(), both.clone()]);
        scene.reconcile_after(10).await.unwrap();
        scene.reconcile_after(9 * MINUTE).await.unwrap();
        assert_eq!(scene.served(), before);
        scene.reconcile_after(MINUTE).await.unwrap();
        assert_ne!(scene.served(), before);
        assert_eq!(trusted(&scene.api), [both.clone(), both]);
    }

    #[tokio::test]
    async fn replicas_with_different_files_do_not_undo_each_others_bundle() {
        let old = authority();
        let new = authority();
        let mut one = Scene::new();
        let mut other = Scene::new();
        other.files.context.configurations = one.files.context.configurations.clone();
        for (scene, authority) in [(&mut one, &old), (&mut other, &new)] {
            let [certificate, key] = leaf(authority, SERVER_NAME, begin());
            scene.mount.swap([&certificate, &key, authority.certificate()]);
            scene.reconcile_after(0).await.unwrap();
        }
        let both = trusted(&one.api);
        assert_eq!(both[0].len(), 2);
        one.reconcile_after(10).await.unwrap();
        assert_eq!(trusted(&one.api), both);
    }

    #[tokio::test]
    async fn expired_ca_leaves_the_bundle() {
        let mut scene = Scene::new();
        let short = Authority::generate(begin(), DAY).unwrap();
        let long = authority();
        let [certificate, key] = leaf(&long, SERVER_NAME, begin());
        let both = [short.certificate(), long.certificate()].concat();
        scene.mount.swap([&certificate, &key, &both]);
        scene.reconcile_after(0).await.unwrap();
        assert_eq!(trusted(&scene.api)[0].len(), 2);
        let [certificate, key] = leaf(&long, SERVER_NAME, begin() + DAY);
        scene.mount.swap([&certificate, &key, &both]);
        scene.reconcile_after(DAY.as_secs()).await.unwrap();
        assert_eq!(trusted(&scene.api)[0], Bundle::from_iter([long.der().clone()]));
    }

    #[tokio::test]
    async fn invalid_pair_is_rejected_and_the_last_valid_one_stays() {
        let mut scene = Scene::new();
        let other = authority();
        let authority = authority();
        let ca = authority.certificate();
        let [certificate, key] = leaf(&authority, SERVER_NAME, begin());
        let [_, other_key] = leaf(&authority, SERVER_NAME, begin());
        let [expired, expired_key] = leaf(&authority, SERVER_NAME, begin() - DAY * 2);
        let [early, early_key] = leaf(&authority, SERVER_NAME, begin() + DAY);
        let [elsewhere, elsewhere_key] = leaf(&authority, "elsewhere.svc", begin());

        // Without an earlier valid pair nothing is served.
        scene
            .assert_rejected([&certificate, &other_key, ca], |error| matches!(error, PairError::Mismatch))
            .await;
        assert!(!scene.files.context.certificates.is_serving());
        scene.mount.swap([&certificate, &key, ca]);
        scene.reconcile_after(10).await.unwrap();
        assert!(scene.files.context.certificates.is_serving());

        scene
            .assert_rejected([&certificate, &other_key, ca], |error| matches!(error, PairError::Mismatch))
            .await;
        let half = &certificate[..certificate.len() / 2];
        scene.assert_rejected([half, &key, ca], |error| matches!(error, PairError::Certificate(_))).await;
        scene.assert_rejected(["", &key, ca], |error| matches!(error, PairError::Certificate(_))).await;
        let half = &key[..key.len() / 2];
        scene.assert_rejected([&certificate, half, ca], |error| matches!(error, PairError::KeyPem(_))).await;
        scene
            .assert_rejected([&expired, &expired_key, ca], |error| matches!(error, PairError::Expired(_)))
            .await;
        scene
            .assert_rejected([&early, &early_key, ca], |error| matches!(error, PairError::NotYetValid(_)))
            .await;
        scene
            .assert_rejected([&elsewhere, &elsewhere_key, ca], |error| matches!(error, PairError::Name(_)))
            .await;
        scene
            .assert_rejected([&certificate, &key, "x"], |error| matches!(error, PairError::NoAuthority))
            .await;
        let foreign = other.certificate();
        scene
            .assert_rejected([&certificate, &key, foreign], |error| matches!(error, PairError::Untrusted))
            .await;
    }

    #[tokio::test]
    async fn missing_files_are_reported_as_transient() {
        let mut scene = Scene::new();
        let error = scene.reconcile_after(0).await.unwrap_err();
        assert!(pgops_api::display_chain(&error).contains("failed to read tls.crt"), "{error}");
        assert!(error.is_transient());
    }
}
