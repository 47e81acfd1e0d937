use super::*;
use proptest::prelude::*;
use rstest::rstest;

fn node(text: &str) -> Node {
    match Value::parse(text).unwrap() {
        Value::Node(node) => node,
        other => panic!("{other:?}"),
    }
}

/// The trees of a version, each with its name.
fn trees(file: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    file.lines().filter_map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
        ["tree" | "defaults" | "body", name, tree] => Some((name, tree)),
        _ => None,
    })
}

#[test]
fn node_has_fields_in_any_order_and_lists() {
    let call = node("{FUNCEXPR :funcid 16602 :args ({VAR :varno 1} {CONST :constisnull true}) :location 47}");
    assert_eq!((call.name.as_str(), call.number("funcid")), ("FUNCEXPR", Some(16602)));
    assert_eq!(call.list("args").len(), 2);
    assert!(matches!(&call.list("args")[1], Value::Node(node) if node.is_true("constisnull")));
    let call = node("{FUNCEXPR :location 47 :args <> :funcid 7}");
    assert_eq!((call.number("funcid"), call.list("args").len()), (Some(7), 0));
}

#[test]
fn list_of_oids_has_its_numbers() {
    let compare = node("{ROWCOMPAREEXPR :rctype 1 :opnos (o 16610 97) :opfamilies (o 1976)}");
    let numbers = |field| compare.field(field).unwrap().numbers().collect::<Vec<_>>();
    assert_eq!((numbers("opnos"), numbers("opfamilies")), (vec![16610, 97], vec![1976]));
}

/// A role chooses the names of arguments.
#[test]
fn string_with_special_characters_is_neither_a_node_nor_a_field() {
    let text = r"{NAMEDARGEXPR :arg {VAR :varno 1} :name odd\ \{FUNCEXPR\ :funcid\ 7\}\ \) :argnumber 0}";
    let argument = node(text);
    assert_eq!(argument.number("argnumber"), Some(0));
    let name = argument.field("name").unwrap();
    assert_eq!(name, &Value::Atom(r"\odd {FUNCEXPR :funcid 7} )".to_owned()));
    let argument = node(r"{NAMEDARGEXPR :arg {VAR :varno 1} :name :arg :argnumber 0}");
    assert!(matches!(argument.field("arg"), Some(Value::Node(_))), "{argument:?}");
}

#[rstest]
#[case::nothing("", NodeTreeError::Unfinished)]
#[case::open("({VAR :varno 1}", NodeTreeError::Unfinished)]
#[case::other_bracket("({VAR :varno 1)}", NodeTreeError::Unexpected)]
#[case::closed_twice("{VAR :varno 1}}", NodeTreeError::Unexpected)]
#[case::second_tree("{VAR :varno 1} {VAR :varno 1}", NodeTreeError::Unexpected)]
#[case::value_without_a_field("{VAR 1}", NodeTreeError::Unexpected)]
#[case::node_without_a_name("{{VAR :varno 1}}", NodeTreeError::Unexpected)]
fn text_that_is_not_an_expression_is_an_error(#[case] text: &str, #[case] error: NodeTreeError) {
    assert_eq!(Value::parse(text), Err(error));
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| format!("{}{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Value::parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(Value::parse(&nested(MAX_DEPTH + 1)), Err(NodeTreeError::TooDeep));
    assert_eq!(Value::parse(&"(".repeat(1_000_000)), Err(NodeTreeError::TooDeep));
}

/// As `PostgreSQL` 13 to 18 have printed them, for the definitions in `fixtures/trees.sql`.
#[rstest]
#[case(include_str!("../fixtures/trees-13.tsv"))]
#[case(include_str!("../fixtures/trees-14.tsv"))]
#[case(include_str!("../fixtures/trees-15.tsv"))]
#[case(include_str!("../fixtures/trees-16.tsv"))]
#[case(include_str!("../fixtures/trees-17.tsv"))]
#[case(include_str!("../fixtures/trees-18.tsv"))]
fn trees_of_every_version_are_read(#[case] file: &'static str) {
    let mut count = 0;
    for (name, text) in trees(file) {
        assert!(Value::parse(text).is_ok(), "{name}: {text}");
        count += 1;
    }
    assert!(count > 30, "{count}");
}

/// A value, and its text.
fn value() -> impl Strategy<Value = (Value, String)> {
    let atom = "[a-zA-Z0-9_<>-]{1,6}".prop_map(|atom| (Value::Atom(atom.clone()), atom));
    atom.prop_recursive(6, 64, 5, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5).prop_map(|items| {
            let (values, texts): (Vec<_>, Vec<_>) = items.into_iter().unzip();
            (Value::List(values), format!("({})", texts.join(" ")))
        });
        let field = ("[a-z]{1,5}", prop::collection::vec(inner, 1..3));
        let node = ("[A-Z]{1,5}", prop::collection::vec(field, 0..4)).prop_map(|(name, fields)| {
            let mut text = format!("{{{name}");
            let mut read = Vec::new();
            for (name, items) in fields {
                let (values, texts): (Vec<_>, Vec<_>) = items.into_iter().unzip();
                text.extend([" :", &name, " ", &texts.join(" ")]);
                read.push(Field { name, values });
            }
            text.push('}');
            (Value::Node(Node { name, fields: read }), text)
        });
        prop_oneof![list, node]
    })
}

proptest! {
    #[test]
    fn written_tree_is_read_back((expected, text) in value()) {
        prop_assert_eq!(Value::parse(&text), Ok(expected));
    }

    #[test]
    fn any_text_is_read_or_an_error(text in ".{0,200}") {
        let _ = Value::parse(&text);
    }

    #[test]
    fn any_brackets_are_read_or_an_error(text in r"[(){}: \\a1]{0,200}") {
        let _ = Value::parse(&text);
    }
}
