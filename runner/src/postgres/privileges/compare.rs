//! Finds what a restore has added to the rights on a server. What the upgrade itself explains is left out: a new cluster of
//! the new version (`pristine`) has the new predefined roles, the version's own objects with their owners and grants, and
//! its owner and grants of the schema `public`. Everything else must have existed before.
//!
//! Rights that were lost are not reported: they escalate nothing.

mod known;
mod later;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::known::{Change, Known};
use super::difference::Difference;
use super::facts::KnownFacts;
use super::grants::{Allowed, describe};
use super::roles::{compare_memberships, compare_roles, compare_settings};
use super::snapshot::{DatabasePrivileges, Grant, Object, ObjectKind, Privileges, ServerPrivileges};
use super::system_code::SystemCode;

/// How large the facts are at most that are kept of all databases, in bytes. The file that they are stored in is read as a
/// whole.
const MAX_FACTS: usize = 8 << 20;

/// The rights on a server of the new version as `initdb` leaves it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Pristine {
    pub server: ServerPrivileges,
    /// Those in one of its databases, which are all alike.
    pub database: DatabasePrivileges,
}

/// What rights are compared with.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Baseline {
    /// Those of the serving database, while it served.
    pub before: Privileges,
    pub pristine: Pristine,
    pub old_major: u32,
    /// The rights on users' objects in each database, but for those with too many.
    #[serde(default)]
    facts: BTreeMap<String, KnownFacts>,
}

impl Baseline {
    /// Compares with the rights on the serving server, whose databases are added one by one.
    #[must_use]
    pub fn new(before: ServerPrivileges, pristine: Pristine, old_major: u32) -> Self {
        let before = Privileges { server: before, databases: BTreeMap::new() };
        Self { before, pristine, old_major, facts: BTreeMap::new() }
    }

    /// Adds the rights in a database, without what a new cluster has too: hundreds of objects in each.
    pub fn add_database(&mut self, name: &str, mut before: DatabasePrivileges) {
        let facts = KnownFacts::of(&std::mem::take(&mut before.facts));
        if self.facts.values().map(KnownFacts::bytes).sum::<usize>() + facts.bytes() <= MAX_FACTS {
            self.facts.insert(name.to_owned(), facts);
        }
        let pristine = by_name(&self.pristine.database.objects);
        before.objects.retain(|object| {
            let adds = |known: &Object| {
                known.owner != object.owner || object.grants.iter().any(|grant| !known.grants.contains(grant))
            };
            match pristine.get(&(object.kind, object.name.as_str())) {
                Some(known) => !object.built_in || adds(known),
                // Those with a definition are all read, so the new version does not have it.
                None => !object.built_in || object.definition.is_none(),
            }
        });
        self.before.databases.insert(name.to_owned(), before);
    }

    /// The databases whose objects are too many to compare the rights on them.
    pub fn without_facts(&self) -> impl Iterator<Item = &str> {
        let names = self.before.databases.keys().filter(|name| !self.facts.contains_key(*name));
        names.map(String::as_str)
    }

    /// What code has added to the system's own, or changed, in the database `name`. Then no other answer means anything.
    #[must_use]
    pub fn compare_system_code(&self, name: &str, after: &SystemCode) -> Vec<Difference> {
        let nothing = SystemCode::default();
        let before = self.before.databases.get(name).map_or(&nothing, |before| &before.system_code);
        after.compare(name, before, &self.pristine.database.system_code)
    }

    /// Rights on the server that nothing explains.
    #[must_use]
    pub fn compare_server(&self, after: &ServerPrivileges) -> Vec<Difference> {
        let (before, pristine) = (&self.before.server, &self.pristine.server);
        let mut found = compare_roles(&before.roles, &after.roles, &pristine.roles);
        found.extend(compare_memberships(&before.memberships, &after.memberships, &pristine.memberships));
        found.extend(compare_settings(&before.settings, &after.settings));
        found.extend(self.compare_objects(None, &before.objects, &after.objects, &pristine.objects));
        found
    }

    /// Rights in the database `name` that nothing explains.
    #[must_use]
    pub fn compare_database(&self, name: &str, after: &DatabasePrivileges) -> Vec<Difference> {
        let nothing = DatabasePrivileges::default();
        let before = self.before.databases.get(name).unwrap_or(&nothing);
        let mut found = self.compare_system_code(name, &after.system_code);
        if found.is_empty() {
            let pristine = &self.pristine.database.objects;
            found.extend(self.compare_objects(Some(name), &before.objects, &after.objects, pristine));
            let known = self.facts.get(name);
            found.extend(
                known.map(|known| known.compare(name, &after.facts, self.old_major)).unwrap_or_default(),
            );
        }
        found
    }

    /// Rights on the server and in its databases that nothing explains.
    #[must_use]
    pub fn compare(&self, after: &Privileges) -> Vec<Difference> {
        let databases = after.databases.iter().flat_map(|(name, after)| self.compare_database(name, after));
        self.compare_server(&after.server).into_iter().chain(databases).collect()
    }

    fn compare_objects(
        &self,
        database: Option<&str>,
        before: &[Object],
        after: &[Object],
        pristine: &[Object],
    ) -> Vec<Difference> {
        let (before, pristine) = (by_name(before), by_name(pristine));
        let superusers: BTreeSet<_> = self.superusers().collect();
        let mut found = Vec::new();
        for object in after {
            let key = (object.kind, object.name.as_str());
            let known = Known { before: before.get(&key).copied(), pristine: pristine.get(&key).copied() };
            let differences = if let Some(difference) = known.compare_definition(object) {
                // Owner and grants of what did not exist, or is something else, say nothing more.
                vec![difference]
            } else {
                let owner = known.compare_owner(object, &superusers);
                owner.into_iter().chain(self.compare_grants(object, &known, &superusers)).collect()
            };
            found.extend(differences.into_iter().map(|(before, after)| Difference {
                object: format!("{} {}", object.kind, object.name),
                database: database.map(ToOwned::to_owned),
                before,
                after,
            }));
        }
        found
    }

    /// Roles that can do everything anyway.
    fn superusers(&self) -> impl Iterator<Item = &str> {
        let roles = self.before.server.roles.iter().chain(&self.pristine.server.roles);
        roles.filter(|role| role.superuser).map(|role| role.name.as_str())
    }

    fn compare_grants(&self, object: &Object, known: &Known<'_>, superusers: &BTreeSet<&str>) -> Vec<Change> {
        let allowed = Allowed::of(object, known.before, known.pristine, self.old_major);
        let is_explained = |grant: &&Grant| {
            let grantee = grant.0.as_deref();
            let needs_none = grantee.is_some_and(|name| superusers.contains(name));
            needs_none || (grantee.is_some() && grantee == object.owner.as_deref()) || allowed.allows(grant)
        };
        let unexplained = object.grants.iter().filter(|grant| !is_explained(grant));
        unexplained.map(|grant| ("not granted".to_owned(), describe(grant))).collect()
    }
}

fn by_name(objects: &[Object]) -> BTreeMap<(ObjectKind, &str), &Object> {
    objects.iter().map(|object| ((object.kind, object.name.as_str()), object)).collect()
}

#[cfg(test)]
mod tests;
