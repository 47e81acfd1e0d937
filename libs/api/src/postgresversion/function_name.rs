//! Names of functions in a catalog entry.

use std::fmt;
use std::str::FromStr;

/// The longest name of `PostgreSQL`, in bytes (`NAMEDATALEN`).
const MAX_NAME: usize = 63;

/// The name of a function that is called without arguments, with or without its schema.
///
/// It becomes part of a statement that a superuser executes: so it is an identifier that needs no quotes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FunctionName {
    /// The schema, if the function must be in that one.
    pub schema: Option<String>,
    /// The name alone.
    pub name: String,
}

impl FromStr for FunctionName {
    type Err = InvalidFunctionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema), name),
            None => (None, text),
        };
        if ![schema.unwrap_or(name), name].into_iter().all(is_identifier) {
            return Err(InvalidFunctionName(text.to_owned()));
        }
        Ok(Self { schema: schema.map(ToOwned::to_owned), name: name.to_owned() })
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            write!(f, "{schema}.")?;
        }
        f.write_str(&self.name)
    }
}

fn is_identifier(text: &str) -> bool {
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let continues = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    begins && text.len() <= MAX_NAME && text.chars().all(continues)
}

/// Text that is not such a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "\"{0}\" is not a function's name: expected a name such as \"upgrade\" or \"ledger.upgrade\", in lower case, without quotes \
     and arguments"
)]
pub struct InvalidFunctionName(String);

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn function_name_may_have_a_schema() {
        let plain: FunctionName = "upgrade".parse().unwrap();
        assert_eq!((plain.schema.as_deref(), plain.to_string().as_str()), (None, "upgrade"));
        let qualified: FunctionName = "ledger._upgrade2".parse().unwrap();
        assert_eq!((qualified.schema.as_deref(), qualified.name.as_str()), (Some("ledger"), "_upgrade2"));
        assert_eq!(qualified.to_string(), "ledger._upgrade2");
    }

    #[rstest]
    #[case::call("ledger_upgrade()")]
    #[case::second_statement("f; DROP TABLE t")]
    #[case::quotes("\"Upgrade\"")]
    #[case::upper_case("Upgrade")]
    #[case::two_schemas("shop.ledger.upgrade")]
    #[case::no_schema(".upgrade")]
    #[case::no_name("ledger.")]
    #[case::digit("1st")]
    #[case::space("ledger upgrade")]
    #[case::empty("")]
    fn only_the_name_of_a_function_is_accepted(#[case] text: &str) {
        let error = text.parse::<FunctionName>().unwrap_err().to_string();
        assert!(error.contains("expected a name such as \"upgrade\""), "{error}");
    }
}
