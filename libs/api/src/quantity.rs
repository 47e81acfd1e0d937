//! Quantities of Kubernetes, such as `1Gi` or `500m`.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error};
use serde_json::Value;

/// Billionths in one: the smallest part that a quantity can express.
const NANO: i128 = 1_000_000_000;
/// Units of decimal and of binary quantities, as multiples of a billionth.
const UNITS: [(&str, i128); 16] = [
    ("", NANO),
    ("n", 1),
    ("u", 1_000),
    ("m", 1_000_000),
    ("k", 1_000 * NANO),
    ("M", 1_000_000 * NANO),
    ("G", 1_000_000_000 * NANO),
    ("T", 1_000_000_000_000 * NANO),
    ("P", 1_000_000_000_000_000 * NANO),
    ("E", 1_000_000_000_000_000_000 * NANO),
    ("Ki", (1 << 10) * NANO),
    ("Mi", (1 << 20) * NANO),
    ("Gi", (1 << 30) * NANO),
    ("Ti", (1 << 40) * NANO),
    ("Pi", (1 << 50) * NANO),
    ("Ei", (1 << 60) * NANO),
];

/// A quantity, parsed once; equal if the amounts are equal, however they are written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Quantity {
    nano: i128,
}

/// Text that is not a quantity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct ParseQuantityError {
    text: String,
    /// What was probably meant.
    meant: Option<String>,
}

impl fmt::Display for ParseQuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a quantity: write ", self.text)?;
        match &self.meant {
            Some(meant) => write!(f, "\"{meant}\""),
            None => f.write_str("a number with a unit, such as \"1Gi\" or \"500m\""),
        }
    }
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseQuantityError { text: text.to_owned(), meant: meant(text) })
    }
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self { nano: 0 };

    /// This number of mebibytes.
    #[must_use]
    pub const fn mebibytes(count: u32) -> Self {
        Self { nano: (count as i128) * (1 << 20) * NANO }
    }

    /// This number of bytes.
    #[must_use]
    pub fn bytes(count: u64) -> Self {
        Self { nano: i128::from(count) * NANO }
    }

    /// The smallest number of whole mebibytes that is more.
    #[must_use]
    pub fn next_mebibyte(self) -> i128 {
        self.nano.div_euclid((1 << 20) * NANO) + 1
    }

    /// Whether it is a whole number.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.nano % NANO == 0
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { nano: self.nano.saturating_add(other.nano) }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { nano: self.nano.saturating_sub(other.nano) }
    }
}

/// Of a number that is larger than any real amount, the largest that can be expressed.
fn parse(text: &str) -> Option<Quantity> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let end = unsigned.bytes().position(|byte| !is_number(byte)).unwrap_or(unsigned.len());
    let (number, unit) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') {
        return None;
    }
    let amount = scaled(whole, fraction, unit_size(unit)?);
    Some(Quantity { nano: if text.starts_with('-') { -amount } else { amount } })
}

/// Size of a unit as (multiple of a billionth, power of ten).
fn unit_size(unit: &str) -> Option<(i128, i32)> {
    if let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) {
        return Some((*size, 0));
    }
    let exponent = unit.strip_prefix(['e', 'E'])?;
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some((NANO, exponent.parse().unwrap_or(if exponent.starts_with('-') { -99 } else { 99 })))
}

/// What is finer than a billionth is rounded up, as API servers do.
fn scaled(whole: &str, fraction: &str, (unit, exponent): (i128, i32)) -> i128 {
    // Further digits are below a billionth of any unit that is in use.
    let fraction = &fraction[..fraction.len().min(12)];
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return 0;
    }
    let number = digits.parse::<i128>().unwrap_or(i128::MAX);
    let power = exponent.saturating_sub(i32::try_from(fraction.len()).unwrap_or_default()).clamp(-40, 40);
    let ten = |power: u32| 10i128.checked_pow(power).unwrap_or(i128::MAX);
    let amount = number.saturating_mul(unit);
    if power >= 0 {
        return amount.saturating_mul(ten(power.unsigned_abs()));
    }
    let divisor = ten(power.unsigned_abs());
    amount / divisor + i128::from(amount % divisor != 0)
}

/// The quantity that a text with a common mistake stands for: `1GiB`, `500 MB`, `1gi`.
fn meant(text: &str) -> Option<String> {
    let compact: String = text.chars().filter(|char| !char.is_whitespace()).collect();
    let end = compact.find(|char: char| char.is_ascii_alphabetic())?;
    let (number, unit) = compact.split_at(end);
    let unit = unit.strip_suffix(['B', 'b']).unwrap_or(unit);
    // Neither a part of a byte nor 10^18 of them is meant.
    let names =
        || UNITS.iter().map(|(name, _)| *name).filter(|name| !["", "n", "u", "m", "E"].contains(name));
    let unit =
        names().find(|name| *name == unit).or_else(|| names().find(|it| it.eq_ignore_ascii_case(unit)))?;
    let meant = format!("{number}{unit}");
    parse(&meant).map(|_| meant)
}

/// Reads an object with `requests` and `limits`. Their quantities may be numbers, such as `cpu: 2`, which the API server
/// turns into text for its own kinds only.
pub(crate) fn with_numbers<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let Some(mut value) = Option::<Value>::deserialize(deserializer)? else { return Ok(None) };
    numbers_to_text(&mut value);
    serde_path_to_error::deserialize(value).map(Some).map_err(Error::custom)
}

/// Reads a quantity that may be a number.
pub(crate) fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(number @ Value::Number(_)) => Ok(Some(number.to_string())),
        Some(_) => Err(Error::custom("expected a quantity, such as \"20Gi\"")),
    }
}

fn numbers_to_text(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    for (name, field) in fields {
        match field {
            Value::Object(quantities) if name == "requests" || name == "limits" => {
                for quantity in quantities.values_mut().filter(|quantity| quantity.is_number()) {
                    *quantity = Value::String(quantity.to_string());
                }
            }
            nested => numbers_to_text(nested),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case("1Gi", "1073741824")]
    #[case("1.5Gi", "1536Mi")]
    #[case(".5", "500m")]
    #[case("1.", "1")]
    #[case("+1", "1")]
    #[case("1e3", "1k")]
    #[case("1E3", "1000")]
    #[case("15e-1", "1500m")]
    #[case("1E", "1000P")]
    #[case("1Ei", "1024Pi")]
    #[case("0.0000000001", "1n")]
    #[case("-0", "0")]
    #[case("99999999999999999999999999999999999999999999", "9e99")]
    fn quantities_of_the_same_amount_are_equal(#[case] text: &str, #[case] same: &str) {
        assert_eq!(text.parse::<Quantity>().unwrap(), same.parse().unwrap());
    }

    #[rstest]
    #[case("1GiB", "write \"1Gi\"")]
    #[case("10 GB", "write \"10G\"")]
    #[case("1gi", "write \"1Gi\"")]
    #[case("500MB", "write \"500M\"")]
    #[case("large", "such as \"1Gi\"")]
    #[case("", "such as \"1Gi\"")]
    #[case("1.2.3", "such as \"1Gi\"")]
    #[case("--1", "such as \"1Gi\"")]
    #[case("1e", "such as \"1Gi\"")]
    #[case("١Gi", "such as \"1Gi\"")]
    fn malformed_quantity_is_quoted_with_what_was_meant(#[case] text: &str, #[case] remedy: &str) {
        let error = text.parse::<Quantity>().unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("\"{text}\" is not a quantity: ")) && error.contains(remedy),
            "{error}"
        );
    }

    #[test]
    fn quantities_are_ordered_by_amount() {
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        assert!(quantity("-1Gi") < Quantity::ZERO && quantity("1G") < quantity("1Gi"));
        assert!(
            quantity("2") > quantity("1999m") && !quantity("1999m").is_whole() && quantity("2").is_whole()
        );
        assert_eq!((Quantity::mebibytes(1024), Quantity::bytes(1 << 30)), (quantity("1Gi"), quantity("1Gi")));
        assert_eq!(quantity("1Gi") + quantity("512Mi") - quantity("1"), quantity("1610612735"));
        assert_eq!(quantity("1Gi").next_mebibyte(), 1025);
        assert_eq!((quantity("1G").next_mebibyte(), quantity("1").next_mebibyte()), (954, 1));
    }

    #[test]
    fn numbers_are_read_as_quantities() {
        let read = |value: Value| with_numbers::<_, Value>(value).unwrap();
        let resources = json!({ "requests": { "cpu": 2, "memory": "1Gi" }, "limits": { "cpu": 2.5 } });
        let expected = json!({ "requests": { "cpu": "2", "memory": "1Gi" }, "limits": { "cpu": "2.5" } });
        assert_eq!(read(json!({ "resources": resources })), Some(json!({ "resources": expected })));
        assert_eq!(read(Value::Null), None);
    }
}
