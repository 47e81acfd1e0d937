//! What the tests of several modules share.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use pgops_testing::ManualClock;
use pgops_testing::fake_api_server::FakeApiServer;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::names::Names;
use crate::pki::{Authority, Bundle};
use crate::settings::Settings;
use crate::sources::{Context, SelfSigned};
use crate::store::{Configurations, SecretStore};

pub(crate) const NAMESPACE: &str = "pgops-system";
pub(crate) const SECRET: &str = "pgops-webhook-ca";
pub(crate) const SERVER_NAME: &str = "pgops-webhook.pgops-system.svc";
const CONFIGURATION: &str = "pgops-webhook";

/// Short lives, so that a short simulation covers many generations.
pub(crate) fn settings() -> Settings {
    Settings::new(Duration::from_hours(24), Duration::from_hours(3), Duration::from_mins(10)).unwrap()
}

pub(crate) fn names() -> Names {
    Names {
        namespace: NAMESPACE.into(),
        service: "pgops-webhook".into(),
        configuration: CONFIGURATION.into(),
    }
}

/// When the clocks of tests begin.
pub(crate) fn begin() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

pub(crate) const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A CA of one year, from when the clocks begin.
pub(crate) fn authority() -> Authority {
    Authority::generate(begin(), DAY * 365).unwrap()
}

/// The clocks of a machine whose date is right.
pub(crate) fn clock(time: &ManualClock) -> Clock {
    let wall = time.clone();
    let monotonic = time.clone();
    Clock::new(move || wall.wall(), move || monotonic.monotonic())
}

/// An API server with the empty Secret and both webhook configurations, as the chart creates them.
pub(crate) fn api_server() -> FakeApiServer {
    let api = FakeApiServer::new(NAMESPACE);
    let mut secret = Secret::default();
    secret.metadata.name = Some(SECRET.to_owned());
    api.put(&secret);
    api.put(&configuration::<ValidatingWebhookConfiguration>(&["a", "b"]));
    api.put(&configuration::<MutatingWebhookConfiguration>(&["c"]));
    api
}

fn configuration<K: DeserializeOwned>(hooks: &[&str]) -> K {
    let hook = |name: &&str| json!({ "name": name, "clientConfig": {}, "sideEffects": "None", "admissionReviewVersions": [] });
    let hooks: Vec<_> = hooks.iter().map(hook).collect();
    let value = json!({ "metadata": { "name": CONFIGURATION }, "webhooks": hooks });
    serde_json::from_value(value).unwrap()
}

pub(crate) fn secret(api: &FakeApiServer) -> Secret {
    api.get(SECRET).unwrap()
}

/// Changes the Secret as another client does.
pub(crate) fn change_secret(api: &FakeApiServer, change: impl FnOnce(&mut Secret)) {
    let mut secret = secret(api);
    change(&mut secret);
    api.put(&secret);
}

pub(crate) fn secret_store(api: &FakeApiServer) -> SecretStore {
    SecretStore { secrets: Api::default_namespaced(api.client()), name: SECRET.into() }
}

pub(crate) fn context(client: &Client, clock: Clock, settings: Settings) -> Context {
    Context {
        configurations: Configurations::new(client, CONFIGURATION),
        settings,
        clock,
        certificates: Certificates::default(),
    }
}

/// A new replica with the self-signed source.
pub(crate) fn self_signed(client: &Client, clock: Clock, settings: Settings) -> SelfSigned {
    let store = SecretStore { secrets: Api::namespaced(client.clone(), NAMESPACE), name: SECRET.into() };
    SelfSigned::new(store, names().dns_names(), context(client, clock, settings))
}

/// The CAs that the webhooks of the validating and of the mutating configuration trust. All webhooks of one
/// configuration trust the same.
pub(crate) fn trusted(api: &FakeApiServer) -> [Bundle; 2] {
    let validating: ValidatingWebhookConfiguration = api.get(CONFIGURATION).unwrap();
    let mutating: MutatingWebhookConfiguration = api.get(CONFIGURATION).unwrap();
    let validating = validating.webhooks.into_iter().flatten().map(|hook| hook.client_config.ca_bundle);
    let mutating = mutating.webhooks.into_iter().flatten().map(|hook| hook.client_config.ca_bundle);
    [validating.collect(), mutating.collect()].map(|bundles: Vec<_>| {
        let differs = bundles.windows(2).any(|pair| pair[0] != pair[1]);
        assert!(!differs, "webhooks of one configuration differ");
        bundles[0].as_ref().map(|bundle| Bundle::read(&bundle.0)).unwrap_or_default()
    })
}
