//! Which module the items that another one names are defined in.

use std::collections::BTreeMap;

use crate::tree::Tree;

/// Re-exports that are followed for one path: a limit for those that lead back to themselves.
const MAX_DEPTH: usize = 16;

/// Where a module uses another one: an example, for people.
pub struct Use {
    pub path: String,
    pub line: usize,
}

/// For each pair of modules, the first place where the one uses the other.
pub fn uses(tree: &Tree) -> BTreeMap<(usize, usize), Use> {
    let mut uses = BTreeMap::new();
    for (user, module) in tree.modules.iter().enumerate() {
        for path in &module.paths {
            if let Some(Found::Item(definer)) = resolve(tree, user, &path.segments, MAX_DEPTH)
                && definer != user
            {
                uses.entry((user, definer))
                    .or_insert_with(|| Use { path: path.segments.join("::"), line: path.line });
            }
        }
    }
    uses
}

enum Found {
    Module(usize),
    /// An item, or what is below it, such as a variant or an associated function.
    Item(usize),
}

/// Nothing if the path leads out of the crate or names something local, such as a variable.
fn resolve(tree: &Tree, from: usize, segments: &[String], depth: usize) -> Option<Found> {
    let depth = depth.checked_sub(1)?;
    let mut current = from;
    for (position, segment) in segments.iter().enumerate() {
        let module = &tree.modules[current];
        match segment.as_str() {
            "crate" => current = 0,
            "self" => {}
            "super" => current = module.parent?,
            name => {
                if let Some(child) = module.children.get(name) {
                    current = *child;
                } else if module.items.contains(name) {
                    return Some(Found::Item(current));
                } else {
                    match import(tree, current, name, depth)? {
                        Found::Item(definer) => return Some(Found::Item(definer)),
                        Found::Module(target) if position + 1 == segments.len() => {
                            return Some(Found::Module(target));
                        }
                        Found::Module(target) => current = target,
                    }
                }
            }
        }
    }
    Some(Found::Module(current))
}

/// What a name stands for that a module imports, by itself or with all names of another module.
fn import(tree: &Tree, module: usize, name: &str, depth: usize) -> Option<Found> {
    if let Some(path) = tree.modules[module].imports.get(name) {
        return resolve(tree, module, path, depth);
    }
    tree.modules[module].globs.iter().find_map(|glob| {
        let Found::Module(source) = resolve(tree, module, glob, depth)? else { return None };
        if source == module {
            return None;
        }
        resolve(tree, source, &[name.to_owned()], depth)
    })
}
