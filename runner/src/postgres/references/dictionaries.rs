//! Text search dictionaries, and what they name: files of the image, and the stemmer of a language, which the server itself has. The
//! server reads the files when a dictionary is created and when it is used, so one that is missing fails both the restore and every
//! query, and one with another content gives other lexemes.

use tokio_postgres::{Client, Row};

use super::tokens::{Token, Tokens};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;

/// The directory of these files, below that of the shared files.
pub const DIRECTORY: &str = "tsearch_data";

/// Objects of users have OIDs from here on.
const FIRST_OF_USERS: u32 = 16384;

/// A text search dictionary.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Dictionary {
    pub oid: u32,
    /// Its qualified name.
    pub name: String,
    template: String,
    /// Its options, in lower case, with their values.
    options: Vec<(String, String)>,
}

/// A file that a dictionary names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DictionaryFile {
    /// Qualified name of the dictionary.
    pub dictionary: String,
    /// Name of the file in [`DIRECTORY`].
    pub file: String,
}

/// Templates, their options that name a file, and its suffix. `None` stands for any template.
const FILES: [(Option<&str>, &str, &str); 8] = [
    (None, "stopwords", "stop"),
    (Some("ispell"), "dictfile", "dict"),
    (Some("ispell"), "afffile", "affix"),
    (Some("synonym"), "synonyms", "syn"),
    (Some("thesaurus"), "dictfile", "ths"),
    // Of the extensions unaccent and dict_xsyn.
    (Some("unaccent"), "rules", "rules"),
    (Some("xsyn_template"), "rules", "rules"),
    (Some("xsyn"), "rules", "rules"),
];

/// The dictionaries of the database that `client` is connected to, with those of initdb.
pub async fn dictionaries(client: &Client) -> Result<Vec<Dictionary>, ServerError> {
    let failed = ServerError::query("text search dictionaries");
    let sql = "SELECT d.oid, format('%I.%I', n.nspname, d.dictname), t.tmplname::text, COALESCE(d.dictinitoption, '') \
               FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace \
               JOIN pg_ts_template t ON t.oid = d.dicttemplate ORDER BY n.nspname, d.dictname";
    let rows = client.query_typed(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        let text = |column| row.try_get::<_, Lossy>(column).map(|text| text.0);
        Ok(Dictionary::new(row.try_get(0)?, text(1)?, text(2)?, &text(3)?))
    };
    rows.iter().map(read).collect::<Result<_, _>>().map_err(failed)
}

/// The files of the dictionaries in the database that `client` is connected to. Those of initdb are left out: the target
/// has its own.
pub async fn dictionary_files(client: &Client) -> Result<Vec<DictionaryFile>, ServerError> {
    let of_users = dictionaries(client).await?.into_iter().filter(|it| it.oid >= FIRST_OF_USERS);
    let files = of_users.flat_map(|dictionary| {
        let files = dictionary.files().into_iter();
        files.map(move |file| DictionaryFile { dictionary: dictionary.name.clone(), file })
    });
    Ok(files.collect())
}

impl Dictionary {
    /// With options as the server stores them, such as `language = 'english', stopwords = 'ours'`.
    #[must_use]
    pub fn new(oid: u32, name: String, template: String, options: &str) -> Self {
        let tokens: Vec<_> = Tokens::of(options).collect();
        let options = tokens.windows(3).filter_map(|tokens| match tokens {
            [Token::Word(option), Token::Symbol('='), Token::Text(value)] => {
                Some((option.to_lowercase(), value.clone()))
            }
            _ => None,
        });
        Self { oid, name, template, options: options.collect() }
    }

    /// The names of its files in [`DIRECTORY`].
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let named = self.options.iter().filter_map(|(option, value)| {
            let is_named = |(of, known, _): &&(Option<&str>, &str, &str)| {
                of.is_none_or(|of| of == self.template) && known == option
            };
            let (.., suffix) = FILES.iter().find(is_named)?;
            Some(format!("{value}.{suffix}"))
        });
        named.collect()
    }

    /// The language of its stemmer, if it has one.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        if self.template == "snowball" { self.option("language") } else { None }
    }

    /// Whether it gives what another dictionary makes of words, as a thesaurus does. Only the last part of the names is compared.
    #[must_use]
    pub fn uses(&self, other: &Self) -> bool {
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().trim_matches('"').to_lowercase();
        let of_words = self.option("dictionary").filter(|_| self.template == "thesaurus");
        of_words.is_some_and(|name| last(name) == last(&other.name))
    }

    fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(option, _)| option == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(name: &str, template: &str, options: &str) -> Dictionary {
        Dictionary::new(16400, name.to_owned(), template.to_owned(), options)
    }

    #[rstest::rstest]
    #[case::stop_words("snowball", "language = 'english', stopwords = 'ours'", &["ours.stop"])]
    #[case::ispell(
        "ispell",
        "dictfile = 'ours', afffile = 'theirs', stopwords = 'english'",
        &["ours.dict", "theirs.affix", "english.stop"]
    )]
    #[case::thesaurus("thesaurus", "\"DictFile\" = 'ours', dictionary = 'simple'", &["ours.ths"])]
    #[case::rules("unaccent", "rules = 'ours'", &["ours.rules"])]
    #[case::no_file("simple", "accept = 'false'", &[])]
    #[case::of_another_template("synonym", "dictfile = 'ours'", &[])]
    fn files_are_those_that_options_name(
        #[case] template: &str,
        #[case] options: &str,
        #[case] expected: &[&str],
    ) {
        assert_eq!(dictionary("d", template, options).files(), expected);
    }

    #[test]
    fn stemmer_of_a_dictionary_is_that_of_its_language() {
        assert_eq!(dictionary("d", "snowball", "Language = 'german'").language(), Some("german"));
        assert_eq!(dictionary("d", "ispell", "language = 'german'").language(), None);
    }

    #[test]
    fn thesaurus_uses_the_dictionary_that_it_names() {
        let stem = dictionary("pg_catalog.english_stem", "snowball", "language = 'english'");
        let thesaurus = |name: &str| dictionary("public.t", "thesaurus", &format!("dictionary = '{name}'"));
        assert!(thesaurus("english_stem").uses(&stem) && thesaurus("pg_catalog.English_Stem").uses(&stem));
        assert!(!thesaurus("simple").uses(&stem) && !stem.uses(&stem));
    }
}
