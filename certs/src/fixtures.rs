//! What the tests of several modules share.

use std::time::Duration;

use kube::{Api, Client};

use crate::certificates::Certificates;
use crate::clock::Clock;
use crate::fake_api_server::{CONFIGURATION, FakeApiServer, SECRET};
use crate::names::Names;
use crate::pki::Bundle;
use crate::settings::Settings;
use crate::sources::{Context, SelfSigned};
use crate::store::{Configurations, SecretStore};

pub(crate) const SERVER_NAME: &str = "pgops-webhook.pgops-system.svc";

/// Short lives, so that a short simulation covers many generations.
pub(crate) fn settings() -> Settings {
    Settings::new(Duration::from_hours(24), Duration::from_hours(3), Duration::from_mins(10)).unwrap()
}

pub(crate) fn names() -> Names {
    Names {
        namespace: "pgops-system".into(),
        service: "pgops-webhook".into(),
        configuration: CONFIGURATION.into(),
    }
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
    let store = SecretStore { secrets: Api::namespaced(client.clone(), "pgops-system"), name: SECRET.into() };
    SelfSigned::new(store, names().dns_names(), context(client, clock, settings))
}

/// The CAs that the webhooks of the validating and of the mutating configuration trust.
pub(crate) fn trusted(api: &FakeApiServer) -> [Bundle; 2] {
    api.ca_bundles().map(|pem| Bundle::read(&pem))
}
