//! What a target answers about another server's rules, asked of a scratch server without data of users.

use std::collections::BTreeSet;

use tokio_postgres::Client;

use super::versions::DEFAULT_NAME;
use crate::postgres::answers::known::{Answers, Asked};
use crate::postgres::answers::question::Locale;
use crate::postgres::client::error::ServerError;
use crate::postgres::client::quote::literal;
use crate::postgres::server::scratch::Scratch;

/// Adds the answers of the server of `scratch`, to which `client` is connected, of that major version. A question about text is asked
/// in a database with its locale, which is created.
pub async fn ask_target(
    answers: &mut Answers,
    scratch: &Scratch,
    client: &Client,
    asked: &[Asked],
    major: u32,
) -> Result<(), ServerError> {
    let open = asked.iter().filter(|asked| answers.lacks(asked)).cloned();
    let (about_text, others): (Vec<_>, Vec<_>) = open.partition(|asked| asked.question.locale().is_some());
    answers.ask(client, &others).await?;
    let locales: BTreeSet<_> = about_text.iter().filter_map(|asked| asked.question.locale()).collect();
    for locale in locales {
        let of_locale = about_text.iter().filter(|asked| asked.question.locale() == Some(locale));
        let of_locale: Vec<_> = of_locale
            .map(|asked| Asked { question: asked.question.clone(), collation: DEFAULT_NAME.to_owned() })
            .collect();
        let name = format!("pgops_locale_{}", answers.count());
        match client.batch_execute(&create_database(&name, locale, major)).await {
            Ok(()) => answers.ask(&scratch.connect(&name).await?, &of_locale).await?,
            Err(error) => {
                let error = ServerError::execute("create a database with the locale of another one")(error);
                if !error.is_permanent() {
                    return Err(error);
                }
                // Such as a locale that the image lacks, which has a finding of its own.
                answers.give_up(&of_locale);
            }
        }
    }
    Ok(())
}

fn create_database(name: &str, locale: &Locale, major: u32) -> String {
    let provider = match (locale.provider.as_str(), literal(&locale.name)) {
        _ if major < 15 => String::new(),
        ("i", own) => format!(" LOCALE_PROVIDER icu ICU_LOCALE {own}"),
        ("b", own) => format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {own}"),
        _ => " LOCALE_PROVIDER libc".to_owned(),
    };
    format!(
        "CREATE DATABASE {name} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}{provider}",
        literal(&locale.encoding),
        literal(&locale.collate),
        literal(&locale.ctype)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(provider: &str, major: u32) -> String {
        let locale = Locale {
            provider: provider.into(),
            name: "de".into(),
            collate: "C".into(),
            ctype: "de_DE.UTF-8".into(),
            encoding: "UTF8".into(),
        };
        create_database("d", &locale, major)
    }

    #[test]
    fn database_is_created_with_the_locale_of_the_question() {
        let plain =
            "CREATE DATABASE d TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'de_DE.UTF-8'";
        assert_eq!(created("c", 14), plain);
        assert_eq!(created("c", 15), format!("{plain} LOCALE_PROVIDER libc"));
        assert_eq!(created("i", 15), format!("{plain} LOCALE_PROVIDER icu ICU_LOCALE 'de'"));
        assert_eq!(created("b", 17), format!("{plain} LOCALE_PROVIDER builtin BUILTIN_LOCALE 'de'"));
    }
}
