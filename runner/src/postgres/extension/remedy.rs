//! What helps if the target rejects objects of an extension. Only the operator acts: whether something may be dropped
//! depends on what uses it.

use super::knowledge::Known;
use super::state::ExtensionState;
use crate::postgres::client::quote::identifier;

/// The advice, as one clause.
#[must_use]
pub fn remedy(state: &ExtensionState, known: Option<&Known>) -> String {
    let advice = known.and_then(Known::advice);
    match (known.is_some_and(|known| known.recreate), advice) {
        (true, Some(why)) => format!("{}: {why}", drop_and_create(state)),
        (true, None) => drop_and_create(state),
        (false, Some(advice)) => advice,
        (false, None) => update(state).unwrap_or_else(|| without_update(state)),
    }
}

/// What replaces an update that no script of the extension performs, as one clause; none if its data would be lost.
#[must_use]
pub fn instead_of_update(name: &str, known: Option<&Known>) -> Option<String> {
    let known = known.filter(|known| known.recreate)?;
    let name = identifier(name);
    let statements = format!("DROP EXTENSION {name}; CREATE EXTENSION {name}");
    Some(known.advice().map_or_else(|| statements.clone(), |why| format!("{statements}: {why}")))
}

/// The update that the serving image offers.
fn update(state: &ExtensionState) -> Option<String> {
    let offered = state.offered.as_ref().filter(|offered| **offered != state.version)?;
    Some(format!(
        "ALTER EXTENSION {} UPDATE before the upgrade: the serving image has {offered}",
        identifier(&state.name)
    ))
}

fn without_update(state: &ExtensionState) -> String {
    if state.has_tables || state.dependents > 0 {
        let what = if state.has_tables { "its tables may hold data" } else { "it is in use" };
        format!(
            "the serving image has no other version of it, and {what}{}: find out which version of it supports the target, \
             and use a serving image that has it",
            dependents(state)
        )
    } else {
        drop_and_create(state)
    }
}

fn drop_and_create(state: &ExtensionState) -> String {
    let name = identifier(&state.name);
    let statements =
        format!("DROP EXTENSION {name} before the upgrade, and CREATE EXTENSION {name} afterwards");
    if state.dependents == 0 && !state.has_tables {
        return format!("{statements}: it holds no data, and nothing depends on it");
    }
    format!("{statements}, together with what depends on it{}", dependents(state))
}

/// The objects that depend on it, in parentheses.
fn dependents(state: &ExtensionState) -> String {
    let named = state.some_dependents.join(", ");
    match state.dependents.saturating_sub(state.some_dependents.len()) {
        _ if state.dependents == 0 => String::new(),
        0 => format!(" ({named})"),
        more => format!(" ({named} and {more} more)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::extension::knowledge::Knowledge;

    /// The remedy by what is built in.
    fn built_in(state: &ExtensionState) -> String {
        remedy(state, Knowledge::new(&[]).get(&state.name))
    }

    fn state(name: &str) -> ExtensionState {
        ExtensionState {
            name: name.into(),
            version: "1.1".into(),
            offered: Some("1.1".into()),
            ..ExtensionState::default()
        }
    }

    fn used(name: &str) -> ExtensionState {
        let some_dependents = vec!["column v of table packages".to_owned()];
        ExtensionState { dependents: 3, some_dependents, ..state(name) }
    }

    #[test]
    fn extension_with_a_newer_version_in_the_serving_image_is_updated_first() {
        let newer = ExtensionState { offered: Some("1.2".into()), ..used("hll") };
        assert_eq!(
            built_in(&newer),
            "ALTER EXTENSION \"hll\" UPDATE before the upgrade: the serving image has 1.2"
        );
    }

    #[test]
    fn extension_without_data_and_dependents_is_dropped_and_created_again() {
        let expected = "DROP EXTENSION \"uint\" before the upgrade, and CREATE EXTENSION \"uint\" afterwards: it holds no \
                        data, and nothing depends on it";
        assert_eq!(built_in(&state("uint")), expected);
        let repack = built_in(&state("pg_repack"));
        assert!(
            repack.starts_with("DROP EXTENSION \"pg_repack\"") && repack.contains("nothing depends"),
            "{repack}"
        );
        assert!(repack.ends_with("; see https://reorg.github.io/pg_repack/#installation"), "{repack}");
    }

    #[test]
    fn extension_in_use_is_not_to_be_dropped_without_a_word_about_its_dependents() {
        let text = built_in(&used("uint"));
        assert!(text.contains("it is in use (column v of table packages and 2 more)"), "{text}");
        assert!(!text.contains("DROP"), "{text}");
        let tables = built_in(&ExtensionState { has_tables: true, ..state("jobs") });
        assert!(tables.contains("its tables may hold data:") && !tables.contains("DROP"), "{tables}");
        let audit = built_in(&used("pgaudit"));
        assert!(audit.contains("together with what depends on it (column v"), "{audit}");
    }

    #[test]
    fn extension_that_a_catalog_entry_allows_to_recreate_is_dropped_and_created_again() {
        let known = Known { recreate: true, ..Known::default() };
        let text = remedy(&used("ledger"), Some(&known));
        assert!(text.starts_with("DROP EXTENSION \"ledger\"") && text.contains("together with"), "{text}");
    }

    #[test]
    fn extension_without_an_update_is_replaced_only_if_it_holds_no_data() {
        let knowledge = Knowledge::new(&[]);
        let instead = |name: &str| instead_of_update(name, knowledge.get(name));
        let audit = instead("pgaudit").unwrap();
        assert!(audit.starts_with("DROP EXTENSION \"pgaudit\"; CREATE EXTENSION \"pgaudit\": "), "{audit}");
        assert_eq!(instead("pg_cron"), None);
        assert_eq!(instead("hstore"), None);
    }

    #[test]
    fn extension_with_a_procedure_of_its_own_is_described_by_that() {
        let postgis = built_in(&ExtensionState { offered: Some("3.3.2".into()), ..used("postgis") });
        assert!(postgis.contains("postgis_extensions_upgrade()") && !postgis.contains("ALTER"), "{postgis}");
        let debversion = built_in(&used("debversion"));
        assert!(debversion.contains("oprnegate") && !debversion.contains("DROP"), "{debversion}");
    }
}
