//! One version of an object. Its forms are made once: tests read objects many times more often than they write them.

use std::any::Any;
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// One version of an object.
pub(super) struct Object {
    value: Value,
    /// As the API server sends it.
    json: OnceLock<String>,
    /// As the type in which the test reads it.
    typed: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Object {
    pub(super) fn new(value: Value) -> Self {
        Self { value, json: OnceLock::new(), typed: OnceLock::new() }
    }

    pub(super) fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn json(&self) -> &str {
        self.json.get_or_init(|| self.value.to_string())
    }

    pub(super) fn typed<K: DeserializeOwned + Clone + Send + Sync + 'static>(&self) -> K {
        let parse = || K::deserialize(&self.value).unwrap();
        let typed = self.typed.get_or_init(|| Box::new(parse()));
        // A test may read an object as several types.
        typed.downcast_ref().cloned().unwrap_or_else(parse)
    }
}
