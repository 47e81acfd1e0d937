//! Which functions of roles without superuser rights a restore would call when it evaluates a stored expression.
//!
//! What is not a call of a function or an operator is suspected wherever it is: the rehearsal would not notice that it was
//! called ([`Counting`]). Other calls are named if a restore can evaluate them, which the rehearsal notices too; but then the code has
//! run.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{Callee, Counting, Oid, calls};
use super::node_tree::Value;

/// What a restore does with an expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RestoreUse {
    /// It only stores it.
    Store,
    /// It prepares it for use, and has no rows to use it for.
    Simplify,
    /// It applies it to values.
    Apply,
}

/// What belongs to a function apart from its code.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attached {
    /// The default values of its arguments, which the server adds to a call.
    pub defaults: Option<Value>,
    /// What the server may put in place of a call.
    pub body: Option<Body>,
}

/// The body of a function in SQL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    Parsed(Value),
    Text(String),
}

/// The functions that an operator class and its family call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OperatorClass {
    pub oid: Oid,
    pub family: Oid,
    /// The type that it is for.
    pub of_type: Oid,
    pub functions: Vec<Oid>,
}

/// The code in a database that roles without superuser rights can change.
#[derive(Clone, Debug, Default)]
pub struct UntrustedCode {
    pub functions: BTreeMap<Oid, Attached>,
    /// The operators that call one of the functions.
    pub operators: BTreeMap<Oid, Oid>,
    /// Those that call some of them.
    pub classes: Vec<OperatorClass>,
    /// All functions of the database that are not immutable.
    pub mutable: BTreeSet<Oid>,
}

impl UntrustedCode {
    /// The functions that a restore would call when it does this with an expression, as far as that is known.
    #[must_use]
    pub fn evaluated(&self, expression: &Value, restore_use: RestoreUse) -> BTreeSet<Oid> {
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut pending = vec![expression];
        while let Some(expression) = pending.pop() {
            for call in calls(expression, |callee| self.is_mutable(callee)) {
                let is_evaluated = match (call.counting, restore_use) {
                    (Counting::Uncounted, _) | (_, RestoreUse::Apply) => true,
                    (Counting::Counted, RestoreUse::Simplify) => call.is_constant,
                    (Counting::Counted, RestoreUse::Store) => false,
                };
                for function in self.functions_of(call.callee) {
                    if is_evaluated {
                        found.insert(function);
                    }
                    let Some(attached) = self.functions.get(&function).filter(|_| seen.insert(function))
                    else {
                        continue;
                    };
                    pending.extend(&attached.defaults);
                    match &attached.body {
                        Some(Body::Parsed(body)) => pending.push(body),
                        Some(Body::Text(text)) if self.may_be_uncounted(text) => {
                            found.insert(function);
                        }
                        Some(Body::Text(_)) | None => {}
                    }
                }
            }
        }
        found
    }

    /// The functions that an operator class calls.
    #[must_use]
    pub fn functions_of_class(&self, class: Oid) -> &[Oid] {
        self.classes.iter().find(|known| known.oid == class).map_or(&[], |known| &known.functions)
    }

    fn functions_of(&self, callee: Callee) -> Vec<Oid> {
        let of_classes = |belongs: &dyn Fn(&OperatorClass) -> bool| -> Vec<Oid> {
            let classes = self.classes.iter().filter(|class| belongs(class));
            classes.flat_map(|class| class.functions.iter().copied()).collect()
        };
        match callee {
            Callee::Function(function) if self.functions.contains_key(&function) => vec![function],
            Callee::Function(_) => Vec::new(),
            Callee::Operator(operator) => self.operators.get(&operator).copied().into_iter().collect(),
            Callee::Family(family) => of_classes(&|class| class.family == family),
            Callee::OrderOf(of_type) => of_classes(&|class| class.of_type == of_type),
        }
    }

    fn is_mutable(&self, callee: Callee) -> bool {
        match callee {
            Callee::Function(function) => self.mutable.contains(&function),
            Callee::Operator(operator) => {
                self.operators.get(&operator).is_some_and(|function| self.mutable.contains(function))
            }
            Callee::Family(_) | Callee::OrderOf(_) => false,
        }
    }

    /// Whether SQL may call an operator of a role without superuser rights for each element of an array. A restore finds such an
    /// operator only by its schema, as in `1 OPERATOR(s.===) ANY (…)`.
    fn may_be_uncounted(&self, sql: &str) -> bool {
        let sql = sql.to_lowercase();
        let words: BTreeSet<_> = sql.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
        !self.operators.is_empty()
            && words.contains("operator")
            && ["any", "some", "all"].iter().any(|word| words.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RestoreUse::{Apply, Simplify, Store};
    use rstest::rstest;

    /// Functions of the role.
    const KEY: Oid = 20_001;
    const SAME: Oid = 20_002;
    const VOLATILE: Oid = 20_003;
    /// One that has something attached.
    const OUTER: Oid = 20_004;
    /// Its operator.
    const EQUAL: Oid = 20_010;

    const OF_COLUMN: &str = "{FUNCEXPR :funcid 20001 :args ({VAR :varno 1})}";
    const OF_CONSTANT: &str = "{FUNCEXPR :funcid 20001 :args ({CONST :constisnull false})}";
    const ANY_OF_COLUMN: &str =
        "{SCALARARRAYOPEXPR :opno 20010 :args ({VAR :varno 1} {CONST :constisnull false})}";
    const OUTER_OF_COLUMN: &str = "{FUNCEXPR :funcid 20004 :args ({VAR :varno 1})}";

    fn parse(text: &str) -> Value {
        Value::parse(text).unwrap()
    }

    fn code(outer: Attached) -> UntrustedCode {
        let plain = [KEY, SAME, VOLATILE].map(|function| (function, Attached::default()));
        let class = OperatorClass { oid: 7, family: 8, of_type: 9, functions: vec![SAME] };
        UntrustedCode {
            functions: plain.into_iter().chain([(OUTER, outer)]).collect(),
            operators: BTreeMap::from([(EQUAL, SAME)]),
            classes: vec![class],
            mutable: BTreeSet::from([VOLATILE]),
        }
    }

    fn evaluated(expression: &str, restore_use: RestoreUse) -> Vec<Oid> {
        code(Attached::default()).evaluated(&parse(expression), restore_use).into_iter().collect()
    }

    /// Ordinary databases have these.
    #[rstest]
    #[case::index_on_a_function_of_a_column(OF_COLUMN, Simplify)]
    #[case::check_with_a_function_of_a_column(OF_COLUMN, Store)]
    #[case::check_with_a_function_of_a_constant(OF_CONSTANT, Store)]
    #[case::function_of_the_server("{FUNCEXPR :funcid 870 :args ({CONST :constisnull false})}", Simplify)]
    #[case::operator_of_the_server(
        "{SCALARARRAYOPEXPR :opno 96 :args ({VAR :varno 1} {CONST :constisnull false})}",
        Simplify
    )]
    #[case::volatile_function("{FUNCEXPR :funcid 20003 :args ({CONST :constisnull false})}", Simplify)]
    fn expression_of_an_ordinary_database_evaluates_nothing(
        #[case] expression: &str,
        #[case] restore_use: RestoreUse,
    ) {
        assert_eq!(evaluated(expression, restore_use), [0; 0]);
    }

    #[rstest]
    #[case::function_of_a_constant(OF_CONSTANT, Simplify, KEY)]
    #[case::function_that_is_applied(OF_COLUMN, Apply, KEY)]
    #[case::any(ANY_OF_COLUMN, Simplify, SAME)]
    #[case::any_in_a_check(ANY_OF_COLUMN, Store, SAME)]
    #[case::greatest("{MINMAXEXPR :minmaxtype 9 :args ({VAR :varno 1} {VAR :varno 1})}", Store, SAME)]
    #[case::rows("{ROWCOMPARE :opfamilies (o 8 1976) :largs ({VAR :varno 1})}", Store, SAME)]
    fn expression_that_a_restore_evaluates_is_found(
        #[case] expression: &str,
        #[case] restore_use: RestoreUse,
        #[case] function: Oid,
    ) {
        assert_eq!(evaluated(expression, restore_use), [function]);
    }

    #[test]
    fn default_value_of_an_argument_is_evaluated_with_the_call() {
        let defaults = Some(parse(&format!("({OF_CONSTANT})")));
        let code = code(Attached { defaults, body: None });
        let found = |restore_use| code.evaluated(&parse(OUTER_OF_COLUMN), restore_use);
        assert_eq!((found(Simplify), found(Store)), (BTreeSet::from([KEY]), BTreeSet::new()));
    }

    #[test]
    fn body_that_replaces_a_call_is_evaluated() {
        let body = Some(Body::Parsed(parse(&format!("(({{QUERY :targetList ({ANY_OF_COLUMN})}}))"))));
        let code = code(Attached { defaults: None, body });
        assert_eq!(code.evaluated(&parse(OUTER_OF_COLUMN), Simplify), BTreeSet::from([SAME]));
    }

    #[rstest]
    #[case::any("SELECT $1 + (1 OPERATOR(s.===) ANY (ARRAY[1, 2]))::int", true)]
    #[case::some("select $1 + (1 operator /* */ (s.===) Some('{1}'))::int", true)]
    #[case::operator("SELECT $1 OPERATOR(pg_catalog.+) 1", false)]
    #[case::any_of_the_server("SELECT $1 = ANY (ARRAY[1, 2])", false)]
    fn text_of_a_function_in_sql_is_searched(#[case] text: &str, #[case] is_found: bool) {
        let mut code = code(Attached { defaults: None, body: Some(Body::Text(text.to_owned())) });
        let found = |code: &UntrustedCode| !code.evaluated(&parse(OUTER_OF_COLUMN), Simplify).is_empty();
        assert_eq!(found(&code), is_found);
        code.operators.clear();
        assert!(!found(&code), "there is no operator of the role");
    }

    #[test]
    fn functions_that_refer_to_each_other_are_looked_at_once() {
        let defaults = Some(parse(OUTER_OF_COLUMN));
        let code = code(Attached { defaults, body: None });
        assert_eq!(code.evaluated(&parse(OUTER_OF_COLUMN), Apply), BTreeSet::from([OUTER]));
    }

    #[test]
    fn operator_class_has_its_functions() {
        let code = code(Attached::default());
        assert_eq!((code.functions_of_class(7), code.functions_of_class(1)), (&[SAME][..], &[][..]));
    }
}
