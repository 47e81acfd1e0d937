//! Bounds on what a review may contain. Any client can send one, and its parsed form takes up to a hundred times the
//! memory of its text: without bounds a single body could exhaust the memory of the pod.

/// Maximum length in bytes of a text that identifies something. API servers limit names to 253, and uids are shorter.
pub const MAX_IDENTIFIER: usize = 4096;
/// Maximum number of annotations of pgops, which knows about ten.
pub const MAX_ANNOTATIONS: usize = 64;
/// Maximum number of warnings in a response. Of longer ones API servers forward nothing.
pub const MAX_WARNINGS: usize = 64;
/// Maximum length in bytes of a message, and of a patch, in a response.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Maximum length in bytes of the error about a review that cannot be read.
pub const MAX_ERROR: usize = 1024;
/// Maximum number of values in a spec or a status. A database with a pod template has tens of them.
const MAX_VALUES: usize = 50_000;

/// Whether the JSON may be parsed completely. Counts at least as many values as it has.
pub fn has_few_values(json: &str) -> bool {
    json.len() <= MAX_VALUES || memchr::memchr3_iter(b',', b'{', b'[', json.as_bytes()).count() <= MAX_VALUES
}

/// Why JSON with too many values is not parsed.
pub fn too_many_values(field: &str) -> String {
    format!("{field}: it has more than {MAX_VALUES} values: pgops reads no object as large as that")
}

/// The text, cut off after `max` bytes.
pub fn shorten(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(max)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_without_parsing() {
        let list = |length: usize| format!("[{}]", vec!["0"; length].join(","));
        assert!(has_few_values(&list(MAX_VALUES)));
        assert!(!has_few_values(&list(MAX_VALUES + 1)));
        assert!(!has_few_values(&"[{".repeat(MAX_VALUES)));
        assert!(has_few_values(&format!("\"{}\"", "x".repeat(10 * MAX_VALUES))));
    }

    #[test]
    fn text_is_cut_off_between_characters() {
        assert_eq!(shorten("déjà", 5), "déj…");
        assert_eq!(shorten("déjà", 6), "déjà");
    }
}
