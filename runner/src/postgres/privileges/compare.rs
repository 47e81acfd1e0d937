//! Finds what a restore has added to the rights on a server. What the upgrade itself explains is left out: a new cluster of
//! the new version (`pristine`) has the new predefined roles, the version's own objects with their owners and grants, and
//! its owner and grants of the schema `public`. Everything else must have existed before.
//!
//! Rights that were lost are not reported: they escalate nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::difference::Difference;
use super::grants::{Allowed, describe};
use super::roles::{compare_memberships, compare_roles, compare_settings};
use super::snapshot::{DatabasePrivileges, Grant, Object, ObjectKind, Privileges, ServerPrivileges};

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
}

impl Baseline {
    /// Compares with the rights on the serving server, whose databases are added one by one.
    #[must_use]
    pub fn new(before: ServerPrivileges, pristine: Pristine, old_major: u32) -> Self {
        let before = Privileges { server: before, databases: BTreeMap::new() };
        Self { before, pristine, old_major }
    }

    /// Adds the rights in a database, without what a new cluster has too: hundreds of objects in each.
    pub fn add_database(&mut self, name: &str, mut before: DatabasePrivileges) {
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
        self.compare_objects(Some(name), &before.objects, &after.objects, &self.pristine.database.objects)
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

    fn compare_grants(
        &self,
        object: &Object,
        known: &Known<'_>,
        superusers: &BTreeSet<&str>,
    ) -> Vec<(String, String)> {
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

/// What is known of an object from before, and from a new cluster.
struct Known<'a> {
    before: Option<&'a Object>,
    pristine: Option<&'a Object>,
}

/// What was before, and what is after.
type Change = (String, String);

impl Known<'_> {
    fn each(&self) -> impl Iterator<Item = &Object> {
        self.before.into_iter().chain(self.pristine)
    }

    /// Whether the object did not exist, or is another one now.
    fn compare_definition(&self, object: &Object) -> Option<Change> {
        if self.each().next().is_none() && !is_implied(object) {
            return Some(("does not exist".to_owned(), "exists".to_owned()));
        }
        let Some(definition) = &object.definition else { return None };
        let same = self.each().any(|known| known.definition.as_ref() == Some(definition));
        (!same).then(|| ("another definition".to_owned(), without_digest(definition)))
    }

    /// Whether its owner has changed. Nothing of the server's own is read unless its owner or grants are not the default,
    /// so what is unknown belongs to the superuser that made it.
    fn compare_owner(&self, object: &Object, superusers: &BTreeSet<&str>) -> Option<Change> {
        let owner = object.owner.as_deref()?;
        if self.each().next().is_none() && !object.built_in {
            // Default privileges, whose name has the owner.
            return None;
        }
        let known = self.each().any(|known| known.owner.as_deref() == Some(owner));
        // A restore in binary upgrade mode creates extensions as the superuser that restores, and sets no owner: a role that
        // had created a trusted one loses it.
        let is_the_servers =
            (object.built_in || object.kind == ObjectKind::Extension) && superusers.contains(owner);
        (!known && !is_the_servers).then(|| {
            let before = self.each().find_map(|known| known.owner.as_deref()).unwrap_or("a superuser");
            (format!("owner \"{before}\""), format!("owner \"{owner}\""))
        })
    }
}

/// Whether an object exists although it was not read before: because the server has it with its default rights, or because
/// only what is granted makes it one.
fn is_implied(object: &Object) -> bool {
    match object.kind {
        ObjectKind::Parameter | ObjectKind::Column | ObjectKind::DefaultPrivileges => true,
        // Those with a definition are all read.
        _ => object.built_in && object.definition.is_none(),
    }
}

/// A definition for a message: 32 or 64 hexadecimal digits tell a reader nothing.
fn without_digest(definition: &str) -> String {
    let words = definition.split(' ').map(|word| {
        let is_digest = word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_digest { "(digest)" } else { word }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
