//! The reviews, byte for byte as an API server sends them, and their expected responses.

use std::io::Write;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::client::{Connection, SERVER_NAME, Target};
use crate::cluster;

/// The constant part of each uid, and the placeholder for the rest.
const UID: &str = "8f3c1e2a-5b0d-4f7e-9a6c-";
const UID_REST: &str = "000000000000";

/// A review and its expected response.
pub struct Review {
    request: Vec<u8>,
    uid_at: usize,
    expected: Expected,
}

/// The expected response.
#[derive(Clone, Copy)]
enum Expected {
    Allowed,
    /// 403, with this text in the message.
    Denied(&'static str),
}

impl Review {
    /// An allowed major upgrade, as `kubectl apply` sends it, of exactly 4 KiB.
    pub fn typical() -> anyhow::Result<Self> {
        let object = cluster::applied_request(&cluster::database_name(7), cluster::NEXT_MAJOR);
        Self::of(&padded(object, 4 * 1024)?, Expected::Allowed)
    }

    /// A target that is not in the catalog, from a version with many allowed targets.
    pub fn unknown_target() -> anyhow::Result<Self> {
        let object = cluster::applied_request(&cluster::database_name(7), "16.77");
        Self::of(&object, Expected::Denied("Allowed targets for"))
    }

    /// From the oldest version to one outside its constraints: allowed targets and a path are searched.
    pub fn out_of_constraints() -> anyhow::Result<Self> {
        let object = cluster::applied_request(cluster::OLD_DATABASE, cluster::NEWEST);
        Self::of(&object, Expected::Denied("Allowed targets for"))
    }

    /// A new database of 1 MiB, with thousands of environment variables.
    pub fn large() -> anyhow::Result<Self> {
        let mut object = cluster::database(&cluster::database_name(9_999), cluster::CURRENT);
        if let Some(fields) = object.as_object_mut() {
            fields.remove("status");
        }
        object["metadata"]["managedFields"] = json!([]);
        let variable = |number: u32| json!({"name": format!("SETTING_{number:05}"), "value": "x".repeat(64)});
        object["spec"]["podTemplate"]["spec"]["containers"][0]["env"] = (0..9_600).map(variable).collect();
        Self::of(&padded(object, 1024 * 1024)?, Expected::Allowed)
    }

    fn of(object: &Value, expected: Expected) -> anyhow::Result<Self> {
        let body = create(object);
        let head = [
            "POST /validate?timeout=10s HTTP/1.1",
            &format!("Host: {SERVER_NAME}:443"),
            "User-Agent: kube-apiserver-admission",
            &format!("Content-Length: {}", body.len()),
            "Accept: application/json, */*",
            "Content-Type: application/json",
            "Accept-Encoding: gzip",
        ];
        let request = format!("{}\r\n\r\n{body}", head.join("\r\n"));
        let uid_at = request.find(UID).context("the review has no uid")? + UID.len();
        Ok(Self { request: request.into(), uid_at, expected })
    }

    /// The review for this server. Each connection has a number, and so uids of its own.
    pub fn prepare(&self, target: &Target, connection: u32) -> PreparedReview {
        PreparedReview {
            request: self.request.clone(),
            uid_at: self.uid_at,
            expected: self.expected,
            reads: target.reads,
            connection,
            next: 0,
            verified: None,
        }
    }
}

/// A review that is sent repeatedly, each time with another uid.
pub struct PreparedReview {
    request: Vec<u8>,
    uid_at: usize,
    expected: Expected,
    reads: bool,
    connection: u32,
    next: u32,
    verified: Option<VerifiedResponse>,
}

/// A response that was fully verified; all later ones must be equal except for the uid.
struct VerifiedResponse {
    body: Vec<u8>,
    uid_at: usize,
}

impl PreparedReview {
    /// Sends the review; fails unless the response is the expected one.
    pub fn send(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        if self.reads {
            self.next += 1;
            write!(&mut self.request[self.uid_at..], "{:04x}{:08x}", self.connection, self.next)?;
        }
        let uid = &self.request[self.uid_at..][..UID_REST.len()];
        let body = connection.send(&self.request)?;
        match &self.verified {
            Some(verified) => {
                ensure!(
                    verified.equals(body, uid),
                    "a different response: {}",
                    String::from_utf8_lossy(body)
                );
            }
            None => self.verified = Some(VerifiedResponse::verify(body, uid, self.expected, self.reads)?),
        }
        Ok(())
    }
}

impl VerifiedResponse {
    fn verify(body: &[u8], uid: &[u8], expected: Expected, reads: bool) -> anyhow::Result<Self> {
        let text = std::str::from_utf8(body)?;
        let uid = format!("{UID}{}", std::str::from_utf8(uid)?);
        let review: Value = serde_json::from_str(text)?;
        let response = &review["response"];
        let is_expected = match expected {
            Expected::Denied(words) if reads => {
                response["allowed"] == false
                    && response["status"]["code"] == 403
                    && response["status"]["message"].as_str().is_some_and(|message| message.contains(words))
            }
            _ => response["allowed"] == true,
        };
        ensure!(is_expected && response["uid"] == uid.as_str(), "unexpected response: {text}");
        let uid_at = text.find(&uid).context("the response has no uid")? + UID.len();
        Ok(Self { body: body.into(), uid_at })
    }

    fn equals(&self, body: &[u8], uid: &[u8]) -> bool {
        let end = self.uid_at + uid.len();
        body.len() == self.body.len()
            && body[..self.uid_at] == self.body[..self.uid_at]
            && body[self.uid_at..end] == *uid
            && body[end..] == self.body[end..]
    }
}

/// The review of a new object. Go serialises struct fields in the order of their declaration, and those of an
/// object sorted, like `serde_json`.
fn create(object: &Value) -> String {
    let (group, version) =
        object["apiVersion"].as_str().and_then(|it| it.split_once('/')).unwrap_or_default();
    let plural = if object["kind"] == "Postgres" { "postgreses" } else { "postgresopsrequests" };
    let kind = format!(r#"{{"group":"{group}","version":"{version}","kind":{}}}"#, object["kind"]);
    let resource = format!(r#"{{"group":"{group}","version":"{version}","resource":"{plural}"}}"#);
    let metadata = &object["metadata"];
    [
        r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"#,
        &format!(r#""uid":"{UID}{UID_REST}","kind":{kind},"resource":{resource},"#),
        &format!(r#""requestKind":{kind},"requestResource":{resource},"#),
        &format!(
            r#""name":{},"namespace":{},"operation":"CREATE","#,
            metadata["name"], metadata["namespace"]
        ),
        r#""userInfo":{"username":"oidc:ada@example.com","uid":"00u1a2b3c4","#,
        r#""groups":["oidc:database-admins","oidc:team-orders","system:authenticated"],"#,
        r#""extra":{"authentication.kubernetes.io/credential-id":"#,
        r#"["JTI=5f1d2f0e-3c55-4d20-9c3a-6d5f3a7f1b9e"]}},"#,
        &format!(r#""object":{object},"oldObject":null,"dryRun":false,"#),
        r#""options":{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1","#,
        r#""fieldManager":"kubectl-client-side-apply","fieldValidation":"Strict"}}}"#,
    ]
    .concat()
}

/// The object with an annotation that pads its review to the length.
fn padded(mut object: Value, length: usize) -> anyhow::Result<Value> {
    let mut note = |length: usize| {
        object["metadata"]["annotations"]["example.com/note"] = json!("-".repeat(length));
        create(&object).len()
    };
    let missing = length.checked_sub(note(0)).context("the review is already too long")?;
    note(missing);
    Ok(object)
}
