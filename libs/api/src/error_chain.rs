//! An error with everything that led to it, in one line.

use std::error::Error;

/// The error with its sources: "failed to …: because …".
#[must_use]
pub fn display_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let said = error.to_string();
        // Some libraries repeat their source in their own text.
        if !text.contains(&said) {
            text = format!("{text}: {said}");
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
    fn every_source_is_told_once() {
        let text = |texts: &[&'static str]| display_chain(&layers(texts));
        assert_eq!(
            text(&["failed to create Job a", "403", "quota used up"]),
            "failed to create Job a: 403: quota used up"
        );
        assert_eq!(text(&["HTTP error: refused", "refused"]), "HTTP error: refused");
    }
}
