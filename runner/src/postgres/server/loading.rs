//! Loads libraries of an image in a scratch server, as functions and settings of users will have the real one do.
//!
//! Code of the image runs, and none of users: the caller names only libraries that the image has.

use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::scratch::Scratch;
use crate::postgres::client::database_error::DatabaseError;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::quote::literal;

/// How often, and how many times, to connect again after a library has ended the session, or even the server.
const INTERVAL: Duration = Duration::from_millis(200);
const ATTEMPTS: usize = 50;

/// Why the server does not call a function of a library.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It has the library, but not the function.
    NoSymbol(String),
    /// It does not load the library, for whatever reason.
    NotLoaded(String),
}

/// A session of a scratch server. A library that was loaded stays, as one may need another.
pub struct Loader<'a> {
    scratch: &'a Scratch,
    client: Client,
}

impl<'a> Loader<'a> {
    pub async fn new(scratch: &'a Scratch) -> Result<Self, ServerError> {
        Ok(Self { scratch, client: scratch.connect("postgres").await? })
    }

    /// Loads a library, for nothing in particular.
    pub async fn load(&mut self, library: &str) -> Result<Option<Refusal>, ServerError> {
        self.execute(&format!("LOAD {}", literal(library))).await
    }

    /// Looks a function up, as `CREATE FUNCTION` does whatever `check_function_bodies` says (`fmgr_c_validator`).
    pub async fn find(&mut self, library: &str, symbol: &str) -> Result<Option<Refusal>, ServerError> {
        let create = format!(
            "CREATE OR REPLACE FUNCTION public.pgops_symbol() RETURNS pg_catalog.void LANGUAGE c AS {}, {}",
            literal(library),
            literal(symbol)
        );
        self.execute(&create).await
    }

    async fn execute(&mut self, statement: &str) -> Result<Option<Refusal>, ServerError> {
        let Err(error) = self.client.batch_execute(statement).await else { return Ok(None) };
        let has_ended = error.as_db_error().is_none_or(|reported| reported.severity() != "ERROR");
        let refusal = refusal(error);
        if has_ended || self.client.is_closed() {
            let scratch = self.scratch;
            let again = ConstantBuilder::default().with_delay(INTERVAL).with_max_times(ATTEMPTS);
            self.client = (|| scratch.connect("postgres")).retry(again).await?;
        }
        Ok(Some(refusal))
    }
}

fn refusal(error: tokio_postgres::Error) -> Refusal {
    if error.code() == Some(&SqlState::UNDEFINED_FUNCTION) {
        Refusal::NoSymbol(DatabaseError::from(error).to_string())
    } else {
        Refusal::NotLoaded(DatabaseError::from(error).to_string())
    }
}
