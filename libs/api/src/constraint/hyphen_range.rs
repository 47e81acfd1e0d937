//! Hyphen ranges, such as `1.2 - 1.4`.

use std::borrow::Cow;

use super::version::{Parts, is_part, is_space};

/// Replaces each hyphen range by two comparisons, before anything else is parsed.
pub(super) fn rewrite_ranges(text: &str) -> Cow<'_, str> {
    let mut rewritten = String::new();
    let mut rest = text;
    while let Some((before, range)) = find_range(rest) {
        rewritten.extend([before, ">= ", range.low, ", <= ", range.high, " "]);
        rest = range.rest;
    }
    if rest.len() == text.len() { Cow::Borrowed(text) } else { Cow::Owned(rewritten + rest) }
}

struct Range<'a> {
    low: &'a str,
    high: &'a str,
    rest: &'a str,
}

/// The first hyphen range and the text before it; white space around the range is part of it.
fn find_range(text: &str) -> Option<(&str, Range<'_>)> {
    text.char_indices().find_map(|(at, _)| Some((&text[..at], take_range(&text[at..])?)))
}

fn take_range(text: &str) -> Option<Range<'_>> {
    let space = |text: &str| {
        let rest = text.trim_start_matches(is_space).len();
        text.len() - rest
    };
    let low = Parts::take(&text[space(text)..], is_part)?;
    let dash = low.rest.trim_start_matches(is_space);
    let after = dash.strip_prefix('-').filter(|_| space(low.rest) > 0)?;
    let high = Parts::take(&after[space(after)..], is_part).filter(|_| space(after) > 0)?;
    Some(Range { low: low.text, high: high.text, rest: high.rest.trim_start_matches(is_space) })
}
