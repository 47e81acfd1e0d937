//! The files that text search dictionaries name. The server reads them when a dictionary is created and when it is used,
//! so one that is missing fails both the restore and every query.

use tokio_postgres::{Client, Row};

use super::tokens::{Token, Tokens};
use crate::postgres::client::error::ServerError;
use crate::postgres::client::query::Lossy;

/// The directory of these files, below that of the shared files.
pub const DIRECTORY: &str = "tsearch_data";

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

/// The files of the dictionaries in the database that `client` is connected to. Those of initdb are left out: the target
/// has its own.
pub async fn dictionary_files(client: &Client) -> Result<Vec<DictionaryFile>, ServerError> {
    let failed = ServerError::query("text search dictionaries");
    let sql = "SELECT format('%I.%I', n.nspname, d.dictname), t.tmplname::text, d.dictinitoption \
               FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace \
               JOIN pg_ts_template t ON t.oid = d.dicttemplate \
               WHERE d.oid >= 16384 AND d.dictinitoption IS NOT NULL ORDER BY n.nspname, d.dictname";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let read = |row: &Row| {
        let text = |column| row.try_get::<_, Lossy>(column).map(|text| text.0);
        Ok(named_files(&text(0)?, &text(1)?, &text(2)?))
    };
    let files: Result<Vec<_>, _> = rows.iter().map(read).collect();
    Ok(files.map_err(failed)?.concat())
}

/// The files that the options of a dictionary name, such as `language = 'english', stopwords = 'ours'`.
fn named_files(dictionary: &str, template: &str, options: &str) -> Vec<DictionaryFile> {
    let tokens: Vec<_> = Tokens::of(options).collect();
    let named = tokens.windows(3).filter_map(|tokens| {
        let [Token::Word(option), Token::Symbol('='), Token::Text(name)] = tokens else { return None };
        let option = option.to_lowercase();
        let is_named = |(of, known, _): &&(Option<&str>, &str, &str)| {
            of.is_none_or(|of| of == template) && *known == option
        };
        let (.., suffix) = FILES.iter().find(is_named)?;
        Some(DictionaryFile { dictionary: dictionary.to_owned(), file: format!("{name}.{suffix}") })
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let files: Vec<_> =
            named_files("public.d", template, options).into_iter().map(|named| named.file).collect();
        assert_eq!(files, expected);
    }
}
