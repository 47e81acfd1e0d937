//! What two servers are asked.

use serde::{Deserialize, Serialize};

use super::{text_samples, zone_rules};
use crate::postgres::client::quote::literal;

/// By what a database or a collation sorts and classifies text.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Locale {
    /// `c` for the C library, `i` for ICU, `b` for `PostgreSQL` itself.
    pub provider: String,
    /// The provider's name for the locale.
    pub name: String,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// The encoding of the database.
    pub encoding: String,
}

/// A question to a server. Each is asked by a query that reads nothing of users.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Question {
    /// In which order the C library sorts a sample of characters.
    Order(Locale),
    /// How the C library folds and classifies a sample of characters.
    Letters(Locale),
    /// How full-text search splits a sample of characters into words, in a database with this default.
    Words(Locale),
    /// The content of a file in the directory of text search.
    File(String),
    /// The rules of a time zone.
    Zone(String),
    /// The rules of all time zones, for expressions that take their name from a row.
    EveryZone,
}

impl Question {
    /// What depends on this locale is asked in a database that has it, or of a collation that does.
    #[must_use]
    pub fn locale(&self) -> Option<&Locale> {
        match self {
            Self::Order(locale) | Self::Letters(locale) | Self::Words(locale) => Some(locale),
            Self::File(_) | Self::Zone(_) | Self::EveryZone => None,
        }
    }

    /// The query, which gives one text. `collation` is the qualified name of a collation that has the question's locale.
    #[must_use]
    pub fn query(&self, collation: &str) -> String {
        match self {
            Self::Order(_) => text_samples::order(collation),
            Self::Letters(_) => text_samples::letters(collation),
            Self::Words(_) => text_samples::words(),
            Self::File(name) => file(name),
            Self::Zone(name) => zone_rules::of_zone(name),
            Self::EveryZone => zone_rules::of_every_zone(),
        }
    }
}

/// Libraries of SSL may refuse MD5.
fn file(name: &str) -> String {
    format!(
        "SELECT COALESCE((SELECT encode(sha256(pg_read_binary_file(concat(setting, '/tsearch_data/', {}), 0, 67108864, true)), 'hex') \
         FROM pg_config WHERE name = 'SHAREDIR'), 'missing')",
        literal(name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_asked_in_ascii_and_give_text() {
        let locale = Locale::default();
        let questions = [
            Question::Order(locale.clone()),
            Question::Letters(locale.clone()),
            Question::Words(locale),
            Question::File("o'urs.syn".into()),
            Question::Zone("America/Asuncion".into()),
            Question::EveryZone,
        ];
        for question in questions {
            let query = question.query("pg_catalog.\"default\"");
            assert!(query.is_ascii(), "{query}");
            assert!(query.contains("::text") || query.contains("'hex'"), "{query}");
        }
        assert!(Question::File("o'urs.syn".into()).query("").contains("'o''urs.syn'"));
    }

    #[test]
    fn question_is_asked_of_the_collation() {
        let locale = Locale::default();
        let collation = "public.\"C.utf8\"";
        for question in [Question::Order(locale.clone()), Question::Letters(locale)] {
            assert!(question.query(collation).contains("COLLATE public.\"C.utf8\""), "{question:?}");
        }
    }
}
