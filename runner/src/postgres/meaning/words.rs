//! The words of a function's body, as far as they tell how a name is used.

use std::collections::BTreeSet;

use crate::postgres::references::tokens::{Token, Tokens};

/// The words of a body and of the statements within its constants, in lower case unless they were quoted.
#[derive(Debug, Default)]
pub struct Words {
    all: BTreeSet<String>,
    /// Those before a parenthesis.
    called: BTreeSet<String>,
    /// Whole constants, and words after `SET`, `SHOW` and the like: what a setting is named by.
    settings: BTreeSet<String>,
}

impl Words {
    #[must_use]
    pub fn of(body: &str) -> Self {
        let mut words = Self::default();
        let constants = words.read(body);
        // A statement that is executed, and not a single name.
        for constant in constants.iter().filter(|constant| constant.contains([' ', '('])) {
            words.read(constant);
        }
        words
    }

    /// Reads a text, and returns its constants.
    fn read(&mut self, text: &str) -> Vec<String> {
        let mut constants = Vec::new();
        let mut last = String::new();
        let mut names_setting = false;
        for token in Tokens::of(text) {
            match token {
                Token::Word(word) => {
                    if names_setting {
                        self.settings.insert(word.clone());
                    }
                    names_setting = match word.as_str() {
                        "set" | "show" | "reset" => true,
                        "local" | "session" => names_setting,
                        _ => false,
                    };
                    self.all.insert(word.clone());
                    last = word;
                }
                Token::Text(constant) => {
                    names_setting = false;
                    last.clear();
                    self.settings.insert(constant.to_ascii_lowercase());
                    constants.push(constant);
                }
                Token::Symbol(symbol) => {
                    names_setting = false;
                    if symbol == '(' && !last.is_empty() {
                        self.called.insert(std::mem::take(&mut last));
                    }
                    last.clear();
                }
            }
        }
        constants
    }

    /// Whether the word occurs outside of a constant.
    #[must_use]
    pub fn contains(&self, word: &str) -> bool {
        self.all.contains(word)
    }

    /// Whether a function of that name is called.
    #[must_use]
    pub fn calls(&self, function: &str) -> bool {
        self.called.contains(function)
    }

    /// Whether a setting of that name is set, shown or asked for.
    #[must_use]
    pub fn sets_or_shows(&self, setting: &str) -> bool {
        self.settings.contains(setting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_before_a_parenthesis_are_called() {
        let words = Words::of("SELECT a.f (x), b FROM g");
        assert!(words.calls("f") && !words.calls("b") && !words.calls("g"));
        assert!(words.contains("g") && words.contains("b"));
    }

    #[test]
    fn settings_are_named_by_statements_and_by_constants() {
        let words = Words::of("SET LOCAL work_mem = 1; SHOW jit; PERFORM set_config('Lc_Collate', x, true)");
        assert!(["work_mem", "jit", "lc_collate"].iter().all(|name| words.sets_or_shows(name)));
        assert!(!words.sets_or_shows("x") && !Words::of("SELECT a AS jit").sets_or_shows("jit"));
    }

    #[test]
    fn statements_within_constants_are_read_too() {
        let words = Words::of("EXECUTE 'SELECT f(a) FROM t'; RETURN 'g'");
        assert!(words.calls("f") && words.contains("t") && !words.contains("g"));
    }
}
