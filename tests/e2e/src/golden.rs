//! A document that is run: its commands are real, and it shows what they really print.
//!
//! A block of YAML that begins with `# file: NAME` is a file. A block of `console` holds commands, each on a
//! line that begins with `$ `, and below each what it prints, both its streams as a terminal shows them.

use std::fmt::Write;

/// A document in its parts; rendered unchanged, it is the same text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    parts: Vec<Part>,
}

/// A part of a document, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// A line of anything else.
    Line(String),
    /// A file that later commands use.
    File {
        /// Its name.
        name: String,
        /// What it holds.
        content: String,
    },
    /// A command.
    Command {
        /// What is typed.
        line: String,
        /// What is printed; empty, or whole lines.
        output: String,
    },
}

const FILE: &str = "# file: ";
const PROMPT: &str = "$ ";
const FENCE: &str = "```";

#[derive(PartialEq)]
enum Block {
    Yaml,
    File,
    Console,
    Other,
}

impl Document {
    /// Reads a document.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut block = None;
        for line in text.lines() {
            match (&block, line.strip_prefix(FENCE)) {
                (None, Some("yaml")) => block = Some(Block::Yaml),
                (None, Some("console")) => block = Some(Block::Console),
                (None, Some(_)) => block = Some(Block::Other),
                (Some(_), Some(_)) => block = None,
                _ => {
                    if block == Some(Block::Yaml)
                        && let Some(name) = line.strip_prefix(FILE)
                    {
                        block = Some(Block::File);
                        parts.push(Part::File { name: name.to_owned(), content: String::new() });
                    }
                    if inside(block.as_ref(), &mut parts, line) {
                        continue;
                    }
                }
            }
            parts.push(Part::Line(line.to_owned()));
        }
        Self { parts }
    }

    /// Its parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The document with what its commands printed, in order.
    #[must_use]
    pub fn with_outputs(&self, outputs: impl IntoIterator<Item = String>) -> Self {
        let mut outputs = outputs.into_iter();
        let mut parts = self.parts.clone();
        for part in &mut parts {
            if let Part::Command { output, .. } = part {
                *output = outputs.next().unwrap_or_default();
            }
        }
        Self { parts }
    }

    /// Its text.
    #[must_use]
    pub fn render(&self) -> String {
        self.parts.iter().fold(String::new(), |mut text, part| {
            match part {
                Part::Line(line) => writeln!(text, "{line}"),
                Part::File { content, .. } => write!(text, "{content}"),
                Part::Command { line, output } => write!(text, "{PROMPT}{line}\n{output}"),
            }
            .unwrap_or_default();
            text
        })
    }
}

/// Puts a line where it belongs if it is a part of a file or of a command.
fn inside(block: Option<&Block>, parts: &mut Vec<Part>, line: &str) -> bool {
    match (block, line.strip_prefix(PROMPT), parts.last_mut()) {
        (Some(Block::Console), Some(command), _) => {
            parts.push(Part::Command { line: command.to_owned(), output: String::new() });
        }
        (Some(Block::Console), None, Some(Part::Command { output: text, .. }))
        | (Some(Block::File), _, Some(Part::File { content: text, .. })) => {
            text.push_str(line);
            text.push('\n');
        }
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Title\n\n```yaml\n# file: a.yaml\nkind: A\n```\n\n```yaml\nkind: B\n```\n```console\n$ one\nprinted\n\n  twice\n$ two\n```\n`$ not one`\n```\n$ nor this\n```\n";

    #[test]
    fn finds_files_and_commands_with_their_output() {
        let document = Document::parse(TEXT);
        let found: Vec<_> = document.parts().iter().filter(|part| !matches!(part, Part::Line(_))).collect();
        let command = |line: &str, output: &str| Part::Command { line: line.into(), output: output.into() };
        let file = Part::File { name: "a.yaml".into(), content: "# file: a.yaml\nkind: A\n".into() };
        assert_eq!(found, [&file, &command("one", "printed\n\n  twice\n"), &command("two", "")]);
    }

    #[test]
    fn is_the_same_text_again_but_for_the_outputs() {
        let document = Document::parse(TEXT);
        assert_eq!(document.render(), TEXT);
        let other = document.with_outputs(["once\n".to_owned(), "late\n".to_owned()]).render();
        assert!(other.contains("$ one\nonce\n$ two\nlate\n```\n"), "{other}");
    }
}
