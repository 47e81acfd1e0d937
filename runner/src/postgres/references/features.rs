//! What a server can do only if it was built for it: the same version of another image may lack that.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::strings;

/// A part of a build whose absence is noticed only when it is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Feature {
    /// `--with-lz4`: values that were compressed with it cannot be read without it.
    Lz4,
    /// `--with-libxml`: without it no value can be converted to `xml`.
    Xml,
}

impl Feature {
    /// The part of the build, as its option calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Xml => "libxml",
        }
    }

    /// A query with a row if the server has it. Before 14 nothing was compressed with lz4.
    fn attempt(self) -> &'static str {
        match self {
            Self::Lz4 => {
                "SELECT 1 FROM pg_settings WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)"
            }
            Self::Xml => "SELECT 1 WHERE pg_catalog.xml_is_well_formed('<a/>')",
        }
    }

    /// A query for what needs it in a database whose server has it.
    fn users(self) -> &'static str {
        match self {
            Self::Lz4 => {
                "SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) FROM pg_attribute a \
                 JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'm') AND c.oid >= 16384 \
                 JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE a.attcompression = 'l' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1"
            }
            Self::Xml => {
                "SELECT format('%I.%I.%I', n.nspname, c.relname, a.attname) FROM pg_attribute a \
                 JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'f', 'm', 'v') AND c.oid >= 16384 \
                 JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid \
                 WHERE a.attnum > 0 AND NOT a.attisdropped AND 'xml'::regtype IN (t.oid, t.typelem, t.typbasetype) \
                 UNION SELECT p.oid::regprocedure::text FROM pg_proc p \
                 JOIN pg_language l ON l.oid = p.prolang AND l.lanname NOT IN ('c', 'internal') \
                 WHERE p.oid >= 16384 AND p.prosrc ~* '\\m(xpath(_exists)?|xml_is_well_formed(_content|_document)?|\
xml(agg|comment|concat|element|exists|forest|parse|pi|root|serialize|table|text)|\
(cursor|database|query|schema|table)_to_xml(schema|_and_xmlschema)?)\\M' \
                 ORDER BY 1"
            }
        }
    }
}

/// Whether a server has it.
pub async fn has(client: &Client, feature: Feature) -> Result<bool, ServerError> {
    match client.query(feature.attempt(), &[]).await {
        Ok(rows) => Ok(!rows.is_empty()),
        Err(error) if error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED) => Ok(false),
        Err(error) => Err(ServerError::query("features of the server's build")(error)),
    }
}

/// What needs it in the database that `client` is connected to, on a server that has it.
pub async fn users(client: &Client, feature: Feature) -> Result<Vec<String>, ServerError> {
    strings(client, "what needs a feature of the server's build", feature.users()).await
}
