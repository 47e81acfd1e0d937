//! Which rows of a large catalog are looked at: a database may have millions of rows that are the same on both servers, and too
//! much would be kept of each.

use std::collections::{BTreeSet, HashSet};

/// A row, by a number for what it is called and one for what it has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct RowDigest {
    pub identity: i64,
    pub fields: i64,
}

/// The identities of rows of `source` that the other server lacks or has with other fields, at most `limit`, and of those rows that
/// the other server alone has and that may be the same under another name.
#[must_use]
pub fn differing_identities(source: &[RowDigest], target: &[RowDigest], limit: usize) -> Vec<i64> {
    let in_target: HashSet<_> = target.iter().collect();
    let unmatched = || source.iter().filter(|row| !in_target.contains(row));
    let differing: BTreeSet<_> = unmatched().map(|row| row.identity).take(limit).collect();
    let fields: HashSet<_> =
        unmatched().filter(|row| differing.contains(&row.identity)).map(|row| row.fields).collect();
    let known: HashSet<_> = source.iter().map(|row| row.identity).collect();
    let may_be_renamed = |row: &&RowDigest| !known.contains(&row.identity) && fields.contains(&row.fields);
    let renamed: BTreeSet<_> = target.iter().filter(may_be_renamed).map(|row| row.identity).collect();
    differing.into_iter().chain(renamed.into_iter().take(limit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[(i64, i64)]) -> Vec<RowDigest> {
        rows.iter().map(|&(identity, fields)| RowDigest { identity, fields }).collect()
    }

    #[test]
    fn rows_that_are_missing_or_have_other_fields_differ() {
        let source = rows(&[(1, 10), (2, 20), (3, 30)]);
        let target = rows(&[(1, 10), (2, 21), (4, 40)]);
        assert_eq!(differing_identities(&source, &target, 100), [2, 3]);
        assert_eq!(differing_identities(&source, &source, 100), [0; 0]);
    }

    #[test]
    fn row_with_the_same_fields_under_a_new_name_is_looked_at() {
        let source = rows(&[(1, 10), (2, 20)]);
        let target = rows(&[(1, 10), (5, 20), (6, 10)]);
        assert_eq!(differing_identities(&source, &target, 100), [2, 5]);
    }

    #[test]
    fn identity_with_several_rows_differs_if_one_of_them_does() {
        let source = rows(&[(1, 10), (1, 11)]);
        assert_eq!(differing_identities(&source, &rows(&[(1, 10)]), 100), [1]);
    }

    #[test]
    fn rows_that_are_looked_at_are_bounded() {
        let source = rows(&(0..1000).map(|row| (row, 7)).collect::<Vec<_>>());
        let target = rows(&(5000..6000).map(|row| (row, 7)).collect::<Vec<_>>());
        assert_eq!(differing_identities(&source, &target, 10).len(), 20);
    }
}
