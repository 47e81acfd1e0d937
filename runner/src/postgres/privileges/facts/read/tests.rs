use super::*;

fn read(name: &str, columns: &[Option<&str>]) -> Facts {
    let kind = KINDS.iter().find(|kind| kind.name == name).unwrap();
    let mut facts = Facts::default();
    facts.add(kind, columns.iter().map(|column| column.map(ToOwned::to_owned)).collect());
    facts
}

fn text(name: &str, columns: &[Option<&str>]) -> String {
    read(name, columns).gives[0].to_string()
}

#[test]
fn grant_is_shown_with_its_grantee() {
    let grant = |grantee| [Some("s"), Some("t"), grantee, Some("SELECT"), Some("f")];
    let name = "grant on relation";
    assert_eq!(text(name, &grant(Some("app"))), "grant on relation: s, t, app: SELECT");
    assert_eq!(text(name, &grant(None)), "grant on relation: s, t, PUBLIC: SELECT");
    assert_eq!(text(name, &grant(Some("PUBLIC"))), "grant on relation: s, t, \"PUBLIC\": SELECT");
}

#[test]
fn name_with_a_separator_is_not_two_names() {
    let one = text("rule", &[Some("a, b"), Some("c")]);
    assert_ne!(one, text("rule", &[Some("a"), Some("b, c")]));
    assert_eq!(one, "rule: \"a, b\", c");
}

#[test]
fn function_is_known_by_its_definition() {
    let function = |config: &str, body: &str| {
        let columns = ["s", "f", "23 13001", "app", "sql", "t", "f", config, "", body].map(Some);
        text("function", &columns)
    };
    let expected = function("{\"search_path=a, b\"}", "SELECT 1");
    assert!(expected.starts_with("function: s, f, \"23 system\", app, sql, t, "), "{expected}");
    assert_eq!(function("{search_path=\"'a', 'b'\"}", "SELECT 1"), expected);
    assert_ne!(function("{\"search_path=a, b\"}", "SELECT 2"), expected);
}

#[test]
fn roles_of_a_policy_are_a_set() {
    let policy = |roles| [Some("s"), Some("t"), Some("p"), Some("r"), Some(roles), Some("t"), Some("f")];
    assert_eq!(text("policy", &policy("{16385,16384}")), text("policy", &policy("{16384,16385}")));
    assert!(read("restrictive policy", &policy("{0}")).gives.is_empty());
}

/// A function or operator that hostile code has created must not match better than the server's own.
#[test]
fn queries_name_the_servers_own_objects() {
    let named = regex::Regex::new(r"(?:FROM|JOIN|LATERAL) ([a-z_.]+)").unwrap();
    for kind in KINDS {
        let (_, query) = kind.sql.split_once("SELECT").unwrap();
        for operator in [" = ", " <> ", " >= ", " ~ ", " <= "] {
            assert!(!query.contains(operator), "{operator} in {query}");
        }
        for relation in named.captures_iter(query) {
            assert!(relation[1].starts_with("pg_catalog."), "{query}");
        }
    }
}
