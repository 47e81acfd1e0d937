//! An error with its sources, on one line.

use std::error::Error;

/// The error followed by its sources: "failed to …: cause: cause".
#[must_use]
pub fn display_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        // Some libraries repeat their source in their own message.
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn layers(texts: &[&'static str]) -> Layer {
        let (text, rest) = texts.split_first().unwrap();
        Layer { text, source: (!rest.is_empty()).then(|| Box::new(layers(rest))) }
    }

    #[test]
    fn error_chain_shows_each_source_once() {
        let text = |texts: &[&'static str]| display_chain(&layers(texts));
        assert_eq!(
            text(&["failed to create Job a", "403", "quota used up"]),
            "failed to create Job a: 403: quota used up"
        );
        assert_eq!(text(&["HTTP error: refused", "refused"]), "HTTP error: refused");
    }
}
