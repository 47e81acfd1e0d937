//! What the class of an error says about its message.
//! <https://www.postgresql.org/docs/current/errcodes-appendix.html>

/// How much of a message is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Disclosure {
    /// It quotes names, not values, except where [`redact_message`](super::redact_message) finds some.
    Names,
    /// It is about a value: only the names that the error itself gives in its fields are shown.
    Fields,
    /// It is whatever code of a user has written.
    Nothing,
}

/// How much of the message of an error is shown, by its five-character code.
#[must_use]
pub fn disclosure(code: &str) -> Disclosure {
    match code.get(..2).unwrap_or_default() {
        // Data exceptions, violations of constraints and of views' conditions, and what a foreign server says.
        "22" | "23" | "44" | "HV" => Disclosure::Fields,
        "00" | "01" | "02" | "03" | "08" | "09" | "0A" | "0B" | "0F" | "0L" | "0P" | "0Z" | "20" | "21"
        | "24" | "25" | "26" | "27" | "28" | "2B" | "2D" | "2F" | "34" | "3B" | "3D" | "3F" | "40" | "42"
        | "53" | "54" | "55" | "57" | "58" | "72" | "F0" | "XX" => Disclosure::Names,
        // RAISE and ASSERT, functions in other languages, and codes that a user has made up.
        _ => Disclosure::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::undefined_column("42703", Disclosure::Names)]
    #[case::disk_full("53100", Disclosure::Names)]
    #[case::index_corrupted("XX002", Disclosure::Names)]
    #[case::unique_violation("23505", Disclosure::Fields)]
    #[case::invalid_text_representation("22P02", Disclosure::Fields)]
    #[case::raise_exception("P0001", Disclosure::Nothing)]
    #[case::external_routine("38000", Disclosure::Nothing)]
    #[case::of_a_user("U0001", Disclosure::Nothing)]
    #[case::empty("", Disclosure::Nothing)]
    #[case::not_ascii("ü", Disclosure::Nothing)]
    fn class_of_an_error_says_what_is_shown(#[case] code: &str, #[case] expected: Disclosure) {
        assert_eq!(disclosure(code), expected);
    }
}
