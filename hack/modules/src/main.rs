//! `pgops-modules` fails if modules of a crate import each other in a circle: `make modules`.
//!
//! A module uses another one if it names an item that is defined there, also through a re-export. A re-export alone
//! does not count, so a parent may re-export its children while they use the parent's vocabulary; a parent that calls
//! a child which imports from the parent is a circle. Code below `#[cfg(test)]` does not count either.
//!
//! Method calls are not resolved to the module of their `impl` block: that would take type inference.

mod circles;
mod resolve;
#[cfg(test)]
mod tests;
mod tree;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};
use serde_json::Value;

/// A library or program of the workspace.
struct Target {
    name: String,
    root: PathBuf,
}

fn main() -> anyhow::Result<ExitCode> {
    let mut total = 0;
    for target in targets()? {
        let tree = tree::Tree::load(&target.root)?;
        let uses = resolve::uses(&tree);
        let circles = circles::find(&tree, &uses);
        println!("{}: {} modules, {} circles", target.name, tree.modules.len(), circles.len());
        for circle in &circles {
            println!("{circle}");
        }
        total += circles.len();
    }
    Ok(if total == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The libraries and programs of the workspace, as cargo knows them; test targets and examples are left out.
fn targets() -> anyhow::Result<Vec<Target>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("failed to run cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("failed to parse cargo metadata's output")?;
    let workspace = std::env::current_dir().context("failed to read the working directory")?;
    let targets = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|package| package["targets"].as_array())
        .flatten()
        .filter(|target| target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(is_checked)))
        .filter_map(|target| {
            let kind = target["kind"][0].as_str()?;
            let name = target["name"].as_str()?;
            let path = Path::new(target["src_path"].as_str()?);
            let root = path.strip_prefix(&workspace).unwrap_or(path).to_owned();
            Some(Target { name: format!("{name} ({kind})"), root })
        })
        .collect();
    Ok(targets)
}

fn is_checked(kind: &Value) -> bool {
    kind == "lib" || kind == "bin"
}
