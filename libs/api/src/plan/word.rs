//! Options of a plan that are one word: the value of an annotation is the word that the plan stores.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};

/// Parses the value of an annotation.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    let word: StrDeserializer<'a, Error> = text.into_deserializer();
    T::deserialize(word).ok()
}

/// Whether it is the default, which a plan does not mention: a runner of an earlier release rejects unknown fields.
pub fn is_default<T: Default + PartialEq>(option: &T) -> bool {
    *option == T::default()
}
