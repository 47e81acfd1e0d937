//! What is known of extensions: what is built in, and what the target's catalog entry says, which takes precedence.

use std::collections::BTreeMap;

use pgops_api::constraint::Constraint;
use pgops_api::postgresversion::{
    ExtensionRule, ExtensionSpec, InvalidExtension, Preload, UpdateBeforeUpgrade,
};

use super::known::{BuiltIn, FollowUp, built_in};

/// What is known of an extension.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Known {
    /// If the target rejects its objects, it is dropped before the upgrade and created afterwards.
    pub recreate: bool,
    /// What to do if something is found about it.
    pub advice: Option<String>,
    /// Who says so; `None` if the catalog entry does.
    pub source: Option<&'static str>,
    pub update_before_upgrade: Option<UpdateBeforeUpgrade>,
    /// Versions that cannot be upgraded.
    pub not_carried: Option<Constraint>,
    pub follow_up: FollowUp,
}

impl From<BuiltIn> for Known {
    fn from(built_in: BuiltIn) -> Self {
        Self {
            recreate: built_in.recreate,
            advice: Some(built_in.advice.to_owned()),
            source: Some(built_in.source),
            update_before_upgrade: built_in.update_before_upgrade,
            not_carried: None,
            follow_up: built_in.follow_up,
        }
    }
}

impl Known {
    fn apply(&mut self, rule: ExtensionRule) {
        if let Some(recreate) = rule.recreate {
            self.recreate = recreate;
        }
        if let Some(instructions) = rule.instructions {
            self.advice = Some(instructions);
            self.source = None;
        }
        if let Some(function) = rule.update_function {
            self.follow_up = FollowUp::Run(function);
        }
        self.update_before_upgrade = rule.update_before_upgrade.or(self.update_before_upgrade);
        self.not_carried = rule.not_carried.or(self.not_carried.take());
    }

    /// What to do if something is found about it, with its source.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let advice = self.advice.as_ref()?;
        Some(self.source.map_or_else(|| advice.clone(), |source| format!("{advice}; see {source}")))
    }
}

/// What is known of all extensions.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Knowledge {
    extensions: BTreeMap<String, Known>,
    /// What the servers of an upgrade need libraries for, by the catalog entry.
    pub libraries: BTreeMap<String, Preload>,
    /// Why the catalog entry cannot be used: then only what is built in is known.
    pub invalid: Option<InvalidExtension>,
}

impl Knowledge {
    /// Merges what is built in with the target's catalog entry.
    ///
    /// An entry that is invalid fails no step: a completed upgrade must not fail here. The preflight reports it.
    #[must_use]
    pub fn new(entry: &[ExtensionSpec]) -> Self {
        let built_in = built_in().into_iter().map(|it| (it.name.to_owned(), Known::from(it))).collect();
        let mut knowledge = Self { extensions: built_in, ..Self::default() };
        match ExtensionRule::parse_all(entry) {
            Ok(rules) => rules.into_iter().for_each(|rule| knowledge.apply(rule)),
            Err(invalid) => knowledge.invalid = Some(invalid),
        }
        knowledge
    }

    fn apply(&mut self, rule: ExtensionRule) {
        if let Some((need, library)) = rule.preload.clone() {
            self.libraries.insert(library, need);
        }
        self.extensions.entry(rule.name.clone()).or_default().apply(rule);
    }

    /// What is known of an extension, if anything.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Known> {
        self.extensions.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> ExtensionSpec {
        ExtensionSpec { name: name.into(), ..ExtensionSpec::default() }
    }

    #[test]
    fn extension_that_is_not_known_has_no_advice() {
        let knowledge = Knowledge::new(&[]);
        assert_eq!(knowledge.get("hstore"), None);
        let repack = knowledge.get("pg_repack").unwrap();
        assert!(repack.recreate && repack.advice().unwrap().ends_with("#installation"), "{repack:?}");
    }

    #[test]
    fn catalog_entry_takes_precedence_field_by_field() {
        let postgis = ExtensionSpec {
            update_function: Some("postgis_extensions_upgrade".into()),
            not_carried: Some("< 2.5".into()),
            ..entry("postgis")
        };
        let audit = ExtensionSpec {
            recreate: Some(false),
            instructions: Some("see https://audit.example".into()),
            preload: Some(Preload::Never),
            library: Some("pgaudit_next".into()),
            ..entry("pgaudit")
        };
        let knowledge = Knowledge::new(&[postgis, audit]);
        let postgis = knowledge.get("postgis").unwrap();
        assert!(
            matches!(&postgis.follow_up, FollowUp::Run(name) if name.name == "postgis_extensions_upgrade")
        );
        assert!(postgis.not_carried.is_some());
        assert!(
            postgis.advice().unwrap().contains("; see https://postgis.net/"),
            "kept from what is built in"
        );
        let audit = knowledge.get("pgaudit").unwrap();
        assert!(!audit.recreate);
        assert_eq!(audit.advice().as_deref(), Some("see https://audit.example"));
        assert_eq!(knowledge.libraries, [("pgaudit_next".to_owned(), Preload::Never)].into());
    }

    #[test]
    fn invalid_catalog_entry_leaves_what_is_built_in() {
        let knowledge =
            Knowledge::new(&[entry("-"), ExtensionSpec { recreate: Some(true), ..entry("citus") }]);
        assert_eq!(knowledge.invalid.as_ref().unwrap().field, "spec.extensions[0].name");
        assert!(!knowledge.get("citus").unwrap().recreate);
    }

    #[test]
    fn function_that_could_adopt_objects_of_users_is_not_run_unless_an_entry_names_it() {
        let knowledge = Knowledge::new(&[]);
        let follow_up = |name: &str| &knowledge.get(name).unwrap().follow_up;
        let FollowUp::Recommended(postgis) = follow_up("postgis") else {
            panic!("{:?}", follow_up("postgis"))
        };
        assert!(postgis.starts_with("SELECT postgis_extensions_upgrade()"), "{postgis}");
        // It would update `postgis_topology` too.
        assert!(postgis.contains("FixCorruptTopoGeometryColumn"), "{postgis}");
        assert_eq!(follow_up("citus"), &FollowUp::Operator("SELECT citus_finish_pg_upgrade()"));
        let runs = knowledge.extensions.values().any(|known| matches!(known.follow_up, FollowUp::Run(_)));
        assert!(!runs);
    }
}
