//! Rows of a partition that belong to another one under the new rules of text and time, and what is said about them. A table that
//! inherits from another with checks is like a partition: queries look for its rows by these.

use std::collections::BTreeMap;
use std::fmt;

use crate::postgres::client::query::was_utf8;
use crate::postgres::client::quote::literal;

/// A leaf partition, with its root.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Partition {
    pub oid: u32,
    pub name: String,
    pub root_oid: u32,
    pub root: String,
    /// The role that owns it and all tables above it.
    pub owner: Option<String>,
    /// Whether the owner is a superuser, and code that it evaluates may be another role's.
    pub runs_foreign_code: bool,
    /// A column of the root, quoted, that may be set to itself: one of its key if possible.
    pub column: Option<String>,
    pub bounds: Bounds,
}

/// What the rows of a table must fulfil to be found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Bounds {
    /// Those of a partition.
    #[default]
    Partition,
    /// The CHECK constraints, by OID, of a table that inherits from another. The server does not move its rows.
    Checks(Vec<u32>),
}

/// Why the rows of a partition were not counted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Unchecked {
    /// The keys above it are other roles' code: a query runs the code of all of them.
    SeveralOwners,
    /// A superuser's table uses code that may be another role's.
    ForeignCode,
    /// The name of it, of its table, of a column or of the owner is not valid UTF-8, so that no statement can be written with it.
    NotUtf8,
    /// The owner's query failed. Only the code: the message may contain values of users.
    Failed { owner: String, sqlstate: String },
}

/// A partition with rows that queries look for in another one, or that cannot be checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Misrouted {
    pub partition: Partition,
    pub state: State,
}

/// What is known about the rows of a partition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum State {
    Unchecked(Unchecked),
    Counted(Rows),
    /// The same, and why they were not moved.
    Left(Rows, Refusal),
}

/// The rows of a partition.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rows {
    /// How many belong to another partition.
    pub misrouted: u64,
    pub all: u64,
    /// The size of the partition with its indexes.
    pub bytes: u64,
    /// The condition that rows of the partition fulfil.
    pub bounds: String,
}

/// Why rows were not moved; it is displayed as the end of "they were not moved, since".
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// An index of the database is not right, and may be a unique one.
    IndexesLeft,
    NoRoom {
        bytes: u64,
        free: u64,
    },
    /// What of users would run or be lost, one sentence each.
    Obstacles(Vec<String>),
    /// No column may be set to itself.
    NoColumn,
    /// The codes with which the server has rejected rows. No messages: they may contain values of users.
    Rejected(Vec<String>),
}

impl Partition {
    /// The role whose rights suffice to count, and give its code no further ones.
    pub fn owner(&self) -> Result<&str, Unchecked> {
        match &self.owner {
            None => Err(Unchecked::SeveralOwners),
            Some(owner) if !self.is_utf8() || !was_utf8(owner) => Err(Unchecked::NotUtf8),
            Some(_) if self.runs_foreign_code => Err(Unchecked::ForeignCode),
            Some(owner) => Ok(owner),
        }
    }

    /// Whether the names that statements need are known.
    fn is_utf8(&self) -> bool {
        was_utf8(&self.name) && was_utf8(&self.root) && self.column.as_deref().is_none_or(was_utf8)
    }

    /// An expression that names it to the server.
    fn reference(&self) -> String {
        if self.is_utf8() { literal(&self.name) } else { format!("{}::regclass", self.oid) }
    }

    /// What moves all misrouted rows of its root.
    fn statement(&self) -> String {
        let root = &self.root;
        match &self.column {
            Some(column) => {
                format!("SET enable_partition_pruning = off; UPDATE {root} SET {column} = {column}")
            }
            None => {
                format!("SET enable_partition_pruning = off and UPDATE {root}, setting a column to itself")
            }
        }
    }
}

impl Rows {
    /// Parses the answer of the query that counts.
    #[must_use]
    pub fn parse(answer: &str, bounds: String) -> Option<Self> {
        let mut numbers = answer.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        Some(Self { misrouted: next()?, all: next()?, bytes: next()?, bounds })
    }

    /// About how many bytes the misrouted ones have, with their index entries.
    #[must_use]
    pub fn misrouted_bytes(&self) -> u64 {
        let bytes = u128::from(self.bytes) * u128::from(self.misrouted) / u128::from(self.all.max(1));
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SeveralOwners => f.write_str("the tables above it have other owners, whose code would run"),
            Self::ForeignCode => f.write_str(
                "its keys, indexes or statistics use a function, operator or type of an ordinary role, which would run as \
                 superuser",
            ),
            Self::NotUtf8 => f.write_str("its name, or that of its owner or of a column, is not valid UTF-8"),
            Self::Failed { owner, sqlstate } => {
                write!(f, "they could not be counted as its owner \"{owner}\" (SQLSTATE {sqlstate})")
            }
        }
    }
}

/// How many partitions a sentence names.
const MAX_NAMED: usize = 5;

/// Partitions of the same table with the same result.
struct Group<'a> {
    first: &'a Misrouted,
    names: Vec<&'a str>,
    misrouted: u64,
}

/// Sentences for the operator: one for all partitions of a table with the same result.
#[must_use]
pub fn sentences(all: &[Misrouted]) -> Vec<String> {
    let mut groups: BTreeMap<(&str, String), Group<'_>> = BTreeMap::new();
    for it in all {
        let (why, misrouted) = match &it.state {
            State::Unchecked(why) => (why.to_string(), 0),
            State::Counted(rows) => (String::new(), rows.misrouted),
            State::Left(rows, why) => (why.to_string(), rows.misrouted),
        };
        let key = (it.partition.root.as_str(), why);
        let group = groups.entry(key).or_insert_with(|| Group { first: it, names: Vec::new(), misrouted: 0 });
        group.names.push(&it.partition.name);
        group.misrouted += misrouted;
    }
    groups.values().map(Group::sentence).collect()
}

impl Group<'_> {
    fn sentence(&self) -> String {
        match &self.first.partition.bounds {
            Bounds::Partition => self.of_partitions(),
            Bounds::Checks(_) => self.of_children(),
        }
    }

    fn of_children(&self) -> String {
        let (root, names) = (&self.first.partition.root, self.names());
        let remedy = "SET constraint_exclusion = off finds them; move each to the table whose constraints it fulfils (DELETE and INSERT)";
        match &self.first.state {
            State::Unchecked(why) => format!(
                "rows of {names} may violate CHECK constraints now, by which queries of {root} skip the table: {why}. {remedy}"
            ),
            State::Counted(_) | State::Left(..) => format!(
                "{} rows of {names} violate CHECK constraints now, so that queries of {root} miss them: {remedy}",
                self.misrouted
            ),
        }
    }

    /// The first few partitions, and how many more there are.
    fn names(&self) -> String {
        let first = self.names.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
        match self.names.len().saturating_sub(MAX_NAMED) {
            0 => first,
            more => format!("{first} and {more} more"),
        }
    }

    fn of_partitions(&self) -> String {
        let root = &self.first.partition.root;
        let statement = self.first.partition.statement();
        let names = self.names();
        let rows = self.misrouted;
        match &self.first.state {
            State::Unchecked(why) => {
                let reference = self.first.partition.reference();
                format!(
                    "rows of {names} may belong to another partition of {root} now: {why}. As a role that may run that code, \
                     create the query that counts them by SELECT format('SELECT count(*) FROM ONLY %s WHERE NOT (%s)', \
                     {reference}, pg_get_partition_constraintdef({reference}::regclass))"
                )
            }
            State::Counted(_) => format!(
                "{rows} rows of {names} belong to another partition of {root} now, so that queries and unique keys miss them: \
                 to move them, run {statement}"
            ),
            State::Left(_, why) => format!(
                "{rows} rows of {names} belong to another partition of {root} now, so that queries and unique keys miss them; \
                 they were not moved, since {why}. Then run {statement}"
            ),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IndexesLeft => f.write_str(
                "an index of the database could not be rebuilt, and may admit duplicates: rebuild it",
            ),
            Self::NoRoom { bytes, free } => write!(
                f,
                "they have about {} MiB, and the volume has {} MiB free: enlarge it",
                bytes >> 20,
                free >> 20
            ),
            Self::Obstacles(obstacles) => {
                write!(f, "{}: see that the UPDATE below may be run", obstacles.join(", "))
            }
            Self::NoColumn => f.write_str("the root has no column that can be set to itself: add one"),
            Self::Rejected(codes) => write!(
                f,
                "the server rejected them (SQLSTATE {}): remove the cause, such as a duplicate in the other partition or a \
                 client that holds a lock",
                codes.join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::collation::partitions::tests::partition;

    fn sentence(state: State) -> String {
        sentences(&[Misrouted { partition: partition(Some("app"), false), state }]).concat()
    }

    #[test]
    fn partition_is_counted_only_as_the_owner_of_all_code_that_runs() {
        assert_eq!(partition(Some("app"), false).owner(), Ok("app"));
        assert_eq!(partition(None, false).owner(), Err(Unchecked::SeveralOwners));
        assert_eq!(partition(Some("postgres"), true).owner(), Err(Unchecked::ForeignCode));
    }

    /// One such name would otherwise end the work on all databases.
    #[test]
    fn partition_whose_name_is_not_utf8_is_named_by_its_oid() {
        let partition = Partition { name: "s.zo\u{fffd}".into(), ..partition(Some("app"), false) };
        assert_eq!(partition.owner(), Err(Unchecked::NotUtf8));
        let text =
            sentences(&[Misrouted { partition, state: State::Unchecked(Unchecked::NotUtf8) }]).concat();
        assert!(text.contains("is not valid UTF-8. As a role"), "{text}");
        assert!(
            text.ends_with("16400::regclass, pg_get_partition_constraintdef(16400::regclass::regclass))"),
            "{text}"
        );
    }

    #[test]
    fn unchecked_partition_is_named_with_the_reason_and_a_query() {
        let why = Unchecked::Failed { owner: "app".into(), sqlstate: "42501".into() };
        let text = sentence(State::Unchecked(why));
        for part in ["rows of s.t1", "partition of s.t now", "\"app\" (SQLSTATE 42501)", "'s.t1'::regclass"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn misrouted_rows_are_named_with_the_statement_that_moves_them() {
        let rows = Rows { misrouted: 7, all: 9, bytes: 8192, bounds: "w > 'a'".into() };
        let text = sentence(State::Counted(rows.clone()));
        assert!(text.starts_with("7 rows of s.t1 belong to another partition of s.t now"), "{text}");
        assert!(text.ends_with("SET enable_partition_pruning = off; UPDATE s.t SET w = w"), "{text}");
        let text = sentence(State::Left(rows, Refusal::Rejected(vec!["23505".into()])));
        assert!(text.contains("were not moved") && text.contains("SQLSTATE 23505"), "{text}");
    }

    #[test]
    fn rows_of_an_inheriting_table_are_named_without_a_statement_that_would_not_move_them() {
        let child = Partition { bounds: Bounds::Checks(vec![16410]), ..partition(Some("app"), false) };
        let rows = Rows { misrouted: 7, ..Rows::default() };
        let text = sentences(&[Misrouted { partition: child.clone(), state: State::Counted(rows) }]).concat();
        assert!(text.starts_with("7 rows of s.t1 violate CHECK constraints now"), "{text}");
        assert!(text.contains("constraint_exclusion = off") && !text.contains("UPDATE s.t"), "{text}");
        let unchecked = Misrouted { partition: child, state: State::Unchecked(Unchecked::ForeignCode) };
        let text = sentences(&[unchecked]).concat();
        assert!(text.starts_with("rows of s.t1 may violate CHECK constraints now"), "{text}");
    }

    #[test]
    fn many_partitions_of_a_table_are_one_sentence() {
        let partition = |number: u32, root: &str| Partition {
            name: format!("{root}_{number}"),
            root: root.into(),
            ..Partition::default()
        };
        let counted = |partition| {
            let rows = Rows { misrouted: 3, ..Rows::default() };
            Misrouted { partition, state: State::Counted(rows) }
        };
        let mut all: Vec<_> = (0..64).map(|number| counted(partition(number, "s.words"))).collect();
        all.push(counted(partition(1, "s.names")));
        all.push(Misrouted {
            partition: partition(64, "s.words"),
            state: State::Unchecked(Unchecked::SeveralOwners),
        });
        let sentences = sentences(&all);
        assert_eq!(sentences.len(), 3);
        assert!(sentences[0].starts_with("3 rows of s.names_1 belong to"), "{}", sentences[0]);
        let many = "192 rows of s.words_0, s.words_1, s.words_2, s.words_3, s.words_4 and 59 more belong to another partition of \
                    s.words now";
        assert!(sentences[1].starts_with(many), "{}", sentences[1]);
        assert!(sentences[2].starts_with("rows of s.words_64 may belong"), "{}", sentences[2]);
    }

    #[test]
    fn rows_are_parsed_from_the_count() {
        let rows = Rows::parse("3 10 81920", "w > 'a'".into()).unwrap();
        assert_eq!((rows.misrouted, rows.all, rows.misrouted_bytes()), (3, 10, 24576));
        assert_eq!(Rows::parse("3 10", String::new()), None);
        assert_eq!(Rows::default().misrouted_bytes(), 0);
    }

    #[test]
    fn refusal_names_cause_and_remedy_without_values() {
        let text = Refusal::Rejected(vec!["23505".into(), "55P03".into()]).to_string();
        assert!(text.contains("SQLSTATE 23505, 55P03") && text.contains("duplicate"), "{text}");
        let text = Refusal::Obstacles(vec!["s.t1 has the trigger audit".into()]).to_string();
        assert!(text.starts_with("s.t1 has the trigger audit: "), "{text}");
        let text = Refusal::NoRoom { bytes: 5 << 20, free: 1 << 20 }.to_string();
        assert!(text.contains("5 MiB") && text.contains("1 MiB free"), "{text}");
    }
}
