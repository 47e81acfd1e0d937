//! Reads expressions as a server stores them (`pg_node_tree`): nodes with named fields, and lists, in the text form that
//! `nodeToString` writes and `pg_strtok` and `nodeRead` read (`src/backend/nodes/read.c`). Names of nodes and fields differ from
//! version to version, and so does their order: none is interpreted here.

use std::borrow::Cow;
use std::str::CharIndices;

/// How deep lists and nodes may be nested: two for each call of a function. Hardly any expression of a table reaches a tenth.
const MAX_DEPTH: usize = 500;

/// A node, a list, or anything else: a number, a string, a byte of a constant, `<>` for nothing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Value {
    Node(Node),
    List(Vec<Value>),
    Atom(String),
}

/// A node with its fields, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    /// Its name, such as `FUNCEXPR`.
    pub name: String,
    fields: Vec<Field>,
}

/// A field. Most have one value; a constant has its length and all of its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Field {
    name: String,
    values: Vec<Value>,
}

/// The text is not an expression.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NodeTreeError {
    #[error("it is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    #[error("it ends within a node or a list")]
    Unfinished,
    #[error("it continues after its end, or lacks the name of a node or of a field")]
    Unexpected,
}

impl Value {
    /// Parses the text of an expression.
    pub fn parse(text: &str) -> Result<Self, NodeTreeError> {
        let mut open = Vec::new();
        for token in tokens(text) {
            let value = match &*token {
                "{" | "(" if open.len() == MAX_DEPTH => return Err(NodeTreeError::TooDeep),
                "{" => {
                    open.push(Open::Node(None));
                    continue;
                }
                "(" => {
                    open.push(Open::List(Vec::new()));
                    continue;
                }
                "}" | ")" => close(&token, open.pop())?,
                atom => Value::Atom(atom.to_owned()),
            };
            match open.last_mut() {
                Some(container) => container.add(value)?,
                None => open.push(Open::Whole(value)),
            }
        }
        match (open.pop(), open.is_empty()) {
            (Some(Open::Whole(value)), true) => Ok(value),
            _ => Err(NodeTreeError::Unfinished),
        }
    }

    /// Its nodes: itself, or those of a list.
    pub fn nodes(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Node(_) | Self::Atom(_) => std::slice::from_ref(self),
        }
    }

    /// Its numbers: those of a list such as `(o 96 97)`.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.nodes().iter().filter_map(|item| match item {
            Self::Atom(atom) => atom.parse().ok(),
            Self::Node(_) | Self::List(_) => None,
        })
    }
}

impl Node {
    /// The only value of a field; `None` if there is no such field, or nothing in it.
    pub fn field(&self, name: &str) -> Option<&Value> {
        let field = self.fields.iter().find(|field| field.name == name)?;
        match &field.values[..] {
            [Value::Atom(atom)] if atom == "<>" => None,
            [value] => Some(value),
            _ => None,
        }
    }

    /// A field that is a number.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.field(name)?.numbers().next()
    }

    /// Whether a field is true.
    pub fn is_true(&self, name: &str) -> bool {
        matches!(self.field(name), Some(Value::Atom(atom)) if atom == "true")
    }

    /// The values of a field that is a list, or has one node; none if there is no such field.
    pub fn list(&self, name: &str) -> &[Value] {
        self.field(name).map_or(&[], Value::nodes)
    }

    /// The values of all fields.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.fields.iter().flat_map(|field| &field.values)
    }
}

/// What has begun and not ended yet.
enum Open {
    /// A node; its name comes first.
    Node(Option<Node>),
    List(Vec<Value>),
    /// The whole text, which has ended.
    Whole(Value),
}

impl Open {
    fn add(&mut self, value: Value) -> Result<(), NodeTreeError> {
        match (self, value) {
            (Self::List(items), value) => items.push(value),
            (Self::Node(node @ None), Value::Atom(name)) => {
                *node = Some(Node { name, fields: Vec::new() });
            }
            (Self::Node(Some(node)), value) => match (value, node.fields.last_mut()) {
                (Value::Atom(atom), _) if atom.starts_with(':') => {
                    node.fields.push(Field { name: atom[1..].to_owned(), values: Vec::new() });
                }
                (value, Some(field)) => field.values.push(value),
                (_, None) => return Err(NodeTreeError::Unexpected),
            },
            (Self::Node(None) | Self::Whole(_), _) => return Err(NodeTreeError::Unexpected),
        }
        Ok(())
    }
}

fn close(token: &str, open: Option<Open>) -> Result<Value, NodeTreeError> {
    match (token, open) {
        ("}", Some(Open::Node(Some(node)))) => Ok(Value::Node(node)),
        (")", Some(Open::List(items))) => Ok(Value::List(items)),
        _ => Err(NodeTreeError::Unexpected),
    }
}

/// White space separates tokens, and each of `(){}` is one by itself. A backslash makes the next character an ordinary one.
fn tokens(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(is_space);
        let first = rest.chars().next()?;
        let end = if is_special(first) { 1 } else { token_end(rest.char_indices()).unwrap_or(rest.len()) };
        let (token, after) = rest.split_at(end);
        rest = after;
        Some(if token.contains('\\') { Cow::Owned(without_backslashes(token)) } else { Cow::Borrowed(token) })
    })
}

/// Where a token ends; `None` if the text ends with it.
fn token_end(mut characters: CharIndices<'_>) -> Option<usize> {
    while let Some((place, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if is_space(character) || is_special(character) {
            return Some(place);
        }
    }
    None
}

/// What was an ordinary character must not be taken for a special one, nor a string for a field: it stays recognisable by a
/// backslash in front.
fn without_backslashes(token: &str) -> String {
    let mut plain = String::from("\\");
    let mut characters = token.chars();
    while let Some(character) = characters.next() {
        plain.push(if character == '\\' { characters.next().unwrap_or(character) } else { character });
    }
    plain
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\n' | '\t')
}

fn is_special(character: char) -> bool {
    matches!(character, '(' | ')' | '{' | '}')
}

#[cfg(test)]
mod tests;
