//! The objects in the YAML blocks of a page of documentation, as texts for kubectl.

const FENCE: &str = "```";
const YAML: &str = "yaml";
/// Separates the objects of one block.
const SEPARATOR: &str = "\n---\n";

/// What a block that shows only the `spec` of a request leaves out.
const REQUEST: &str =
    "apiVersion: ops.kubedb.com/v1alpha1\nkind: PostgresOpsRequest\nmetadata: { name: example }\n";
/// The same of a database.
const DATABASE: &str = "apiVersion: kubedb.com/v1\nkind: Postgres\nmetadata: { name: example }\n";
/// What every database has, for the end of its `spec`.
const DATABASE_FIELDS: &str =
    "  version: \"17.11\"\n  storage: { resources: { requests: { storage: 1Gi } } }\n";

/// An object that a page shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocumentedObject {
    /// Number of the line at which its block begins.
    pub line: usize,
    /// Its API version.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// All of it.
    pub manifest: String,
}

impl DocumentedObject {
    /// The objects of a page. A block that begins with `spec:` is that of a request if it has a type, else of a database;
    /// blocks that are neither, such as values of the chart, are left out.
    #[must_use]
    pub fn of_page(page: &str) -> Vec<Self> {
        blocks(page).into_iter().flat_map(|(line, block)| Self::of_yaml(&block, line)).collect()
    }

    /// The objects of a YAML file, or of a block that begins at this line.
    #[must_use]
    pub fn of_yaml(yaml: &str, line: usize) -> Vec<Self> {
        let texts = yaml.split(SEPARATOR).map(|text| format!("{}\n", text.trim_end()));
        texts.filter_map(|text| Self::parse(completed(text), line)).collect()
    }

    fn parse(manifest: String, line: usize) -> Option<Self> {
        let field = |name: &str| {
            let value = manifest.lines().find_map(|line| line.strip_prefix(name));
            value.map(|value| value.trim().to_owned())
        };
        Some(Self { line, api_version: field("apiVersion:")?, kind: field("kind:")?, manifest })
    }
}

/// The YAML blocks of a page, each with the number of the line at which it begins. A block in a list is indented.
fn blocks(page: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open = None;
    for (number, line) in (1..).zip(page.lines()) {
        let text = line.trim_start();
        let indentation = line.len() - text.len();
        open = match open {
            Some((first, _, block)) if text == FENCE => {
                blocks.push((first, block));
                None
            }
            Some((first, of_block, block)) => {
                let content = &line[indentation.min(of_block)..];
                Some((first, of_block, format!("{block}{content}\n")))
            }
            None => (text.strip_prefix(FENCE) == Some(YAML)).then(|| (number, indentation, String::new())),
        };
    }
    blocks
}

/// A manifest of which only the `spec` is shown, with the rest.
fn completed(text: String) -> String {
    if !text.starts_with("spec:\n") {
        return text;
    }
    let is_request = text.lines().any(|line| line.starts_with("  type: "));
    if is_request { format!("{REQUEST}{text}") } else { format!("{DATABASE}{text}{DATABASE_FIELDS}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Title\n```yaml\n# file: a.yaml\napiVersion: v1\nkind: A\n---\napiVersion: v2\nkind: B\n```\n\
        1. Text:\n\n   ```yaml\n   apiVersion: v3\n   kind: C\n   spec:\n     d: e\n   ```\n```\nkind: none\n```\n\
        ```yaml\n# values\nf: g\n```\n";

    #[test]
    fn page_shows_objects_and_other_blocks() {
        let found = DocumentedObject::of_page(PAGE);
        let objects: Vec<_> =
            found.iter().map(|it| (it.line, it.api_version.as_str(), it.kind.as_str())).collect();
        assert_eq!(objects, [(2, "v1", "A"), (2, "v2", "B"), (12, "v3", "C")]);
        assert_eq!(found[0].manifest, "# file: a.yaml\napiVersion: v1\nkind: A\n");
        assert_eq!(found[2].manifest, "apiVersion: v3\nkind: C\nspec:\n  d: e\n");
    }

    #[test]
    fn spec_alone_is_completed() {
        let found = DocumentedObject::of_page(
            "```yaml\nspec:\n  type: Restart\n```\n```yaml\nspec:\n  sslMode: require\n```\n",
        );
        let manifests: Vec<_> = found.iter().map(|it| it.manifest.as_str()).collect();
        assert_eq!(
            manifests,
            [
                format!("{REQUEST}spec:\n  type: Restart\n"),
                format!("{DATABASE}spec:\n  sslMode: require\n{DATABASE_FIELDS}")
            ]
        );
        assert_eq!(found[0].kind, "PostgresOpsRequest");
    }
}
