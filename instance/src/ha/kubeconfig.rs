//! The way to the API server: the sidecar, which alone has a token, and lets through what concerns this database.

use serde_json::json;

/// The only context.
pub const CONTEXT: &str = "pgops";
/// Where the sidecar listens.
pub const PROXY: &str = "http://127.0.0.1:8009";

/// The file. As JSON, which is YAML too.
pub fn kubeconfig() -> String {
    let file = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "contexts": [{ "name": CONTEXT, "context": { "cluster": CONTEXT, "user": CONTEXT } }],
        "clusters": [{ "name": CONTEXT, "cluster": { "server": PROXY } }],
        "users": [{ "name": CONTEXT, "user": {} }],
    });
    format!("{file:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubeconfig_leads_to_the_sidecar_without_a_token() {
        insta::assert_snapshot!(kubeconfig());
    }
}
