//! Texts of a limited length: the API server and etcd refuse longer ones, the kubelet cuts them.

/// The end of a text that was cut.
const CUT: &str = "…";

/// The text if it has at most `limit` bytes, else its beginning and `note`.
#[must_use]
pub fn bounded(text: impl Into<String>, limit: usize, note: &str) -> String {
    let mut text = text.into();
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit.saturating_sub(CUT.len() + note.len())));
        text.extend([CUT, note]);
    }
    text
}

/// The beginning of the lines, each without its rest if it is longer than `line` bytes, in at most `limit` bytes in all.
/// If there are lines for which no room is left, what `more` says of their number follows.
#[must_use]
pub fn bounded_lines(lines: &[String], line: usize, limit: usize, more: impl Fn(usize) -> String) -> String {
    let whole: usize = lines.iter().map(|text| text.len().min(line) + 1).sum();
    // The longest that it can get.
    let reserved = if whole > limit { more(lines.len()).len() + 1 } else { 0 };
    let mut shown = String::new();
    for (index, text) in lines.iter().enumerate() {
        let text = bounded(text.as_str(), line, "");
        let separator = if index == 0 { "" } else { "\n" };
        if shown.len() + separator.len() + text.len() + reserved > limit {
            return shown + separator + &more(lines.len() - index);
        }
        shown.extend([separator, &text]);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_text_is_unchanged_up_to_its_limit_and_cut_beyond_it() {
        assert_eq!(bounded("12345", 5, " more"), "12345");
        assert_eq!(bounded("1234567890", 9, " more"), "1… more");
        assert_eq!(bounded("größe", 6, ""), "gr…");
    }

    #[test]
    fn bounded_lines_fit_and_the_others_are_counted() {
        let lines = |count: usize| vec!["x".repeat(1024); count];
        let more = |count: usize| format!("{count} more");
        assert_eq!(bounded_lines(&lines(2), 2000, 4096, more).len(), 2049);
        for limit in [100, 4096, 32 << 10] {
            let text = bounded_lines(&lines(3000), 2000, limit, more);
            let shown = text.lines().filter(|line| line.starts_with('x')).count();
            assert!(text.len() <= limit, "{} of {limit}", text.len());
            assert!(text.ends_with(&format!("{} more", 3000 - shown)), "{limit}");
        }
        assert_eq!(bounded_lines(&lines(1), 10, 100, more), "xxxxxxx…");
    }
}
