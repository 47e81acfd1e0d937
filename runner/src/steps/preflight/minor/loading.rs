//! Whether the libraries that the image has can be loaded, and have the functions that users call: another build may lack a symbol, or
//! an image a library that the library itself needs. In a major upgrade the restore of the functions finds that.

use std::collections::{BTreeMap, BTreeSet};

use crate::postgres::client::functions_in_c::{Symbol, is_found, symbols};
use crate::postgres::client::inventory::{Extension, Inventory};
use crate::postgres::client::libraries::Plugins;
use crate::postgres::client::side_by_side::{connect_in_turn, side_by_side};
use crate::postgres::program::offer::Offer;
use crate::postgres::server::loading::{Loader, Refusal};
use crate::postgres::server::scratch::Scratch;
use crate::steps::preflight::configuration::Checked;
use crate::steps::preflight::image::is_on_volume;
use crate::steps::preflight::preload_libraries::{is_unloadable, refused};
use crate::upgrade::{Finding, Named, StepError, UpgradeContext, shortened};

/// Symbols, each with a database that calls it.
type Called = BTreeMap<Symbol, String>;

/// A function that the target's library lacks, or whose library the target cannot load.
struct Lost {
    symbol: Symbol,
    database: String,
    refusal: Refusal,
    /// Whether an update of its extension, which the image offers, no longer needs it.
    returns: bool,
}

/// What the running scratch server of the image does not load. A library that the image lacks has a finding of its own.
pub async fn findings(
    upgrade: &UpgradeContext,
    ip: &str,
    cluster: &Scratch,
    inventory: &Inventory,
    checked: &Checked,
    plugins: &Plugins,
    offer: &Offer,
) -> Result<Vec<Finding>, StepError> {
    let mut lost = lost(upgrade, ip, cluster, inventory).await?;
    for lost in &mut lost {
        lost.returns = is_updatable(lost, &inventory.extensions, offer);
    }
    let mut findings = of_functions(&lost);
    let mut loader = Loader::new(cluster).await?;
    for (setting, library) in checked.session_libraries() {
        if let Some(Refusal::NotLoaded(refusal)) = loader.load(library).await?
            && is_unloadable(&refusal)
        {
            findings.push(refused(setting, &refusal));
        }
    }
    for (plugin, slots) in plugins {
        if existing(cluster, vec![plugin.clone()]).await?.is_empty() {
            continue;
        }
        if let Some(Refusal::NotLoaded(refusal)) = loader.load(plugin).await?
            && is_unloadable(&refusal)
        {
            let text = format!(
                "the target image cannot load the output plugin {plugin}: use an image that can, or drop the replication slots {}: \
                 {refusal}",
                shortened(slots)
            );
            findings.push(Finding::new("output-plugin", text));
        }
    }
    Ok(findings)
}

/// The libraries that the image has. The worker does not see the volume.
async fn existing(cluster: &Scratch, libraries: Vec<String>) -> Result<BTreeSet<String>, StepError> {
    let programs = cluster.programs();
    let libraries: Vec<_> = libraries.into_iter().filter(|library| !is_on_volume(library)).collect();
    let found = programs.agent.has_libraries(&programs.installation, libraries.clone()).await?;
    Ok(libraries.into_iter().zip(found).filter(|(_, found)| *found).map(|(library, _)| library).collect())
}

async fn lost(
    upgrade: &UpgradeContext,
    ip: &str,
    cluster: &Scratch,
    inventory: &Inventory,
) -> Result<Vec<Lost>, StepError> {
    let called = called(upgrade, ip, inventory).await?;
    let libraries: BTreeSet<_> = called.keys().map(|symbol| symbol.library.clone()).collect();
    let existing = existing(cluster, libraries.into_iter().collect()).await?;
    let mut loader = Loader::new(cluster).await?;
    let mut lost = Vec::new();
    let mut untried = BTreeSet::new();
    for (symbol, database) in called {
        if !existing.contains(&symbol.library) || untried.contains(&symbol.library) {
            continue;
        }
        let Some(refusal) = loader.find(&symbol.library, &symbol.name).await? else { continue };
        if let Refusal::NotLoaded(reason) = &refusal {
            untried.insert(symbol.library.clone());
            // It may have to be preloaded, say.
            if !is_unloadable(reason) {
                continue;
            }
        }
        // What the serving server does not find either is not lost by the upgrade.
        let serving = upgrade.superuser.connect(ip, &database).await?;
        if is_found(&serving, &symbol).await? {
            lost.push(Lost { symbol, database, refusal, returns: false });
        }
    }
    Ok(lost)
}

async fn called(upgrade: &UpgradeContext, ip: &str, inventory: &Inventory) -> Result<Called, StepError> {
    let read = side_by_side(&inventory.databases, |database| async move {
        symbols(&connect_in_turn(&upgrade.superuser, ip, database).await?).await
    });
    let mut called = Called::new();
    for (database, symbols) in inventory.databases.iter().zip(read.await?) {
        for symbol in symbols {
            called.entry(symbol).or_insert_with(|| database.clone());
        }
    }
    Ok(called)
}

/// Whether the symbol belongs to an extension of which the image has another version, with scripts that lead there.
fn is_updatable(lost: &Lost, installed: &BTreeSet<Extension>, offer: &Offer) -> bool {
    let Some(name) = &lost.symbol.extension else { return false };
    let mut of_database = installed.iter().filter(|it| it.name == *name && it.database == lost.database);
    let version = of_database.next().map(|installed| installed.version.as_str());
    let (Some(from), Some(to)) = (version, offer.default_version(name)) else { return false };
    from != to && offer.has_update_path(name, from, to)
}

/// One finding for each library.
fn of_functions(lost: &[Lost]) -> Vec<Finding> {
    let mut by_library = BTreeMap::<_, Vec<_>>::new();
    for lost in lost {
        by_library.entry(lost.symbol.library.as_str()).or_default().push(lost);
    }
    by_library.into_iter().filter_map(|(library, lost)| of_library(library, &lost)).collect()
}

fn of_library(library: &str, lost: &[&Lost]) -> Option<Finding> {
    const REMEDY: &str = "use an image with the same build of it, or drop the extension or the functions";
    let Lost { symbol, database, refusal, .. } = lost.first()?;
    let symbols: Named = lost.iter().map(|lost| lost.symbol.name.clone()).collect();
    let text = match refusal {
        Refusal::NoSymbol(_) if lost.iter().all(|lost| lost.returns) => {
            let extension = symbol.extension.as_deref().unwrap_or_default();
            let text = format!(
                "functions in database \"{database}\" call symbols that {library} no longer has in the target image, and fail until the \
                 extension is updated: right after the upgrade run ALTER EXTENSION {extension} UPDATE: {symbols}"
            );
            return Some(Finding::note("missing-library", text));
        }
        Refusal::NotLoaded(refusal) => {
            format!(
                "functions such as {} in database \"{database}\" need {library}, which the target image has and cannot load: {REMEDY}: \
                 {refusal}",
                symbol.name
            )
        }
        Refusal::NoSymbol(_) => {
            format!(
                "functions in database \"{database}\" need {library}, which in the target image lacks the symbols that they call: \
                 {REMEDY}: {symbols}"
            )
        }
    };
    Some(Finding::new("missing-library", text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(library: &str, name: &str, refusal: Refusal) -> Lost {
        let symbol = Symbol { library: library.to_owned(), name: name.to_owned(), extension: None };
        Lost { symbol, database: "shop".to_owned(), refusal, returns: false }
    }

    #[test]
    fn symbol_that_an_update_of_its_extension_replaces_is_noted() {
        let mut lost = lost("$libdir/ours-2", "old_area", Refusal::NoSymbol(String::new()));
        lost.symbol.extension = Some("ours".to_owned());
        let installed = |version: &str| {
            let version = version.to_owned();
            BTreeSet::from([Extension { name: "ours".into(), version, database: "shop".into() }])
        };
        let offer = Offer {
            scripts: ["ours--1.0--2.0".to_owned()].into(),
            versions: [("ours".to_owned(), Some("2.0".to_owned()))].into(),
        };
        assert!(!is_updatable(&lost, &installed("2.0"), &offer), "another build of the same version");
        assert!(!is_updatable(&lost, &installed("0.9"), &offer), "no script leads there");
        lost.returns = is_updatable(&lost, &installed("1.0"), &offer);
        let found = of_functions(&[lost]);
        assert!(!found[0].blocks() && found[0].text.contains("ALTER EXTENSION ours UPDATE"), "{}", found[0]);
    }

    #[test]
    fn missing_symbols_of_a_library_are_one_finding_with_their_names() {
        let symbol = |name| lost("$libdir/ours", name, Refusal::NoSymbol("could not find function".into()));
        let found = of_functions(&[symbol("a"), symbol("b")]);
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert!(found.blocks() && found.text.ends_with(": a, b"), "{found}");
        assert!(found.text.contains("in database \"shop\" need $libdir/ours"), "{found}");
    }

    #[test]
    fn library_that_cannot_be_loaded_is_named_with_the_reason() {
        let reason = "could not load library \"ours.so\": libfoo.so.1: cannot open shared object file";
        let found = of_functions(&[
            lost("$libdir/ours", "a", Refusal::NotLoaded(reason.to_owned())),
            lost("$libdir/theirs", "b", Refusal::NoSymbol(String::new())),
        ]);
        assert_eq!(found.len(), 2);
        assert!(found[0].blocks() && found[0].text.ends_with(reason), "{}", found[0]);
    }
}
