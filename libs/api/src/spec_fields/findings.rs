//! The fields of an object that do not do what they say.

use serde_json::{Map, Value, json};

use super::table::{Effect, Field, fields};
use crate::names::CONTAINER_POSTGRES;
use crate::nearest::nearest;
use crate::spec_check::{SpecProblem, SpecProblemReason};

/// Findings after which an object is not read further: a response has room for as many warnings.
pub const MAX_FINDINGS: usize = 32;
/// Length in bytes of the longest name for which a similar one is looked up; longer ones are cut in messages.
const MAX_NAME: usize = 64;

/// What a user must know about the fields of an object.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FieldFindings {
    /// Fields for which the object is refused.
    pub refused: Vec<SpecProblem>,
    /// Warnings about fields without effect.
    pub warnings: Vec<String>,
}

/// Looks at each field of the spec of a `Postgres`.
#[must_use]
pub fn field_findings(spec: &Value) -> FieldFindings {
    let mut findings = FieldFindings::default();
    findings.visit("", "spec", spec);
    findings
}

/// The findings of a change; what was found before is known.
#[must_use]
pub fn changed_field_findings(new: &Value, old: &Value) -> FieldFindings {
    let known = field_findings(old);
    let mut findings = field_findings(new);
    findings.refused.retain(|problem| !known.refused.contains(problem));
    findings.warnings.retain(|warning| !known.warnings.contains(warning));
    findings
}

impl FieldFindings {
    /// `path` is that of the table, `shown` that of the object.
    fn visit(&mut self, path: &str, shown: &str, value: &Value) {
        // Values of another type are refused with the field's name when the object is parsed.
        let Value::Object(object) = value else { return };
        for (name, value) in object {
            if self.refused.len() + self.warnings.len() >= MAX_FINDINGS {
                return;
            }
            let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if is_default(&below, value) {
                continue;
            }
            let parent = shown;
            let shown = format!("{parent}.{}", crate::bounded(name.as_str(), MAX_NAME, ""));
            match fields().find(|field| field.path == below) {
                Some(field) if needs_one_server(field) && has_standbys(object) => {}
                Some(field) => self.judge(field, &shown, value),
                None if has_fields_below(&below) => self.visit(&below, &shown, value),
                None if is_list(&below) => self.visit_containers(&below, &shown, value),
                None => self.unknown(parent, name, names_in(path)),
            }
        }
    }

    fn visit_containers(&mut self, path: &str, shown: &str, containers: &Value) {
        for (index, container) in containers.as_array().into_iter().flatten().enumerate().take(MAX_FINDINGS) {
            let shown = format!("{shown}[{index}]");
            if container["name"] == CONTAINER_POSTGRES {
                self.visit(&format!("{path}[{CONTAINER_POSTGRES}]"), &shown, container);
            } else if let Some(field) = fields().find(|field| field.path == format!("{path}[]")) {
                self.judge(field, &shown, container);
            }
        }
    }

    fn judge(&mut self, field: &Field, shown: &str, value: &Value) {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        let is_one_of = |values: &[&str]| values.contains(&text.as_str());
        match field.effect {
            Effect::Refused => self.refuse(shown, format!("it is not supported: {}", field.note)),
            Effect::RefusedValues(values) if is_one_of(values) => {
                self.refuse(shown, format!("\"{text}\" is not supported: {}", field.note));
            }
            Effect::Warned => self.warnings.push(format!("{shown} has no effect: {}", field.note)),
            Effect::WarnedValues(values) | Effect::WarnedWithOneServer(values) if is_one_of(values) => {
                self.warnings.push(format!("{shown}: \"{text}\" has no effect: {}", field.note));
            }
            Effect::Honoured
            | Effect::Unused
            | Effect::RefusedValues(_)
            | Effect::WarnedValues(_)
            | Effect::WarnedWithOneServer(_) => {}
        }
    }

    fn refuse(&mut self, field: &str, message: String) {
        self.refused.push(SpecProblem::new(SpecProblemReason::UnsupportedField, field, message));
    }

    /// A misspelled field is refused, since it leaves the meant one at its default.
    pub(super) fn unknown(&mut self, parent: &str, name: &str, known: impl Iterator<Item = &'static str>) {
        let shown = format!("{parent}.{}", crate::bounded(name, MAX_NAME, ""));
        match Some(name).filter(|name| name.len() <= MAX_NAME).and_then(|name| nearest(name, known)) {
            Some(meant) => self.refused.push(SpecProblem::new(
                SpecProblemReason::UnknownField,
                shown,
                format!("this field is unknown and would have no effect: did you mean {meant}?"),
            )),
            None => self.warnings.push(format!("{shown} has no effect: pgops does not know this field")),
        }
    }
}

/// Names of the fields directly below a path.
fn names_in(parent: &str) -> impl Iterator<Item = &'static str> {
    fields().filter_map(move |field| {
        let rest = if parent.is_empty() {
            field.path
        } else {
            field.path.strip_prefix(parent)?.strip_prefix('.')?
        };
        rest.split(['.', '[']).next()
    })
}

fn has_fields_below(path: &str) -> bool {
    fields().any(|field| field.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

fn is_list(path: &str) -> bool {
    fields().any(|field| field.path.strip_prefix(path) == Some("[]"))
}

fn needs_one_server(field: &Field) -> bool {
    matches!(field.effect, Effect::WarnedWithOneServer(_))
}

/// Whether these fields, which are the spec's, request more than one server.
fn has_standbys(spec: &Map<String, Value>) -> bool {
    spec.get("replicas").and_then(Value::as_i64).is_some_and(|replicas| replicas > 1)
}

/// Nothing was set, or what the definitions of `KubeDB` set by themselves.
fn is_default(path: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(is_set) if !is_set => path != "podTemplate.spec.hostUsers",
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(object) if object.is_empty() => true,
        value if path == "healthChecker" => {
            *value == json!({ "periodSeconds": 10, "timeoutSeconds": 10, "failureThreshold": 1 })
        }
        _ => false,
    }
}
