//! Why a request is not passed on.

use crate::record::PATCH_TYPE;

/// Why a request is not passed on. Texts of the client are quoted, and bounded where they are shown.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The path is of none of the database's objects, or has parts that none of them has.
    #[error("the path is none of an object of this database that Patroni uses")]
    Path,
    /// The path is right, and the method is not.
    #[error("Patroni does not use the method {0} on this path")]
    Method(String),
    /// The query has a parameter that Patroni does not send, has one twice, or lacks one.
    #[error("the parameter {0:?} of the query is unknown, repeated, missing or not valid")]
    Query(String),
    /// A list or watch of other objects, or of all.
    #[error("the label selector must be exactly {0:?}")]
    Selector(String),
    /// A patch of another kind, which could do more.
    #[error("the content type of a patch must be {PATCH_TYPE}")]
    ContentType,
    /// A request that has no body in Patroni has one.
    #[error("a request to read must not have a body")]
    UnexpectedBody,
    /// More than any patch of Patroni can have.
    #[error("the body is larger than {0} bytes")]
    BodySize(usize),
    /// The body is not JSON, or has a field other than those that Patroni writes.
    #[error("the patch is not one of Patroni's: only the labels and annotations of an object may be changed")]
    Fields(#[source] serde_json::Error),
    /// The patch names another object than the path.
    #[error("the name and the namespace in the patch must be those of the path")]
    Identity,
    /// A label that Patroni does not write, or a value that it does not have.
    #[error("the patch sets the label {0:?} to a value that Patroni does not write, or removes it")]
    Label(String),
    /// An annotation that Patroni does not write.
    #[error("Patroni does not write the annotation {0:?} of this object, or not this value")]
    Annotation(String),
}

impl Refusal {
    /// The kind of refusal, for the log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Method(_) => "method",
            Self::Query(_) => "query",
            Self::Selector(_) => "selector",
            Self::ContentType => "content-type",
            Self::UnexpectedBody => "unexpected-body",
            Self::BodySize(_) => "body-size",
            Self::Fields(_) => "fields",
            Self::Identity => "identity",
            Self::Label(_) => "label",
            Self::Annotation(_) => "annotation",
        }
    }
}
