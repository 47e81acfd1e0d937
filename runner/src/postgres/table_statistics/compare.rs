//! Compares what the planner knows of tables before and after an upgrade.

use super::{DatabaseStatistics, TableStatistics};

/// Estimates that differ by more lead to other plans. Less may be what clients have written since the last `ANALYZE` before.
const FACTOR: f64 = 2.0;

/// A table, before and after.
struct Pair<'a> {
    database: &'a str,
    before: &'a TableStatistics,
    /// `None` if it was dropped.
    after: Option<&'a TableStatistics>,
}

/// What is worse than before, or suspicious.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Doubt {
    NoStatistics,
    FewerColumns,
    FewerExtended,
    OtherRows,
}

/// The result: a table as text, and what to warn of.
#[derive(Debug, PartialEq)]
pub struct Comparison {
    pub table: String,
    pub warnings: Vec<String>,
}

/// Compares the tables of `before` with what was found of them afterwards; `None` if there is nothing to compare.
#[must_use]
pub fn compare(before: &[DatabaseStatistics], after: &[DatabaseStatistics]) -> Option<Comparison> {
    let pairs: Vec<Pair<'_>> = before.iter().flat_map(|database| pairs(database, after)).collect();
    let warnings = pairs.iter().flat_map(|pair| pair.doubts().into_iter().map(|doubt| pair.warning(doubt)));
    let warnings = warnings.collect();
    (!pairs.is_empty()).then(|| Comparison { table: table(&pairs), warnings })
}

/// The tables of a database; none if it could not be asked afterwards.
fn pairs<'a>(before: &'a DatabaseStatistics, after: &'a [DatabaseStatistics]) -> Vec<Pair<'a>> {
    let Some(found) = after.iter().find(|found| found.database == before.database) else { return Vec::new() };
    let pair = |table: &'a TableStatistics| Pair {
        database: &before.database,
        before: table,
        after: found.tables.iter().find(|it| it.oid == table.oid),
    };
    before.tables.iter().map(pair).collect()
}

impl Pair<'_> {
    fn doubts(&self) -> Vec<Doubt> {
        let Some(after) = self.after else { return Vec::new() };
        let mut doubts = Vec::new();
        // ANALYZE collects none of a table without rows.
        if after.columns > 0 && after.columns_with_statistics == 0 && !after.is_without_rows() {
            doubts.push(Doubt::NoStatistics);
        } else if after.columns_with_statistics < self.before.columns_with_statistics.min(after.columns) {
            doubts.push(Doubt::FewerColumns);
        }
        if after.extended < self.before.extended {
            doubts.push(Doubt::FewerExtended);
        }
        if let (Some(before), Some(after)) = (self.before.rows, after.rows)
            && before.max(after) > FACTOR * before.min(after).max(1.0)
        {
            doubts.push(Doubt::OtherRows);
        }
        doubts
    }

    fn warning(&self, doubt: Doubt) -> String {
        let name = self.before.qualified();
        let table = format!("table {name} of database \"{}\"", self.database);
        match doubt {
            Doubt::NoStatistics => format!("{table} has no statistics: run ANALYZE {name}"),
            Doubt::FewerColumns => {
                format!("{table} has statistics of fewer columns than before: run ANALYZE {name}")
            }
            Doubt::FewerExtended => {
                format!("{table} has fewer extended statistics than before: run ANALYZE {name}")
            }
            Doubt::OtherRows => format!(
                "{table}: the planner expects {} rows, and expected {} before: clients have changed it since it was last analyzed \
                 there, or the estimate is wrong; compare it with count(*), and run ANALYZE {name} if it is wrong",
                self.after.map(rows).unwrap_or_default(),
                rows(self.before)
            ),
        }
    }

    /// Name, rows, columns with statistics, extended statistics.
    fn cells(&self) -> [String; 4] {
        let name = format!("\"{}\" {}", self.database, self.before.qualified());
        let Some(after) = self.after else {
            return [name, format!("{} → dropped", rows(self.before)), String::new(), String::new()];
        };
        let columns = |it: &TableStatistics| format!("{} of {}", it.columns_with_statistics, it.columns);
        [
            name,
            format!("{} → {}", rows(self.before), rows(after)),
            format!("{} → {}", columns(self.before), columns(after)),
            format!("{} → {}", self.before.extended, after.extended),
        ]
    }
}

fn rows(table: &TableStatistics) -> String {
    table.rows.map_or_else(|| "unknown".to_owned(), |rows| format!("{rows:.0}"))
}

/// With aligned columns.
fn table(pairs: &[Pair<'_>]) -> String {
    let head = ["database, table", "estimated rows", "columns with statistics", "extended statistics"];
    let lines: Vec<[String; 4]> =
        std::iter::once(head.map(ToOwned::to_owned)).chain(pairs.iter().map(Pair::cells)).collect();
    let widest = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: [usize; 4] = std::array::from_fn(|column| widest(column).unwrap_or_default());
    let line = |cells: &[String; 4]| {
        let cells: Vec<_> = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut text = vec!["what the planner knew of the largest tables before → what it knows now".to_owned()];
    text.extend(lines.iter().map(line));
    text.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn statistics(rows: Option<f64>, columns_with_statistics: i64, extended: i64) -> TableStatistics {
        TableStatistics {
            oid: 16400,
            schema: "s".into(),
            name: "t".into(),
            pages: 100,
            rows,
            columns: 3,
            columns_with_statistics,
            extended,
        }
    }

    fn server(tables: Vec<TableStatistics>) -> Vec<DatabaseStatistics> {
        vec![DatabaseStatistics { database: "shop".into(), tables }]
    }

    fn compared(before: TableStatistics, after: TableStatistics) -> Comparison {
        compare(&server(vec![before]), &server(vec![after])).unwrap()
    }

    #[test]
    fn table_that_is_known_as_before_is_shown_without_a_warning() {
        let comparison = compared(statistics(Some(1200.0), 3, 1), statistics(Some(1190.0), 3, 1));
        assert_eq!(comparison.warnings, [] as [&str; 0]);
        let lines: Vec<_> = comparison.table.lines().collect();
        assert_eq!(
            lines[1..],
            [
                "database, table  estimated rows  columns with statistics  extended statistics",
                "\"shop\" \"s\".\"t\"   1200 → 1190     3 of 3 → 3 of 3          1 → 1",
            ]
        );
    }

    #[rstest]
    #[case::never_analyzed(statistics(None, 0, 1), "has no statistics: run ANALYZE \"s\".\"t\"")]
    #[case::column_is_missing(statistics(Some(1000.0), 2, 1), "statistics of fewer columns")]
    #[case::extended_is_missing(statistics(Some(1000.0), 3, 0), "fewer extended statistics")]
    #[case::far_fewer_rows(statistics(Some(499.0), 3, 1), "expects 499 rows, and expected 1000 before")]
    #[case::far_more_rows(statistics(Some(2001.0), 3, 1), "expects 2001 rows")]
    fn loss_is_a_warning_that_names_the_table(#[case] after: TableStatistics, #[case] expected: &str) {
        let warnings = compared(statistics(Some(1000.0), 3, 1), after).warnings;
        let [warning] = &warnings[..] else { panic!("{warnings:?}") };
        assert!(warning.starts_with("table \"s\".\"t\" of database \"shop\"") && warning.contains(expected));
    }

    #[rstest]
    #[case::up_to_the_factor(statistics(Some(1000.0), 3, 0), statistics(Some(500.0), 3, 0))]
    #[case::unknown_before(statistics(None, 0, 0), statistics(Some(1000.0), 3, 0))]
    #[case::without_rows(statistics(Some(0.0), 0, 0), statistics(Some(0.0), 0, 0))]
    #[case::column_dropped(
        TableStatistics { columns: 4, ..statistics(Some(1.0), 4, 0) },
        statistics(Some(1.0), 3, 0)
    )]
    fn known_differences_cause_no_warning(#[case] before: TableStatistics, #[case] after: TableStatistics) {
        assert_eq!(compared(before, after).warnings, [] as [&str; 0]);
    }

    #[test]
    fn dropped_table_is_shown_and_database_that_was_not_asked_is_not() {
        let before = server(vec![statistics(Some(10.0), 3, 0)]);
        let comparison = compare(&before, &server(Vec::new())).unwrap();
        assert!(comparison.table.ends_with("10 → dropped"), "{}", comparison.table);
        assert_eq!(comparison.warnings, [] as [&str; 0]);
        assert_eq!(compare(&before, &[]), None);
    }
}
