//! An executable document: its commands are run, and it shows their real output.
//!
//! A YAML block that begins with `# file: NAME` is a file. A `console` block holds commands, each on a line that
//! begins with `$ ` and followed by its output, both streams as a terminal shows them.

use std::fmt::Write;

/// A parsed document; rendering it unchanged yields the same text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Document {
    parts: Vec<Part>,
}

/// A part of a document, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// Any other line.
    Line(String),
    /// A file for later commands.
    File {
        /// The file's name.
        name: String,
        /// The file's content.
        content: String,
    },
    /// A command.
    Command {
        /// The command line.
        line: String,
        /// The output; empty, or whole lines.
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
    /// Parses a document.
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
                    if add_to_block(block.as_ref(), &mut parts, line) {
                        continue;
                    }
                }
            }
            parts.push(Part::Line(line.to_owned()));
        }
        Self { parts }
    }

    /// The parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The document with other outputs of its commands, in order.
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

    /// The document's text.
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

/// Adds a line to the file or command that it is part of; returns false if it is part of neither.
fn add_to_block(block: Option<&Block>, parts: &mut Vec<Part>, line: &str) -> bool {
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
    fn document_has_files_and_commands_with_output() {
        let document = Document::parse(TEXT);
        let found: Vec<_> = document.parts().iter().filter(|part| !matches!(part, Part::Line(_))).collect();
        let command = |line: &str, output: &str| Part::Command { line: line.into(), output: output.into() };
        let file = Part::File { name: "a.yaml".into(), content: "# file: a.yaml\nkind: A\n".into() };
        assert_eq!(found, [&file, &command("one", "printed\n\n  twice\n"), &command("two", "")]);
    }

    #[test]
    fn document_renders_to_same_text_except_outputs() {
        let document = Document::parse(TEXT);
        assert_eq!(document.render(), TEXT);
        let other = document.with_outputs(["once\n".to_owned(), "late\n".to_owned()]).render();
        assert!(other.contains("$ one\nonce\n$ two\nlate\n```\n"), "{other}");
    }
}
