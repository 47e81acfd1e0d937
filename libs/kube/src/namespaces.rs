//! The namespaces that a program works in.

use clap::Args;
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource};

/// The flag for the namespaces that a program works in.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
pub struct NamespaceArgs {
    /// Namespaces to watch, separated by commas; all if empty.
    #[arg(long, env = "PGOPS_WATCH_NAMESPACES", value_name = "NAMESPACES", value_delimiter = ',')]
    watch_namespaces: Vec<String>,
}

/// The namespaces that a program works in. In any other it may have no rights at all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Namespaces {
    /// All namespaces, those created later too.
    All,
    /// These namespaces.
    Only(Vec<String>),
}

impl NamespaceArgs {
    /// The namespaces, each once.
    #[must_use]
    pub fn namespaces(&self) -> Namespaces {
        // An empty environment variable is one empty name.
        let names = self.watch_namespaces.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
        let mut names: Vec<String> = names.map(ToOwned::to_owned).collect();
        names.sort();
        names.dedup();
        if names.is_empty() { Namespaces::All } else { Namespaces::Only(names) }
    }
}

impl Namespaces {
    /// What to watch to see all objects of a kind in these namespaces.
    #[must_use]
    pub fn apis<K>(&self, client: &Client) -> Vec<Api<K>>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        self.scopes().into_iter().map(|scope| scope.api(client)).collect()
    }

    /// The parts that are watched apart from each other: every namespace, or all together.
    #[must_use]
    pub fn scopes(&self) -> Vec<NamespaceScope> {
        match self {
            Self::All => vec![NamespaceScope(None)],
            Self::Only(names) => names.iter().map(|name| NamespaceScope(Some(name.clone()))).collect(),
        }
    }
}

/// One namespace, or all of them: what one watch covers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NamespaceScope(Option<String>);

impl NamespaceScope {
    /// The objects of a kind in this scope.
    #[must_use]
    pub fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        match &self.0 {
            None => Api::all(client.clone()),
            Some(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaces(names: &[&str]) -> Namespaces {
        NamespaceArgs { watch_namespaces: names.iter().map(|name| (*name).to_owned()).collect() }.namespaces()
    }

    #[test]
    fn namespaces_are_all_unless_some_are_named() {
        assert_eq!(namespaces(&[]), Namespaces::All);
        assert_eq!(namespaces(&[""]), Namespaces::All, "an empty environment variable");
        assert_eq!(namespaces(&[]).scopes(), [NamespaceScope(None)]);
    }

    #[test]
    fn namespace_is_watched_once_although_it_is_named_twice() {
        let named = namespaces(&["shop", " demo", "shop"]);
        assert_eq!(named, Namespaces::Only(vec!["demo".to_owned(), "shop".to_owned()]));
        assert_eq!(named.scopes().len(), 2);
    }
}
