//! Modules that functions in untrusted languages import, and the target image lacks.

use pgops_api::plan::Step;
use tokio_postgres::Client;

use crate::postgres::client::error::ServerError;
use crate::postgres::references::modules::{Language, Modules, imported, missing};
use crate::upgrade::{Finding, shortened, warn_step};

/// The modules that functions of one database import.
pub struct ReadModules {
    python: Result<Modules, ServerError>,
    perl: Result<Modules, ServerError>,
}

impl ReadModules {
    /// Reads the database that `client` is connected to.
    pub async fn read(client: &Client) -> Self {
        Self {
            python: imported(client, Language::Python).await,
            perl: imported(client, Language::Perl).await,
        }
    }

    fn of(&self, language: Language) -> Result<&Modules, &ServerError> {
        match language {
            Language::Python => self.python.as_ref(),
            Language::Perl => self.perl.as_ref(),
        }
    }
}

/// The note, if functions import any, of which `read` has what was read of each database; `scratch` is connected to a server of the
/// target, in which no code of users runs. It cannot fail the preflight.
pub async fn note(databases: &[String], read: &[ReadModules], scratch: &Client) -> Option<Finding> {
    let mut lacking = Vec::new();
    for language in Language::ALL {
        let modules = match read.iter().map(|read| read.of(language)).collect::<Result<Vec<_>, _>>() {
            Ok(modules) => modules,
            Err(error) => {
                warn_step(Step::Preflight, error);
                continue;
            }
        };
        let found = find(databases, &modules, scratch, language).await;
        lacking.extend(found.unwrap_or_else(|error| {
            warn_step(Step::Preflight, &error);
            Vec::new()
        }));
    }
    finding(&lacking)
}

/// The modules that the target lacks, each with the functions.
async fn find(
    databases: &[String],
    read: &[&Modules],
    scratch: &Client,
    language: Language,
) -> Result<Vec<String>, ServerError> {
    let mut functions = Modules::new();
    for (database, modules) in databases.iter().zip(read) {
        for (module, of_module) in *modules {
            let of_module = of_module.iter().map(|function| format!("{function} in \"{database}\""));
            functions.entry(module.clone()).or_default().extend(of_module);
        }
    }
    if functions.is_empty() {
        return Ok(Vec::new());
    }
    let modules: Vec<_> = functions.keys().cloned().collect();
    let missing = missing(scratch, language, &modules).await?.into_iter();
    let named = missing.filter_map(|module| {
        let functions: Vec<_> = functions.get(&module)?.iter().cloned().collect();
        Some(format!("{module} ({})", shortened(&functions)))
    });
    Ok(named.collect())
}

fn finding(lacking: &[String]) -> Option<Finding> {
    (!lacking.is_empty()).then(|| {
        let text = format!(
            "the target image lacks modules that functions import, which will fail when they are called; use an image that has \
             them, or change the functions: {}",
            shortened(lacking)
        );
        Finding::note("language-module", text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_modules_are_noted_with_their_functions_and_documented() {
        assert_eq!(finding(&[]), None);
        let note = finding(&["numpy (public.mean(double precision[]) in \"shop\")".to_owned()]).unwrap();
        assert!(!note.blocks() && note.text.ends_with("in \"shop\")"), "{note}");
        let page = include_str!("../../../../docs/reference/findings.md");
        assert!(page.contains(&format!("`{}`", note.id)), "docs/reference/findings.md lacks {}", note.id);
    }
}
