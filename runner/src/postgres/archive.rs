//! The table of contents of a dump in the custom format (`WriteHead`, `WriteToc` in `src/bin/pg_dump/pg_backup_archiver.c`). It has
//! all definitions, and is never compressed.
//!
//! [`secrets`] hides the passwords in it.

pub mod secrets;

use std::ops::Range;

/// Format of the archives, the minor part: 1.13 of `pg_dump` 10, and the one of 18.
const FORMATS: std::ops::RangeInclusive<u8> = 13..=16;
const MAGIC: &[u8] = b"PGDMP";
/// Second, minute, hour, day, month, year and whether it is daylight saving time.
const TIME_FIELDS: usize = 7;

/// A dump could not be read.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum ArchiveError {
    #[error(
        "failed to read a dump: it has format {0}.{1}, which this pgops does not know; a newer pgops may"
    )]
    Format(u8, u8),
    #[error("failed to read a dump: it is damaged, or no archive of pg_dump")]
    Damaged,
}

/// An entry, by its place in the archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// What the object is, such as `USER MAPPING`.
    pub description: Range<usize>,
    pub definition: Range<usize>,
}

/// The entries of an archive.
pub fn entries(archive: &[u8]) -> Result<Vec<Entry>, ArchiveError> {
    let mut reader = Reader { archive, place: 0, int_bytes: 0 };
    if reader.bytes(MAGIC.len())? != MAGIC {
        return Err(ArchiveError::Damaged);
    }
    let (major, minor, _revision) = (reader.byte()?, reader.byte()?, reader.byte()?);
    if major != 1 || !FORMATS.contains(&minor) {
        return Err(ArchiveError::Format(major, minor));
    }
    reader.int_bytes = usize::from(reader.byte()?);
    let offset_bytes = usize::from(reader.byte()?);
    let _format = reader.byte()?;
    // The compression.
    if minor >= 15 {
        reader.byte()?;
    } else {
        reader.int()?;
    }
    for _ in 0..TIME_FIELDS {
        reader.int()?;
    }
    // Database, version of the server and of the program.
    for _ in 0..3 {
        reader.string()?;
    }
    let count = reader.int()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(reader.entry(minor, offset_bytes)?);
    }
    Ok(entries)
}

struct Reader<'a> {
    archive: &'a [u8],
    place: usize,
    int_bytes: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], ArchiveError> {
        let end = self.place.checked_add(count).ok_or(ArchiveError::Damaged)?;
        let bytes = self.archive.get(self.place..end).ok_or(ArchiveError::Damaged)?;
        self.place = end;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, ArchiveError> {
        self.bytes(1)?.first().copied().ok_or(ArchiveError::Damaged)
    }

    /// A sign, and the number with its least significant byte first.
    fn int(&mut self) -> Result<i64, ArchiveError> {
        let is_negative = self.byte()? != 0;
        let bytes = self.bytes(self.int_bytes)?;
        if bytes.len() > 4 {
            return Err(ArchiveError::Damaged);
        }
        let number = bytes.iter().rev().fold(0, |number, byte| number << 8 | i64::from(*byte));
        Ok(if is_negative { -number } else { number })
    }

    /// Where a string is; `None` if there is none.
    fn string(&mut self) -> Result<Option<Range<usize>>, ArchiveError> {
        let Ok(length) = usize::try_from(self.int()?) else { return Ok(None) };
        let start = self.place;
        self.bytes(length)?;
        Ok(Some(start..self.place))
    }

    fn entry(&mut self, minor: u8, offset_bytes: usize) -> Result<Entry, ArchiveError> {
        // Its number, and whether it has data.
        self.int()?;
        self.int()?;
        // OID of the catalog, OID, tag.
        for _ in 0..3 {
            self.string()?;
        }
        let description = self.string()?.unwrap_or_default();
        // The section.
        self.int()?;
        let definition = self.string()?.unwrap_or_default();
        // The statements to drop and to copy it, schema, tablespace, since 1.14 the access method.
        let strings = if minor >= 14 { 5 } else { 4 };
        for _ in 0..strings {
            self.string()?;
        }
        if minor >= 16 {
            // The kind of a relation.
            self.int()?;
        }
        // The owner, and what was whether it has OIDs.
        self.string()?;
        self.string()?;
        // What it depends on.
        while self.string()?.is_some() {}
        // Where its data is.
        self.bytes(1 + offset_bytes)?;
        Ok(Entry { description, definition })
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    fn int(number: i32) -> Vec<u8> {
        let sign = u8::from(number < 0);
        [vec![sign], number.unsigned_abs().to_le_bytes().to_vec()].concat()
    }

    fn string(text: &str) -> Vec<u8> {
        [int(i32::try_from(text.len()).unwrap()), text.as_bytes().to_vec()].concat()
    }

    /// An archive as `pg_dump` writes it in a format, with these entries: what they are, and their definitions.
    pub fn archive(minor: u8, entries: &[(&str, &str)]) -> Vec<u8> {
        let mut archive = [MAGIC, &[1, minor, 0, 4, 8, 1][..]].concat();
        archive.extend(if minor >= 15 { vec![1] } else { int(-1) });
        archive.extend((0..TIME_FIELDS).flat_map(|_| int(126)));
        archive.extend(["shop", "13.16", "17.12"].iter().flat_map(|text| string(text)));
        archive.extend(int(i32::try_from(entries.len()).unwrap()));
        for &(description, definition) in entries {
            archive.extend([int(7), int(0)].concat());
            archive.extend(["1418", "16700", "tag", description].iter().flat_map(|text| string(text)));
            archive.extend([int(2), string(definition), string("DROP …"), int(-1)].concat());
            archive.extend([string("public"), int(-1)].concat());
            archive.extend(if minor >= 14 { int(-1) } else { Vec::new() });
            archive.extend(if minor >= 16 { int(0) } else { Vec::new() });
            archive.extend([string("postgres"), string("false"), string("12"), int(-1)].concat());
            archive.extend([1; 9]);
        }
        archive
    }

    #[rstest]
    fn entries_of_every_format_are_found(#[values(13, 14, 15, 16)] minor: u8) {
        let archive = archive(minor, &[("TABLE", "CREATE TABLE t ();"), ("USER MAPPING", "CREATE USER …")]);
        let text = |range: Range<usize>| std::str::from_utf8(&archive[range]).unwrap();
        let found: Vec<_> = entries(&archive)
            .unwrap()
            .into_iter()
            .map(|entry| (text(entry.description), text(entry.definition)))
            .collect();
        assert_eq!(found, [("TABLE", "CREATE TABLE t ();"), ("USER MAPPING", "CREATE USER …")]);
    }

    #[test]
    fn archive_of_an_unknown_format_is_an_error() {
        assert_eq!(entries(&archive(17, &[])), Err(ArchiveError::Format(1, 17)));
        assert_eq!(entries(b"-- PostgreSQL database dump"), Err(ArchiveError::Damaged));
        let mut cut = archive(16, &[("TABLE", "CREATE TABLE t ();")]);
        cut.truncate(cut.len() - 1);
        assert_eq!(entries(&cut), Err(ArchiveError::Damaged));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_an_error(place in 0usize..200, byte in any::<u8>()) {
            let mut archive = archive(16, &[("TABLE", "CREATE TABLE t ();")]);
            if let Some(changed) = archive.get_mut(place) {
                *changed = byte;
            }
            let _ = entries(&archive);
        }
    }
}
