//! The request under review, as the API server sends it.

use std::borrow::Cow;

use kube::core::admission::Operation;
use serde::Deserialize;

use super::bounds::MAX_IDENTIFIER;
use super::object::Object;

/// The request under review. Of its objects only the parts that a rule needs are parsed: parsing is most of
/// the work of a review.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionRequest<'a> {
    /// Identifies the review; the response repeats it.
    #[serde(borrow)]
    pub uid: Cow<'a, str>,
    /// Group and kind of the object.
    #[serde(borrow)]
    pub kind: GroupKind<'a>,
    /// The operation on the object.
    pub operation: Operation,
    /// The object's name; empty if the API server will generate it.
    #[serde(borrow, default)]
    pub name: Cow<'a, str>,
    /// The object's namespace, if it has one.
    pub namespace: Option<String>,
    /// The subresource that is written, if it is not the object itself.
    pub sub_resource: Option<String>,
    /// The user who sent the request.
    #[serde(default)]
    pub user_info: UserInfo,
    /// How the object is written.
    #[serde(borrow, default)]
    pub options: Option<WriteOptions<'a>>,
    /// Whether nothing will be stored.
    #[serde(default)]
    pub dry_run: bool,
    /// The new object; none for a deletion.
    #[serde(borrow)]
    pub object: Option<Object<'a>>,
    /// The stored object; none for a creation.
    #[serde(borrow)]
    pub old_object: Option<Object<'a>>,
}

/// Group and kind of an object.
#[derive(Debug, Deserialize)]
pub struct GroupKind<'a> {
    /// The API group.
    #[serde(borrow)]
    pub group: Cow<'a, str>,
    /// The kind.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
}

/// How an object is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WriteOptions<'a> {
    /// The program that writes it, as it calls itself.
    #[serde(borrow)]
    pub field_manager: Option<Cow<'a, str>>,
    /// Of a deletion: what becomes of the objects that the object owns.
    #[serde(borrow)]
    pub propagation_policy: Option<Cow<'a, str>>,
    /// The deprecated form of `propagation_policy`.
    pub orphan_dependents: Option<bool>,
}

impl WriteOptions<'_> {
    /// Whether what the object owns is to stay without an owner.
    pub fn orphans(&self) -> bool {
        self.propagation_policy.as_deref() == Some("Orphan") || self.orphan_dependents == Some(true)
    }
}

/// Programs that apply the whole of a commit or a chart: Argo CD, Flux and Helm.
const GITOPS_TOOLS: [&str; 6] = [
    "argocd-application-controller",
    "argocd-controller",
    "flux",
    "helm",
    "helm-controller",
    "kustomize-controller",
];

/// A kind that has rules.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReviewedKind {
    /// `PostgresOpsRequest`.
    OpsRequest,
    /// `Postgres`.
    Postgres,
    /// `PostgresVersion`.
    PostgresVersion,
    /// `Namespace`.
    Namespace,
    /// `PersistentVolumeClaim`.
    VolumeClaim,
}

/// The user who sent the request.
#[derive(Debug, Default, Deserialize)]
pub struct UserInfo {
    /// The name under which the user is authenticated.
    #[serde(default)]
    pub username: String,
}

impl AdmissionRequest<'_> {
    /// Whether a subresource is written, such as the status.
    pub fn is_for_subresource(&self) -> bool {
        self.sub_resource.as_deref().is_some_and(|name| !name.is_empty())
    }

    /// The field of an identifier that is longer than any that an API server sends.
    pub fn oversized_identifier(&self) -> Option<&'static str> {
        let [object, old_object] = [&self.object, &self.old_object]
            .map(|object| object.as_ref().map_or(0, |object| object.metadata.longest_identifier()));
        let lengths = [
            ("uid", self.uid.len()),
            ("kind", self.kind.kind.len().max(self.kind.group.len())),
            ("name", self.name.len()),
            ("namespace", self.namespace.as_ref().map_or(0, String::len)),
            ("userInfo.username", self.user_info.username.len()),
            ("object.metadata", object),
            ("oldObject.metadata", old_object),
        ];
        lengths.into_iter().find(|(_, length)| *length > MAX_IDENTIFIER).map(|(field, _)| field)
    }

    /// The stored object, if its deletion is requested for the first time.
    pub fn deleted(&self) -> Option<&Object<'_>> {
        let is_delete = self.operation == Operation::Delete;
        self.old_object.as_ref().filter(|old| is_delete && !old.is_being_deleted())
    }

    /// Whether a tool applies the object that applies others with it. Any client can say so: it decides nothing but
    /// whether the user gets an error or a warning.
    pub fn is_from_gitops_tool(&self) -> bool {
        let manager = self.options.as_ref().and_then(|options| options.field_manager.as_deref());
        manager.is_some_and(|manager| GITOPS_TOOLS.contains(&manager))
    }

    /// Whether the object is new.
    pub fn is_create(&self) -> bool {
        self.operation == Operation::Create
    }
}

impl GroupKind<'_> {
    /// The kind, if it has rules.
    pub fn reviewed(&self) -> Option<ReviewedKind> {
        match (&*self.group, &*self.kind) {
            ("ops.kubedb.com", "PostgresOpsRequest") => Some(ReviewedKind::OpsRequest),
            ("kubedb.com", "Postgres") => Some(ReviewedKind::Postgres),
            ("catalog.kubedb.com", "PostgresVersion") => Some(ReviewedKind::PostgresVersion),
            ("", "Namespace") => Some(ReviewedKind::Namespace),
            ("", "PersistentVolumeClaim") => Some(ReviewedKind::VolumeClaim),
            _ => None,
        }
    }
}
