//! What a server has answered.

use std::collections::BTreeMap;

use pgops_api::display_chain;
use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

use super::question::Question;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::text;

/// A question, and the collation that it is asked of in one database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Asked {
    pub question: Question,
    /// The qualified name of a collation that has the question's locale.
    pub collation: String,
}

/// The answers of a server, each asked once: databases that are alike get the same. `None` if the server has rejected the question.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "Vec<(Question, Option<String>)>", into = "Vec<(Question, Option<String>)>")]
pub struct Answers(BTreeMap<Question, Option<String>>);

/// How the answers of two servers to one question compare.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Difference {
    Same,
    Other,
    /// One of them has not answered.
    Unknown,
}

impl Answers {
    /// Whether a question was not asked yet.
    #[must_use]
    pub fn lacks(&self, asked: &Asked) -> bool {
        !self.0.contains_key(&asked.question)
    }

    /// Asks the server that `client` is connected to, in a database where the collations have those names.
    pub async fn ask(&mut self, client: &Client, asked: &[Asked]) -> Result<(), ServerError> {
        for Asked { question, collation } in asked {
            if self.0.contains_key(question) {
                continue;
            }
            let what = "what its image does with text, files and time zones";
            let answer = match text(client, what, &question.query(collation)).await {
                Ok(answer) => Some(answer),
                // Another attempt would have the same result.
                Err(error) if error.is_permanent() => {
                    tracing::warn!("{question:?} is not answered: {}", display_chain(&error));
                    None
                }
                Err(error) => return Err(error),
            };
            self.0.insert(question.clone(), answer);
        }
        Ok(())
    }

    /// Records that questions cannot be asked.
    pub fn give_up(&mut self, asked: &[Asked]) {
        for asked in asked {
            self.0.entry(asked.question.clone()).or_default();
        }
    }

    /// How many questions were asked.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Compares the answers of the server before the upgrade with those `now`.
    #[must_use]
    pub fn compare(&self, now: &Self, question: &Question) -> Difference {
        let answer = |of: &Self| of.0.get(question).cloned().flatten();
        match (answer(self), answer(now)) {
            (Some(before), Some(now)) if before == now => Difference::Same,
            (Some(_), Some(_)) => Difference::Other,
            _ => Difference::Unknown,
        }
    }
}

impl Difference {
    /// An index that was rebuilt unnecessarily costs time, one that was not rebuilt loses rows.
    #[must_use]
    pub fn may_matter(self) -> bool {
        self != Self::Same
    }
}

impl From<Vec<(Question, Option<String>)>> for Answers {
    fn from(answers: Vec<(Question, Option<String>)>) -> Self {
        Self(answers.into_iter().collect())
    }
}

impl From<Answers> for Vec<(Question, Option<String>)> {
    fn from(answers: Answers) -> Self {
        answers.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::answers::question::Locale;

    fn answers(answer: Option<&str>) -> Answers {
        vec![(Question::EveryZone, answer.map(ToOwned::to_owned))].into()
    }

    #[test]
    fn answer_differs_if_it_is_another_one_or_unknown() {
        let before = answers(Some("1"));
        let compare = |now: &Answers| before.compare(now, &Question::EveryZone);
        assert_eq!(compare(&answers(Some("1"))), Difference::Same);
        assert_eq!(compare(&answers(Some("2"))), Difference::Other);
        assert_eq!(compare(&answers(None)), Difference::Unknown);
        assert_eq!(compare(&Answers::default()), Difference::Unknown);
        // Both servers have rejected the question.
        assert!(answers(None).compare(&answers(None), &Question::EveryZone).may_matter());
        assert!(!compare(&answers(Some("1"))).may_matter());
    }

    /// A rebuild that was interrupted is continued with what was stored.
    #[test]
    fn answers_are_stored_with_their_questions() {
        let locale = Locale { provider: "c".into(), encoding: "UTF8".into(), ..Locale::default() };
        let answers: Answers =
            vec![(Question::Order(locale), Some("1".to_owned())), (Question::Zone("UTC".into()), None)]
                .into();
        let json = serde_json::to_string(&answers).unwrap();
        assert!(json.contains(r#"[{"Zone":"UTC"},null]"#), "{json}");
        assert_eq!(serde_json::from_str::<Answers>(&json).unwrap(), answers);
    }
}
