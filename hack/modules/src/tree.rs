//! The modules of a crate with what each defines, imports and names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Meta, UseTree, Visibility};

/// All modules of a crate; the first one is its root.
pub struct Tree {
    pub modules: Vec<Module>,
}

#[derive(Default)]
pub struct Module {
    /// As in `crate::steps::preflight`.
    pub name: String,
    pub file: PathBuf,
    pub parent: Option<usize>,
    pub children: BTreeMap<String, usize>,
    /// Names of the items that are defined here.
    pub items: BTreeSet<String>,
    /// What a name that is imported or re-exported here stands for.
    pub imports: BTreeMap<String, Vec<String>>,
    /// Paths that all names are imported from.
    pub globs: Vec<Vec<String>>,
    /// Paths that the code names.
    pub paths: Vec<NamedPath>,
}

pub struct NamedPath {
    pub segments: Vec<String>,
    pub line: usize,
}

impl Tree {
    pub fn load(root: &Path) -> anyhow::Result<Self> {
        let mut tree = Self { modules: Vec::new() };
        let module = Module { name: "crate".to_owned(), file: root.to_owned(), ..Module::default() };
        let directory = root.parent().unwrap_or(Path::new("")).to_owned();
        tree.add_file(module, &directory)?;
        Ok(tree)
    }

    /// Adds the module of a file. The files of its children are below `directory`.
    fn add_file(&mut self, module: Module, directory: &Path) -> anyhow::Result<usize> {
        let file = module.file.clone();
        let source =
            std::fs::read_to_string(&file).with_context(|| format!("failed to read {}", file.display()))?;
        let syntax =
            syn::parse_file(&source).with_context(|| format!("failed to parse {}", file.display()))?;
        self.add_items(module, &syntax.items, directory)
    }

    fn add_items(&mut self, module: Module, items: &[Item], directory: &Path) -> anyhow::Result<usize> {
        let index = self.modules.len();
        self.modules.push(module);
        let mut collector = Collector { module: &mut self.modules[index] };
        for item in items {
            collector.visit_item(item);
        }
        for item in items {
            if let Item::Mod(child) = item
                && !is_test(&child.attrs)
            {
                self.add_child(index, child, directory)?;
            }
        }
        Ok(index)
    }

    fn add_child(&mut self, parent: usize, child: &ItemMod, directory: &Path) -> anyhow::Result<()> {
        let name = child.ident.to_string();
        let mut module = Module {
            name: format!("{}::{name}", self.modules[parent].name),
            file: self.modules[parent].file.clone(),
            parent: Some(parent),
            ..Module::default()
        };
        let below = directory.join(&name);
        let index = if let Some((_, items)) = &child.content {
            self.add_items(module, items, &below)?
        } else {
            let flat = directory.join(format!("{name}.rs"));
            module.file = if flat.exists() { flat } else { below.join("mod.rs") };
            self.add_file(module, &below)?
        };
        self.modules[parent].children.insert(name, index);
        Ok(())
    }
}

/// Collects what one module contains, without its child modules.
struct Collector<'a> {
    module: &'a mut Module,
}

impl Collector<'_> {
    fn define(&mut self, item: &Item) {
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            _ => return,
        };
        self.module.items.insert(name.to_string());
    }

    fn import(&mut self, item: &ItemUse) {
        let mut leaves = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
        let is_private = matches!(item.vis, Visibility::Inherited);
        for (name, segments) in leaves {
            if is_private {
                self.name(segments.clone(), item.span().start().line);
            }
            if name == "*" {
                self.module.globs.push(segments);
            } else if segments != [name.as_str()] {
                self.module.imports.insert(name, segments);
            }
        }
    }

    fn name(&mut self, segments: Vec<String>, line: usize) {
        self.module.paths.push(NamedPath { segments, line });
    }

    /// Paths in the arguments of a macro, which are not parsed.
    fn scan(&mut self, tokens: TokenStream) {
        let mut segments: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        segments.clear();
                    }
                    segments.push(ident.to_string());
                    self.name(segments.clone(), ident.span().start().line);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    self.scan(group.stream());
                    segments.clear();
                    colons = 0;
                }
                _ => {
                    segments.clear();
                    colons = 0;
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Collector<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_test(attributes(item)) {
            return;
        }
        self.define(item);
        match item {
            // A module of its own.
            Item::Mod(_) => {}
            Item::Use(item) => self.import(item),
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.name(segments, path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone());
    }

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

/// The names that a `use` brings in, with their paths; the name of a glob is `*`.
fn flatten(tree: &UseTree, prefix: &mut Vec<String>, leaves: &mut Vec<(String, Vec<String>)>) {
    let mut leaf = |name: String, last: Option<String>| {
        let mut path = prefix.clone();
        // `use a::{self}` imports `a`.
        path.extend(last.filter(|last| prefix.is_empty() || last != "self"));
        leaves.push((name, path));
    };
    match tree {
        UseTree::Name(item) if item.ident == "self" => {
            let name = prefix.last().cloned().unwrap_or_default();
            leaf(name, None);
        }
        UseTree::Name(item) => leaf(item.ident.to_string(), Some(item.ident.to_string())),
        UseTree::Rename(item) => leaf(item.rename.to_string(), Some(item.ident.to_string())),
        UseTree::Glob(_) => leaf("*".to_owned(), None),
        UseTree::Path(item) => {
            prefix.push(item.ident.to_string());
            flatten(&item.tree, prefix, leaves);
            prefix.pop();
        }
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, prefix, leaves);
            }
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition = list.tokens.to_string();
            condition == "test" || (condition.starts_with("any") && condition.contains("test"))
        }
        _ => false,
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
