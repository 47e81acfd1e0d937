//! What a stored expression calls, and which of it a server can evaluate without a row: it simplifies an expression when it
//! prepares it for use, with the rights of the session (`eval_const_expressions`, `src/backend/optimizer/util/clauses.c`).
//!
//! Names of nodes are those of all versions: 15 has renamed some (`MINMAX`, `CASE`, `ARRAY` and others).

use super::node_tree::{Node, Value};

/// The number of an object in the system catalogs.
pub type Oid = u32;

/// What is called.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Callee {
    Function(Oid),
    Operator(Oid),
    /// The comparison function of an operator family.
    Family(Oid),
    /// The comparison function of the operator class that is the default for a type.
    OrderOf(Oid),
}

/// Whether a server counts a call (`track_functions`): the executor's steps for functions and operators do, those for
/// `ANY`, `NULLIF`, `IS DISTINCT FROM`, `GREATEST` and the comparison of rows do not (`src/backend/executor/execExprInterp.c`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counting {
    Counted,
    Uncounted,
}

/// A call in an expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Call {
    pub callee: Callee,
    pub counting: Counting,
    /// Whether its arguments do not depend on a row, or may not: a part of `CASE`, `COALESCE` or `AND` may be left out.
    pub is_constant: bool,
}

/// What simplification makes of an expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Simplified {
    /// It depends on a row, on the session or on the time.
    Variable,
    /// A constant, perhaps.
    Constant,
    /// The same, and it may be null: functions that are strict are then not called, and their result is null.
    PerhapsNull,
}

use Simplified::{Constant, PerhapsNull, Variable};

/// The calls of an expression. `is_mutable` says whether what is called may have another result tomorrow: then it is not
/// called before it is needed.
pub fn calls(expression: &Value, is_mutable: impl Fn(Callee) -> bool) -> Vec<Call> {
    let mut reader = Reader { is_mutable, calls: Vec::new() };
    reader.value(expression, Variable);
    reader.calls
}

struct Reader<F> {
    is_mutable: F,
    calls: Vec<Call>,
}

impl<F: Fn(Callee) -> bool> Reader<F> {
    /// `tested` is what the nearest `CASE` compares.
    fn value(&mut self, value: &Value, tested: Simplified) -> Simplified {
        match value {
            Value::Node(node) => self.node(node, tested),
            Value::List(items) => self.all(items, tested),
            Value::Atom(_) => Constant,
        }
    }

    /// What only all of them together make a constant.
    fn all(&mut self, values: &[Value], tested: Simplified) -> Simplified {
        values.iter().map(|value| self.value(value, tested)).fold(Constant, both)
    }

    fn list(&mut self, node: &Node, field: &str, tested: Simplified) -> Simplified {
        self.all(node.list(field), tested)
    }

    fn node(&mut self, node: &Node, tested: Simplified) -> Simplified {
        match node.name.as_str() {
            "CONST" if node.is_true("constisnull") => PerhapsNull,
            "CONST" => Constant,
            "CASETESTEXPR" => tested,
            "FUNCEXPR" => self.function(node, node.number("funcid").map(Callee::Function), tested),
            "OPEXPR" => self.function(node, node.number("opno").map(Callee::Operator), tested),
            "SCALARARRAYOPEXPR" | "DISTINCTEXPR" => {
                let arguments = self.list(node, "args", tested);
                self.uncounted(node.number("opno").map(Callee::Operator), arguments)
            }
            "NULLIFEXPR" => {
                let first = node.list("args").first().map_or(Constant, |first| self.value(first, tested));
                let others = self.all(node.list("args").get(1..).unwrap_or_default(), tested);
                self.uncounted(node.number("opno").map(Callee::Operator), both(first, others));
                // Without the others it is the first one.
                perhaps_null(first)
            }
            "MINMAX" | "MINMAXEXPR" => {
                let arguments = self.list(node, "args", tested);
                self.uncounted(node.number("minmaxtype").map(Callee::OrderOf), arguments)
            }
            "ROWCOMPARE" | "ROWCOMPAREEXPR" => {
                let fields = both(self.list(node, "largs", tested), self.list(node, "rargs", tested));
                let numbers = |name| node.field(name).into_iter().flat_map(Value::numbers);
                let callees = numbers("opnos").map(Callee::Operator);
                for callee in callees.chain(numbers("opfamilies").map(Callee::Family)) {
                    self.uncounted(Some(callee), fields);
                }
                // It is not simplified itself.
                Variable
            }
            "CASE" | "CASEEXPR" => self.case(node, tested),
            "COALESCE" | "COALESCEEXPR" => self.coalesce(node, tested),
            "BOOLEXPR" => self.boolean(node, tested),
            "FIELDSELECT" | "NULLTEST" => self.of_row(node, tested),
            "ARRAYCOERCEEXPR" => {
                let array = self.list(node, "arg", tested);
                self.list(node, "elemexpr", array);
                // Up to 10 it has a function instead.
                self.uncounted(node.number("elemfuncid").map(Callee::Function), array)
            }
            "COERCEVIAIO" => perhaps_null(self.list(node, "arg", tested)),
            "RELABELTYPE" | "COLLATE" | "COLLATEEXPR" | "CONVERTROWTYPEEXPR" | "BOOLEANTEST"
            | "NAMEDARGEXPR" | "COERCETODOMAIN" => self.list(node, "arg", tested),
            "ARRAY" | "ARRAYEXPR" => self.list(node, "elements", tested),
            "ROW" | "ROWEXPR" => self.list(node, "args", tested),
            "SUBSCRIPTINGREF" | "ARRAYREF" => {
                let parts = ["refexpr", "refupperindexpr", "reflowerindexpr", "refassgnexpr"];
                perhaps_null(parts.map(|part| self.list(node, part, tested)).into_iter().fold(Constant, both))
            }
            _ => {
                // A column, a parameter, the value of a domain, the current date; or what holds expressions, and is not
                // simplified itself.
                for value in node.values() {
                    self.value(value, Variable);
                }
                Variable
            }
        }
    }

    fn function(&mut self, node: &Node, callee: Option<Callee>, tested: Simplified) -> Simplified {
        let mut any_is_null = false;
        let mut arguments = Constant;
        for argument in node.list("args") {
            let argument = self.value(argument, tested);
            any_is_null |= argument == PerhapsNull;
            arguments = both(arguments, argument);
        }
        let Some(callee) = callee else { return Variable };
        let is_mutable = (self.is_mutable)(callee);
        let is_constant = arguments != Variable && !is_mutable;
        self.calls.push(Call { callee, counting: Counting::Counted, is_constant });
        match arguments {
            // If it is strict, its result is null whatever the other arguments are.
            Variable if any_is_null => PerhapsNull,
            _ if is_mutable => Variable,
            arguments => arguments,
        }
    }

    fn uncounted(&mut self, callee: Option<Callee>, arguments: Simplified) -> Simplified {
        let is_constant = arguments != Variable;
        let call = |callee| Call { callee, counting: Counting::Uncounted, is_constant };
        self.calls.extend(callee.map(call));
        perhaps_null(arguments)
    }

    /// A condition that is true ends it, one that is false is left out with its result.
    fn case(&mut self, node: &Node, tested: Simplified) -> Simplified {
        let compared = match node.list("arg") {
            [] => Variable,
            arg => self.all(arg, tested),
        };
        let mut conditions = Constant;
        let mut some_result = false;
        for when in node.list("args") {
            let Value::Node(when) = when else { continue };
            conditions = both(conditions, self.list(when, "expr", compared));
            let result = self.list(when, "result", compared);
            some_result |= conditions != Variable && result != Variable;
        }
        let otherwise = self.list(node, "defresult", compared);
        let is_constant = some_result || conditions != Variable && otherwise != Variable;
        if is_constant { PerhapsNull } else { Variable }
    }

    /// Nulls are left out, and what follows something else.
    fn coalesce(&mut self, node: &Node, tested: Simplified) -> Simplified {
        let mut arguments = node.list("args").iter().map(|argument| self.value(argument, tested));
        let first = arguments.next().unwrap_or(Constant);
        arguments.for_each(drop);
        first
    }

    /// One argument may decide it.
    fn boolean(&mut self, node: &Node, tested: Simplified) -> Simplified {
        let any = |any, argument| if any == Variable { argument } else { any };
        let arguments = node.list("args").iter().map(|argument| self.value(argument, tested));
        perhaps_null(arguments.fold(Variable, any))
    }

    /// A field of a row that is written out may be a constant by itself.
    fn of_row(&mut self, node: &Node, tested: Simplified) -> Simplified {
        let of_fields = match node.list("arg") {
            [Value::Node(row)] if matches!(row.name.as_str(), "ROW" | "ROWEXPR") => row.list("args"),
            arg => arg,
        };
        let mut fields = of_fields.iter().map(|field| self.value(field, tested));
        let constant = fields.by_ref().find(|field| *field != Variable);
        fields.for_each(drop);
        constant.map_or(Variable, perhaps_null)
    }
}

fn both(one: Simplified, other: Simplified) -> Simplified {
    match (one, other) {
        (Variable, _) | (_, Variable) => Variable,
        (PerhapsNull, _) | (_, PerhapsNull) => PerhapsNull,
        (Constant, Constant) => Constant,
    }
}

fn perhaps_null(simplified: Simplified) -> Simplified {
    both(simplified, PerhapsNull)
}

#[cfg(test)]
mod tests;
