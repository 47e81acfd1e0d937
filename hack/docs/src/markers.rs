//! Replaces the text between two markers of a Markdown file.

use anyhow::{Context, ensure};

/// The text with everything between the line `<!-- NAME:KIND … -->` and the line `<!-- end of NAME -->` replaced.
pub fn replace(text: &str, name: &str, kind: &str, content: &str) -> anyhow::Result<String> {
    let missing = || format!("failed to find the markers {name}:{kind}");
    let start = text.find(&format!("<!-- {name}:{kind}")).with_context(missing)?;
    let body = start + text[start..].find('\n').with_context(missing)? + 1;
    let end = body + text[body..].find(&format!("<!-- end of {name} -->")).with_context(missing)?;
    ensure!(!text[body..end].contains("<!--"), "another marker is between the markers {name}:{kind}");
    Ok(format!("{}{content}{}", &text[..body], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_keep_everything_outside_of_them() {
        let text = "a\n<!-- steps:list -->\nold\n<!-- end of steps -->\nb\n";
        let new = replace(text, "steps", "list", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- steps:list -->\nnew\n<!-- end of steps -->\nb\n");
        assert_eq!(replace(&new, "steps", "list", "new\n").unwrap(), new);
    }

    #[test]
    fn markers_that_are_missing_are_an_error() {
        assert!(replace("a\n", "steps", "list", "new\n").is_err());
        assert!(
            replace("<!-- steps:list -->\n<!-- values: -->\n<!-- end of steps -->\n", "steps", "list", "")
                .is_err()
        );
    }
}
