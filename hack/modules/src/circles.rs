//! Circles in the graph of uses: its strongly connected components.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::resolve::Use;
use crate::tree::Tree;

/// Modules of which each one reaches each other one.
pub struct Circle {
    lines: Vec<String>,
}

impl fmt::Display for Circle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.lines.join("\n"))
    }
}

pub fn find(tree: &Tree, uses: &BTreeMap<(usize, usize), Use>) -> Vec<Circle> {
    let reached: Vec<BTreeSet<usize>> = (0..tree.modules.len()).map(|start| reach(start, uses)).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for start in 0..tree.modules.len() {
        let members: BTreeSet<usize> =
            reached[start].iter().copied().filter(|other| reached[*other].contains(&start)).collect();
        if members.len() > 1 && seen.insert(members.clone()) {
            circles.push(describe(tree, uses, &members));
        }
    }
    circles
}

/// The modules that one uses, directly or through others.
fn reach(start: usize, uses: &BTreeMap<(usize, usize), Use>) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![start];
    while let Some(user) = pending.pop() {
        for (_, used) in uses.range((user, 0)..=(user, usize::MAX)).map(|(pair, _)| pair) {
            if reached.insert(*used) {
                pending.push(*used);
            }
        }
    }
    reached
}

fn describe(tree: &Tree, uses: &BTreeMap<(usize, usize), Use>, members: &BTreeSet<usize>) -> Circle {
    let name = |index: &usize| tree.modules[*index].name.clone();
    let mut lines = vec![format!(
        "  circle of {}: {}",
        members.len(),
        members.iter().map(name).collect::<Vec<_>>().join(", ")
    )];
    for ((user, used), example) in uses {
        if members.contains(user) && members.contains(used) {
            let module = &tree.modules[*user];
            lines.push(format!(
                "    {} uses {}: {} ({}:{})",
                module.name,
                tree.modules[*used].name,
                example.path,
                module.file.display(),
                example.line
            ));
        }
    }
    Circle { lines }
}
