//! A stand-in for cert-manager in one namespace, as its documentation describes it: it issues a certificate for each
//! Certificate, writes it into the Secret, and reports the condition Ready. It has one authority and asks no issuer.

use std::time::Duration;

use anyhow::Context;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::wait::{Condition, conditions};
use kube::{Client, ResourceExt};
use pgops_e2e::{Cluster, Namespace, wait_for};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const CRD: &str = "certificates.cert-manager.io";
/// Label of the definition that this test has created: it removes no other one.
const LABEL: &str = "pgops.dev/test";
/// Interval between two looks at the Certificates.
const INTERVAL: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_mins(1);

/// An authority whose certificate clients trust.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: String,
}

/// A certificate with its key, in PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// Issues what the spec of a Certificate requests.
    pub fn issue(&self, spec: &Value) -> anyhow::Result<Issued> {
        let key = KeyPair::generate()?;
        let names = spec["dnsNames"].as_array().into_iter().flatten();
        let names: Vec<_> = names.filter_map(Value::as_str).map(ToOwned::to_owned).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        if let Some(name) = spec["commonName"].as_str() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        for usage in spec["usages"].as_array().into_iter().flatten() {
            match usage.as_str() {
                Some("server auth") => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth),
                Some("client auth") => params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth),
                _ => {}
            }
        }
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The Secret with a certificate, as cert-manager writes it.
    pub fn secret(&self, name: &str, issued: &Issued) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": issued.certificate, "tls.key": issued.key, "ca.crt": self.certificate},
        })
    }
}

/// Writes a Secret, whatever it had before.
pub async fn write(ns: &Namespace, secret: &Value) -> anyhow::Result<()> {
    let name = secret["metadata"]["name"].as_str().context("the Secret has no name")?;
    let params = PatchParams::apply("cert-manager-stand-in").force();
    ns.api::<Secret>().patch(name, &params, &Patch::Apply(secret)).await?;
    Ok(())
}

fn definitions(cluster: &Cluster) -> Api<CustomResourceDefinition> {
    Api::all(cluster.client.clone())
}

/// Removes the definition of an earlier run; returns whether the cluster has none now.
pub async fn uninstall(cluster: &Cluster) -> anyhow::Result<bool> {
    let api = definitions(cluster);
    let Some(found) = api.get_opt(CRD).await? else { return Ok(true) };
    if !found.labels().contains_key(LABEL) {
        return Ok(false);
    }
    let uid = found.uid().context("the definition has no uid")?;
    api.delete(CRD, &DeleteParams::default()).await?;
    let deleted = conditions::is_deleted::<CustomResourceDefinition>(&uid);
    wait_for(&api, CRD, "the deletion", TIMEOUT, |found| deleted.matches_object(found)).await?;
    Ok(true)
}

/// Issues certificates until it is dropped.
pub struct CertManager {
    ns: Namespace,
    task: JoinHandle<()>,
    authority: std::sync::Arc<Authority>,
}

impl CertManager {
    /// Installs the definition of the kind, unless the cluster has it, and issues what is requested in the namespace.
    pub async fn start(ns: &Namespace) -> anyhow::Result<Self> {
        let api = definitions(ns.cluster());
        if api.get_opt(CRD).await?.is_none() {
            api.patch(CRD, &PatchParams::apply("cert-manager-stand-in"), &Patch::Apply(definition())).await?;
        }
        let established = conditions::is_crd_established();
        wait_for(&api, CRD, "being served", TIMEOUT, |found| established.matches_object(found)).await?;
        let authority = std::sync::Arc::new(Authority::new()?);
        let (task_ns, task_authority) = (ns.clone(), authority.clone());
        let task = tokio::spawn(async move {
            loop {
                // A Certificate that was changed meanwhile is issued by the next round.
                if let Err(error) = issue_all(&task_ns, &task_authority).await {
                    eprintln!("the stand-in for cert-manager: {error:#}");
                }
                tokio::time::sleep(INTERVAL).await;
            }
        });
        Ok(Self { ns: ns.clone(), task, authority })
    }

    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Issues a Certificate again, with another key.
    pub async fn renew(&self, name: &str) -> anyhow::Result<Issued> {
        let certificate = certificates(&self.ns).get(name).await?;
        let spec = &certificate.data["spec"];
        let issued = self.authority.issue(spec)?;
        let secret = spec["secretName"].as_str().context("the Certificate names no Secret")?;
        write(&self.ns, &self.authority.secret(secret, &issued)).await?;
        Ok(issued)
    }
}

impl Drop for CertManager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn certificates(ns: &Namespace) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("cert-manager.io", "v1", "Certificate"));
    let client: Client = ns.cluster().client.clone();
    Api::namespaced_with(client, ns.name(), &kind)
}

async fn issue_all(ns: &Namespace, authority: &Authority) -> anyhow::Result<()> {
    for certificate in certificates(ns).list(&ListParams::default()).await? {
        let spec = &certificate.data["spec"];
        let secret = spec["secretName"].as_str().context("a Certificate names no Secret")?;
        if ns.api::<Secret>().get_opt(secret).await?.is_none() {
            write(ns, &authority.secret(secret, &authority.issue(spec)?)).await?;
        }
        if certificate.data["status"].is_null() {
            let ready = json!({"status": {"conditions": [{
                "type": "Ready", "status": "True", "reason": "Ready", "message": "Certificate is up to date and has not expired",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]}});
            let params = PatchParams::default();
            certificates(ns).patch_status(&certificate.name_any(), &params, &Patch::Merge(ready)).await?;
        }
    }
    Ok(())
}

/// The documented fields that are used.
fn definition() -> Value {
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": text});
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let issuer = json!({
        "type": "object", "required": ["name"], "properties": {"group": text, "kind": text, "name": text},
    });
    let spec = json!({
        "type": "object",
        "required": ["issuerRef", "secretName"],
        "properties": {
            "secretName": text, "issuerRef": issuer, "commonName": text, "subject": open, "duration": text,
            "renewBefore": text, "dnsNames": texts, "ipAddresses": texts, "uris": texts, "emailAddresses": texts,
            "privateKey": open, "usages": texts,
        },
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD, "labels": {LABEL: "true"}},
        "spec": {
            "group": "cert-manager.io",
            "scope": "Namespaced",
            "names": {"kind": "Certificate", "listKind": "CertificateList", "plural": "certificates", "singular": "certificate"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": open}}},
            }],
        },
    })
}
