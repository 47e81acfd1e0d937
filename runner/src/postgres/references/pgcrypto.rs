//! The algorithms that `pgcrypto` takes from the image's OpenSSL. Since version 3 that refuses some, and what was encrypted with them
//! cannot be read.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::{Lossy, strings_with};

/// The name of the extension.
pub const EXTENSION: &str = "pgcrypto";
const WHAT: &str = "algorithms of pgcrypto";

/// What an algorithm is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    Encryption,
    Digest,
}

/// An algorithm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Algorithm {
    pub name: &'static str,
    pub purpose: Purpose,
    /// A regular expression for its names in calls.
    names: &'static str,
}

impl Algorithm {
    #[cfg(test)]
    pub fn example(name: &'static str, purpose: Purpose) -> Self {
        Self { name, purpose, names: name }
    }
}

const fn cipher(name: &'static str, names: &'static str) -> Algorithm {
    Algorithm { name, purpose: Purpose::Encryption, names }
}

const fn digest(name: &'static str) -> Algorithm {
    Algorithm { name, purpose: Purpose::Digest, names: name }
}

/// Those that OpenSSL may lack: in its legacy provider, or refused in FIPS mode. `aes` and the SHA-2 family are everywhere.
const ALGORITHMS: [Algorithm; 9] = [
    cipher("bf", "bf|blowfish"),
    cipher("des", "des"),
    cipher("3des", "3des|des3"),
    cipher("cast5", "cast5?"),
    digest("md4"),
    digest("md5"),
    digest("sha1"),
    digest("rmd160"),
    digest("whirlpool"),
];

/// The functions of `pgcrypto` in one database, by their qualified names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Functions {
    encrypt: String,
    digest: String,
}

impl Functions {
    /// Those of the extension in the database that `client` is connected to. Functions that its owner may have added would run as
    /// superuser.
    pub async fn of_extension(client: &Client) -> Result<Option<Self>, ServerError> {
        let failed = ServerError::query(WHAT);
        let sql = "SELECT max(format('%I.%I', n.nspname, p.proname)) FILTER (WHERE p.proname = 'encrypt'), \
                     max(format('%I.%I', n.nspname, p.proname)) FILTER (WHERE p.proname = 'digest') \
                   FROM pg_extension e \
                   JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid \
                     AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' \
                   JOIN pg_proc p ON p.oid = d.objid JOIN pg_namespace n ON n.oid = p.pronamespace \
                   JOIN pg_authid o ON o.oid = p.proowner JOIN pg_language l ON l.oid = p.prolang \
                   WHERE e.extname = $1 AND o.rolsuper AND l.lanname = 'c' \
                   AND oidvectortypes(p.proargtypes) IN ('bytea, bytea, text', 'bytea, text')";
        let row = client.query_one(sql, &[&EXTENSION]).await.map_err(failed)?;
        Self::read(&row).map_err(failed)
    }

    fn read(row: &Row) -> Result<Option<Self>, tokio_postgres::Error> {
        let name = |column| row.try_get::<_, Option<Lossy>>(column).map(|name| name.map(|name| name.0));
        Ok(name(0)?.zip(name(1)?).map(|(encrypt, digest)| Self { encrypt, digest }))
    }

    /// Functions of this session for the library of a server that need not have the extension. None if it lacks the library.
    pub async fn of_library(client: &Client) -> Result<Option<Self>, ServerError> {
        let create = "CREATE FUNCTION pg_temp.pgops_encrypt(bytea, bytea, text) RETURNS bytea LANGUAGE c STRICT \
                        AS '$libdir/pgcrypto', 'pg_encrypt'; \
                      CREATE FUNCTION pg_temp.pgops_digest(bytea, text) RETURNS bytea LANGUAGE c STRICT \
                        AS '$libdir/pgcrypto', 'pg_digest'";
        let created = client.batch_execute(create).await;
        match created.map_err(ServerError::execute("create functions of pgcrypto")) {
            Ok(()) => {
                let [encrypt, digest] =
                    ["pg_temp.pgops_encrypt", "pg_temp.pgops_digest"].map(ToOwned::to_owned);
                Ok(Some(Self { encrypt, digest }))
            }
            Err(error) if error.is_permanent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn call(&self, algorithm: &Algorithm) -> String {
        let (encrypt, digest, name) = (&self.encrypt, &self.digest, algorithm.name);
        match algorithm.purpose {
            Purpose::Encryption => {
                let key = match name {
                    "des" => "01234567",
                    "3des" => "0123456789abcdef01234567",
                    _ => "0123456789abcdef",
                };
                format!("SELECT {encrypt}('a'::bytea, '{key}'::bytea, '{name}') IS NOT NULL")
            }
            Purpose::Digest => format!("SELECT {digest}('a'::bytea, '{name}') IS NOT NULL"),
        }
    }
}

/// The algorithms that the server of `serving` performs, and that of `target` refuses.
pub async fn lost_algorithms(
    (serving, before): (&Client, &Functions),
    (target, now): (&Client, &Functions),
) -> Result<Vec<Algorithm>, ServerError> {
    let mut lost = Vec::new();
    for algorithm in ALGORITHMS {
        if performs(serving, before, &algorithm).await? && !performs(target, now, &algorithm).await? {
            lost.push(algorithm);
        }
    }
    Ok(lost)
}

async fn performs(
    client: &Client,
    functions: &Functions,
    algorithm: &Algorithm,
) -> Result<bool, ServerError> {
    let is_refusal = |code: &SqlState| {
        [SqlState::EXTERNAL_ROUTINE_INVOCATION_EXCEPTION, SqlState::INVALID_PARAMETER_VALUE].contains(code)
    };
    match client.query(&functions.call(algorithm), &[]).await {
        Ok(_) => Ok(true),
        Err(error) if error.code().is_some_and(is_refusal) => Ok(false),
        Err(error) => Err(ServerError::query(WHAT)(error)),
    }
}

/// Functions of users in the database that `client` is connected to that name one of the algorithms in a call of the extension.
pub async fn callers(client: &Client, algorithms: &[Algorithm]) -> Result<Vec<String>, ServerError> {
    let sql = "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
               WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal') AND p.prosrc ~* $1 \
               AND p.prosrc ~* '\\m(en|de)crypt(_iv)?\\M|\\m(digest|hmac)\\M|pgp_(sym|pub)_encrypt' ORDER BY 1";
    strings_with(client, "functions that name algorithms of pgcrypto", sql, &[&pattern(algorithms)]).await
}

/// A regular expression for constants such as `'bf-cbc/pad:none'`, and options such as `cipher-algo=bf`.
fn pattern(algorithms: &[Algorithm]) -> String {
    let names: Vec<_> = algorithms.iter().map(|algorithm| algorithm.names).collect();
    format!("['=\\s]({})['/,-]", names.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithm_is_tried_with_a_key_that_it_accepts() {
        let functions = Functions { encrypt: "public.encrypt".into(), digest: "public.digest".into() };
        let call = |name: &str| {
            let algorithm = ALGORITHMS.iter().find(|algorithm| algorithm.name == name).unwrap();
            functions.call(algorithm)
        };
        assert_eq!(call("des"), "SELECT public.encrypt('a'::bytea, '01234567'::bytea, 'des') IS NOT NULL");
        assert!(call("3des").contains("'0123456789abcdef01234567'"));
        assert_eq!(call("md4"), "SELECT public.digest('a'::bytea, 'md4') IS NOT NULL");
    }

    #[test]
    fn algorithms_are_found_in_constants_and_options() {
        let pattern = regex::Regex::new(&pattern(&ALGORITHMS)).unwrap();
        for code in
            ["encrypt(a, k, 'bf-cbc')", "decrypt(a, k, 'cast5')", "'cipher-algo=bf, x'", "digest(a, 'md4')"]
        {
            assert!(pattern.is_match(code), "{code}");
        }
        for code in ["encrypt(a, k, 'aes')", "'design'", "digest(a, 'sha256')"] {
            assert!(!pattern.is_match(code), "{code}");
        }
    }
}
