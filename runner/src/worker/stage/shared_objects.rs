//! Reads which loader and which shared objects an ELF file needs.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};

/// The dynamic loader of a program, from the content of its file.
#[must_use]
pub fn interpreter(data: &[u8]) -> Option<PathBuf> {
    let header = elf::FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let path = header
        .program_headers(endian, data)
        .ok()?
        .iter()
        .find_map(|segment| segment.interpreter(endian, data).ok().flatten())?;
    Some(PathBuf::from(String::from_utf8_lossy(path).into_owned()))
}

/// The shared objects that a file needs: paths of those that exist, names of those that do not.
#[derive(Debug, Default, PartialEq)]
pub struct Resolved {
    pub found: Vec<PathBuf>,
    pub missing: Vec<String>,
}

/// The closure of a file's shared objects, as the image's own loader resolves it.
pub fn resolve(loader: &Path, file: &Path) -> io::Result<Resolved> {
    // musl's loader exits non-zero for a library whose symbols only the server provides: the list counts.
    let output = Command::new(loader).arg("--list").arg(file).env_clear().output()?;
    Ok(parse_list(&String::from_utf8_lossy(&output.stdout)))
}

fn parse_list(text: &str) -> Resolved {
    let mut resolved = Resolved::default();
    for line in text.lines() {
        let Some((name, rest)) = line.trim().split_once(" => ") else { continue };
        match rest.split(" (").next().map(str::trim) {
            Some(path) if path.starts_with('/') => resolved.found.push(PathBuf::from(path)),
            _ => resolved.missing.push(name.to_owned()),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loader_list_is_parsed() {
        let text = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                    \tlibssl.so.1.1 => /usr/lib/x86_64-linux-gnu/libssl.so.1.1 (0x00007f0a)\n\
                    \tlibxml2.so.2 => not found\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f0b)\n";
        let resolved = parse_list(text);
        assert_eq!(resolved.found, [PathBuf::from("/usr/lib/x86_64-linux-gnu/libssl.so.1.1")]);
        assert_eq!(resolved.missing, ["libxml2.so.2"]);
    }

    #[test]
    fn loader_is_found_only_in_dynamic_programs() {
        let shell = std::fs::read("/bin/sh").unwrap();
        assert!(interpreter(&shell).unwrap().to_string_lossy().contains("ld-"));
        assert_eq!(interpreter(b"#!/bin/sh\n"), None);
    }
}
