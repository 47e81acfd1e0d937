//! The tokens of SQL, as far as they matter for finding string constants.

/// A part of a definition.
#[derive(Debug, Eq, PartialEq)]
pub enum Token {
    /// A name, a keyword or a number; in lower case unless it was quoted.
    Word(String),
    /// The value of a string constant.
    Text(String),
    /// Any other character. The delimiters of a dollar-quoted string count too, so its content is read as SQL: it is
    /// mostly a statement that a function executes.
    Symbol(char),
}

/// Splits a definition. What is cut off or not closed extends to the end.
pub struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    #[must_use]
    pub fn of(definition: &'a str) -> Self {
        Self { rest: definition }
    }

    /// What is between a quote and the next, where two quotes stand for one. `rest` begins with the quote.
    fn quoted(&mut self, quote: char, backslash: Backslash) -> String {
        let text = self.rest;
        let mut value = String::new();
        let mut characters = text.char_indices().skip(1).peekable();
        while let Some((at, character)) = characters.next() {
            if character == '\\' && backslash == Backslash::Escapes {
                value.extend(characters.next().map(|(_, escaped)| escaped));
            } else if character != quote {
                value.push(character);
            } else if characters.next_if(|(_, next)| *next == quote).is_some() {
                value.push(quote);
            } else {
                self.rest = text.get(at + quote.len_utf8()..).unwrap_or_default();
                return value;
            }
        }
        self.rest = "";
        value
    }

    fn word(&mut self) -> String {
        let end = self.rest.find(|c: char| !is_in_word(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_lowercase()
    }
}

/// What a backslash in a string constant is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Backslash {
    Escapes,
    /// A character like any other.
    Plain,
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("--") {
                self.rest = comment.split_once('\n').map_or("", |(_, after)| after);
                continue;
            }
            if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").map_or("", |(_, after)| after);
                continue;
            }
            if let Some(constant) = self.rest.strip_prefix(['e', 'E'])
                && constant.starts_with('\'')
            {
                self.rest = constant;
                return Some(Token::Text(self.quoted('\'', Backslash::Escapes)));
            }
            return Some(match self.rest.chars().next()? {
                '\'' => Token::Text(self.quoted('\'', Backslash::Plain)),
                '"' => Token::Word(self.quoted('"', Backslash::Plain)),
                first if is_in_word(first) && first != '$' => Token::Word(self.word()),
                symbol => {
                    self.rest = self.rest.get(symbol.len_utf8()..).unwrap_or_default();
                    Token::Symbol(symbol)
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(sql: &str) -> Vec<Token> {
        Tokens::of(sql).collect()
    }

    fn word(text: &str) -> Token {
        Token::Word(text.to_owned())
    }

    fn text(value: &str) -> Token {
        Token::Text(value.to_owned())
    }

    #[test]
    fn tokens_are_words_constants_and_symbols() {
        assert_eq!(
            tokens("SELECT \"A b\", 'it''s'::text"),
            [
                word("select"),
                word("A b"),
                Token::Symbol(','),
                text("it's"),
                Token::Symbol(':'),
                Token::Symbol(':'),
                word("text")
            ]
        );
    }

    #[test]
    fn tokens_of_comments_are_left_out() {
        assert_eq!(tokens("a -- 'b'\n/* 'c' */ d"), [word("a"), word("d")]);
        assert_eq!(tokens("-- not closed"), []);
        assert_eq!(tokens("/* not closed"), []);
    }

    #[test]
    fn backslash_escapes_only_where_the_constant_says_so() {
        assert_eq!(tokens(r"E'a\'b' 'c\'"), [text("a'b"), text(r"c\")]);
        assert_eq!(tokens(r"like 'x'"), [word("like"), text("x")]);
    }

    #[test]
    fn content_of_dollar_quotes_is_read_as_sql() {
        assert!(tokens("$q$ SELECT 'x' $q$").contains(&text("x")));
    }

    #[test]
    fn constant_that_is_not_closed_extends_to_the_end() {
        assert_eq!(tokens("'ä"), [text("ä")]);
    }
}
