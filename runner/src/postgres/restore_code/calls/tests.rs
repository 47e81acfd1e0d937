use std::collections::{BTreeMap, BTreeSet};

use super::*;
use rstest::rstest;

/// What PostgreSQL has printed for the definitions in `fixtures/trees.sql`.
struct Trees {
    functions: BTreeMap<Callee, &'static str>,
    mutable: BTreeSet<&'static str>,
    expressions: BTreeMap<&'static str, Value>,
}

impl Trees {
    fn read(file: &'static str) -> Self {
        let mut trees =
            Self { functions: BTreeMap::new(), mutable: BTreeSet::new(), expressions: BTreeMap::new() };
        for line in file.lines() {
            let oid = |text: &str| text.parse::<Oid>().unwrap();
            match line.split('\t').collect::<Vec<_>>()[..] {
                ["function", function, name, volatility] => {
                    trees.functions.insert(Callee::Function(oid(function)), name);
                    if volatility != "i" {
                        trees.mutable.insert(name);
                    }
                }
                ["operator", operator, name] => {
                    trees.functions.insert(Callee::Operator(oid(operator)), name);
                }
                ["class", family, of_type] => {
                    trees.functions.insert(Callee::Family(oid(family)), "c_cmp");
                    trees.functions.insert(Callee::OrderOf(oid(of_type)), "c_cmp");
                }
                ["tree" | "defaults" | "body", name, expression] => {
                    trees.expressions.insert(name, Value::parse(expression).unwrap());
                }
                _ => panic!("{line}"),
            }
        }
        trees
    }

    /// The calls of the functions of `fixtures/trees.sql` in an expression, as text.
    fn calls(&self, expression: &str) -> Vec<String> {
        let name = |callee: Callee| self.functions.get(&callee).copied();
        let is_mutable = |callee| name(callee).is_some_and(|name| self.mutable.contains(name));
        let text = |call: &Call| {
            let counting = if call.counting == Counting::Uncounted { "uncounted " } else { "" };
            let arguments = if call.is_constant { "constant" } else { "variable" };
            name(call.callee).map(|name| format!("{name} {counting}{arguments}"))
        };
        let texts: BTreeSet<_> =
            calls(&self.expressions[expression], is_mutable).iter().filter_map(text).collect();
        texts.into_iter().collect()
    }
}

const ALL: [&str; 6] = [
    include_str!("../fixtures/trees-13.tsv"),
    include_str!("../fixtures/trees-14.tsv"),
    include_str!("../fixtures/trees-15.tsv"),
    include_str!("../fixtures/trees-16.tsv"),
    include_str!("../fixtures/trees-17.tsv"),
    include_str!("../fixtures/trees-18.tsv"),
];

#[rstest]
#[case("builtin", &[])]
#[case("function_of_column", &["key variable"])]
#[case("function_of_constant", &["key constant"])]
#[case("nested_in_builtin", &["key constant"])]
#[case("volatile_of_constant", &["vol variable"])]
#[case("function_of_current_date", &["key variable"])]
#[case("operator_of_columns", &["same variable"])]
#[case("operator_of_constants", &["same constant"])]
#[case("any_of_constants", &["same uncounted constant"])]
#[case("any_of_column", &["same uncounted variable"])]
#[case("distinct_of_column", &["c_eq uncounted variable"])]
#[case("nullif_of_column", &["c_eq uncounted variable"])]
#[case("row_comparison", &["c_cmp uncounted variable", "c_lt uncounted variable"])]
#[case("greatest_of_column", &["c_cmp uncounted variable"])]
#[case("case_that_is_constant", &["key constant"])]
#[case("case_of_column", &["c_eq variable", "key variable"])]
#[case("case_of_constant", &["c_eq constant"])]
#[case("coalesce_that_is_constant", &["key constant"])]
#[case("coalesce_of_column", &["key variable"])]
#[case("strict_function_of_null", &["key constant"])]
#[case("and_that_is_constant", &["key constant"])]
#[case("field_of_row", &["key constant"])]
#[case("array_of_constants", &["to_e constant"])]
#[case("array_of_column", &["to_e constant", "to_e variable"])]
#[case("subscript", &["key constant"])]
#[case("named_argument", &["opt variable"])]
#[case("default_argument", &["opt variable"])]
#[case("odd_argument", &["odd variable"])]
#[case("sql_function_of_column", &["inl variable"])]
#[case("domain_function", &["key variable"])]
#[case("domain_any", &["same uncounted variable"])]
#[case::default_of_an_argument("opt", &["same uncounted constant"])]
fn calls_are_the_same_in_every_version(#[case] expression: &str, #[case] expected: &[&str]) {
    for file in ALL {
        assert_eq!(Trees::read(file).calls(expression), expected);
    }
}

#[test]
fn body_of_a_function_has_calls() {
    for file in &ALL[1..] {
        assert_eq!(Trees::read(file).calls("atomic"), ["same uncounted constant"]);
    }
}

#[test]
fn constructor_of_json_has_calls() {
    for file in &ALL[3..] {
        assert_eq!(Trees::read(file).calls("json_constructor"), ["key constant"]);
    }
}

#[test]
fn conversion_of_array_elements_before_11_is_uncounted() {
    let text = "{ARRAYCOERCEEXPR :arg {CONST :constisnull false} :elemfuncid 7 :resulttype 1007}";
    let found = calls(&Value::parse(text).unwrap(), |_| false);
    let callee = Callee::Function(7);
    assert_eq!(found, [Call { callee, counting: Counting::Uncounted, is_constant: true }]);
}
