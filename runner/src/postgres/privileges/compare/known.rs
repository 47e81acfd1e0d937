//! Whether an object is the one that was known, and has the owner that it had.

use std::collections::BTreeSet;

use super::super::snapshot::{Object, ObjectKind};

/// What is known of an object from before, and from a new cluster.
pub(super) struct Known<'a> {
    pub(super) before: Option<&'a Object>,
    pub(super) pristine: Option<&'a Object>,
}

/// What was before, and what is after.
pub(super) type Change = (String, String);

impl Known<'_> {
    fn each(&self) -> impl Iterator<Item = &Object> {
        self.before.into_iter().chain(self.pristine)
    }

    /// Whether the object did not exist, or is another one now.
    pub(super) fn compare_definition(&self, object: &Object) -> Option<Change> {
        if self.each().next().is_none() && !is_implied(object) {
            return Some(("does not exist".to_owned(), "exists".to_owned()));
        }
        let Some(definition) = &object.definition else { return None };
        let same = self.each().any(|known| known.definition.as_ref() == Some(definition));
        (!same).then(|| ("another definition".to_owned(), without_digest(definition)))
    }

    /// Whether its owner has changed. Nothing of the server's own is read unless its owner or grants are not the default,
    /// so what is unknown belongs to the superuser that made it.
    pub(super) fn compare_owner(&self, object: &Object, superusers: &BTreeSet<&str>) -> Option<Change> {
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
