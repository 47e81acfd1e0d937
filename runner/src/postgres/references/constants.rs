//! The string constants in a definition, as the server prints it, and in the body of a function; and whether a time zone
//! is expected where they are.

use super::tokens::{Token, Tokens};

/// Functions of `pg_catalog` that have a time zone among their arguments. `AT TIME ZONE` is `timezone`, and older servers
/// print it so.
pub const ZONE_FUNCTIONS: [&str; 6] =
    ["timezone", "make_timestamptz", "date_trunc", "generate_series", "date_add", "date_subtract"];

/// Where a constant is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// Where a time zone is expected: after `AT TIME ZONE`, or among the arguments of one of [`ZONE_FUNCTIONS`].
    TimeZone,
    Elsewhere,
}

/// A string constant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Constant {
    pub value: String,
    pub place: Place,
}

/// The constants of an expression.
#[must_use]
pub fn of_expression(definition: &str) -> Vec<Constant> {
    let mut reader = Reader::default();
    for token in Tokens::of(definition) {
        reader.read(token);
    }
    reader.found
}

/// The constants of a function's body, and those within its constants: these may be statements that it executes.
#[must_use]
pub fn of_body(body: &str) -> Vec<Constant> {
    let constants = of_expression(body);
    let statements = constants.iter().filter(|constant| constant.value.contains('\''));
    let within: Vec<_> = statements.flat_map(|constant| of_expression(&constant.value)).collect();
    constants.into_iter().chain(within).collect()
}

struct Parenthesis {
    /// What is expected within it.
    place: Place,
    /// Whether it is a part of the operand of `AT TIME ZONE`.
    in_operand: bool,
}

#[derive(Default)]
struct Reader {
    found: Vec<Constant>,
    /// The parentheses that are open.
    open: Vec<Parenthesis>,
    /// Whether the operand of `AT TIME ZONE` is being read.
    in_operand: bool,
    /// The last token, and the one before it.
    last: String,
    before_last: String,
}

impl Reader {
    fn read(&mut self, token: Token) {
        let read = match token {
            Token::Text(value) => {
                let place = if self.is_compared() { Place::Elsewhere } else { self.place() };
                self.found.push(Constant { value, place });
                String::from("'")
            }
            Token::Symbol(symbol) => {
                self.read_symbol(symbol);
                symbol.to_string()
            }
            Token::Word(word) => {
                self.read_word(&word);
                word
            }
        };
        self.before_last = std::mem::replace(&mut self.last, read);
    }

    fn read_symbol(&mut self, symbol: char) {
        match symbol {
            '(' => {
                self.open.push(Parenthesis { place: self.place_of_arguments(), in_operand: self.in_operand });
                self.in_operand = false;
            }
            ')' => self.in_operand = self.open.pop().is_some_and(|closed| closed.in_operand),
            ',' | ';' => self.in_operand = false,
            _ => {}
        }
    }

    fn read_word(&mut self, word: &str) {
        match word {
            "zone" if self.last == "time" => {
                self.in_operand = ["at", "set", "local", "session"].contains(&self.before_last.as_str());
            }
            "from" | "as" | "where" | "and" | "or" | "group" | "order" | "limit" | "union" => {
                self.in_operand = false;
            }
            _ => {}
        }
    }

    fn place(&self) -> Place {
        if self.in_operand {
            Place::TimeZone
        } else {
            self.open.last().map_or(Place::Elsewhere, |open| open.place)
        }
    }

    /// What is expected within a parenthesis that begins now.
    fn place_of_arguments(&self) -> Place {
        match self.last.as_str() {
            function if ZONE_FUNCTIONS.contains(&function) => Place::TimeZone,
            "any" | "all" | "in" => Place::Elsewhere,
            _ => self.place(),
        }
    }

    /// Whether what follows is compared with what came before, as after `CASE country WHEN`; `=>` names an argument.
    fn is_compared(&self) -> bool {
        let names_argument = self.last == ">" && self.before_last == "=";
        ["=", "<", ">", "~", "like", "ilike", "when"].contains(&self.last.as_str()) && !names_argument
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(constants: Vec<Constant>) -> Vec<String> {
        let zones = constants.into_iter().filter(|constant| constant.place == Place::TimeZone);
        zones.map(|constant| constant.value).collect()
    }

    #[rstest::rstest]
    #[case::operator("((at AT TIME ZONE 'US/Pacific'::text))::date", &["US/Pacific"])]
    #[case::as_printed_up_to_13("timezone('US/Pacific'::text, at)", &["US/Pacific"])]
    #[case::qualified("pg_catalog.timezone('Cuba'::text, at)", &["Cuba"])]
    #[case::nested("(at AT TIME ZONE COALESCE(zone, 'US/Pacific'::text))", &["US/Pacific"])]
    #[case::parenthesis("(at AT TIME ZONE ('US/Pacific'::text))", &["US/Pacific"])]
    #[case::alternatives(
        "(at AT TIME ZONE CASE WHEN west THEN 'US/Pacific'::text ELSE 'US/Eastern'::text END)",
        &["US/Pacific", "US/Eastern"]
    )]
    #[case::named_argument("make_timestamptz(year => 1, timezone => 'Cuba'::text)", &["Cuba"])]
    #[case::in_a_quoted_statement("DO $$ SELECT now() AT TIME ZONE 'Cuba' $$", &["Cuba"])]
    #[case::setting("SET TIME ZONE 'Cuba'", &["Cuba"])]
    #[case::none("country = 'Cuba'::text", &[])]
    #[case::compared("(at AT TIME ZONE CASE WHEN (country = 'Cuba'::text) THEN 'UTC'::text END)", &["UTC"])]
    #[case::compared_by_case("timezone(CASE c WHEN 'Cuba'::text THEN 'UTC'::text END, at)", &["UTC"])]
    #[case::listed(
        "timezone(CASE WHEN (c = ANY (ARRAY['Cuba'::text, 'Iran'::text])) THEN 'UTC'::text END, at)",
        &["UTC"]
    )]
    #[case::only_a_type("('2020-01-01'::timestamp with time zone), COALESCE(c, 'Cuba'::text)", &[])]
    #[case::after_the_operand("SELECT (at AT TIME ZONE 'UTC'::text) AS a, 'Cuba'::text AS b", &["UTC"])]
    #[case::next_clause("SELECT at AT TIME ZONE z FROM t WHERE c IN ('Cuba')", &[])]
    fn zone_is_expected(#[case] definition: &str, #[case] expected: &[&str]) {
        assert_eq!(zones(of_expression(definition)), expected);
    }

    #[test]
    fn constants_elsewhere_are_found_too() {
        let default = Constant { value: "US/Pacific".into(), place: Place::Elsewhere };
        assert_eq!(of_expression("'US/Pacific'::text"), [default]);
    }

    #[test]
    fn body_is_searched_for_statements_in_its_constants() {
        let body = "BEGIN EXECUTE 'SELECT now() AT TIME ZONE ''Cuba'''; END";
        assert_eq!(zones(of_body(body)), ["Cuba"]);
        assert_eq!(zones(of_expression(body)), [""; 0]);
    }
}
