//! The rules of text and time that a server has for what its databases use: versions of collations, text search dictionaries, time
//! zones, and what its image answers about them.

use pgops_api::display_chain;
use tokio_postgres::Client;

use super::versions::{CollationInUse, CollationVersion, collations_in_use};
use crate::postgres::answers::known::{Answers, Asked};
use crate::postgres::answers::question::Question;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::session::Superuser;
use crate::postgres::client::side_by_side::connect_in_turn;
use crate::postgres::references::dictionaries::{Dictionary, dictionaries};
use crate::postgres::references::stored_zones::{StoredZones, stored_zones};

/// The rules of a server before an upgrade.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesBefore {
    pub collations: Vec<CollationVersion>,
    pub answers: Answers,
}

/// What of a database depends on such rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulesInUse {
    pub collations: Vec<CollationInUse>,
    pub dictionaries: Vec<Dictionary>,
    pub zones: StoredZones,
}

/// Printing the code of some functions waits for locks on their tables.
const LIMIT: &str = "SET lock_timeout = '10s'";

impl RulesInUse {
    /// Of the database that `client` is connected to, on a server of that major version.
    pub async fn read(client: &Client, major: u32) -> Result<Self, ServerError> {
        let failed = ServerError::execute("limit the time to wait for locks");
        client.batch_execute(LIMIT).await.map_err(failed)?;
        let rules = Self::read_within_limit(client, major).await;
        // The session has other uses, whatever was read.
        let ended = client.batch_execute("SET lock_timeout = 0").await.map_err(failed);
        let rules = rules?;
        ended.map(|()| rules)
    }

    async fn read_within_limit(client: &Client, major: u32) -> Result<Self, ServerError> {
        Ok(Self {
            collations: collations_in_use(client, major).await?,
            dictionaries: dictionaries(client).await?,
            zones: stored_zones(client, major).await?,
        })
    }

    /// The same, or nothing if they cannot be read in a database that is otherwise sound: what is not known counts as changed, and
    /// most of it is the same as in the other databases.
    pub async fn read_if_possible(client: &Client, major: u32, database: &str) -> Result<Self, ServerError> {
        match Self::read(client, major).await {
            Err(error) if error.is_permanent() || error.is_lock_timeout() => {
                tracing::warn!(
                    "the rules of text and time in database \"{database}\" are unknown: {}",
                    display_chain(&error)
                );
                Ok(Self::default())
            }
            read => read,
        }
    }

    /// What is asked about them.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        let plain = |question| Asked { question, collation: String::new() };
        let files = self.dictionaries.iter().flat_map(Dictionary::files).map(Question::File);
        let zones = self.zones.named.iter().cloned().map(Question::Zone);
        let others = files.chain(zones).chain(self.zones.from_rows.then_some(Question::EveryZone));
        self.collations.iter().flat_map(CollationInUse::asked).chain(others.map(plain)).collect()
    }
}

/// The rules of the serving server at `host`, of which these are in use in its databases.
pub async fn rules_before(
    superuser: &Superuser,
    host: &str,
    databases: &[String],
    in_use: Vec<RulesInUse>,
) -> Result<RulesBefore, ServerError> {
    let mut rules = RulesBefore::default();
    for (database, in_use) in databases.iter().zip(in_use) {
        let mut asked = in_use.asked();
        asked.retain(|asked| rules.answers.lacks(asked));
        if !asked.is_empty() {
            rules.answers.ask(&connect_in_turn(superuser, host, database).await?, &asked).await?;
        }
        rules.collations.extend(in_use.collations.into_iter().map(|it| it.collation));
    }
    rules.collations.sort();
    rules.collations.dedup();
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_time_zones_are_asked_about() {
        let dictionary = |options| Dictionary::new(16400, "d".into(), "synonym".into(), options);
        let rules = RulesInUse {
            dictionaries: vec![dictionary("synonyms = 'ours'"), dictionary("")],
            zones: StoredZones { named: ["UTC".to_owned()].into(), from_rows: true },
            ..RulesInUse::default()
        };
        let questions: Vec<_> = rules.asked().into_iter().map(|asked| asked.question).collect();
        assert_eq!(
            questions,
            [Question::File("ours.syn".into()), Question::Zone("UTC".into()), Question::EveryZone]
        );
        assert!(RulesInUse::default().asked().is_empty());
    }
}
