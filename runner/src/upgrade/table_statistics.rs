//! What the planner knew of the largest tables, stored next to the journal: `Analyze` compares it with what it knows then.

use pgops_volume::FileError;

use crate::postgres::table_statistics::DatabaseStatistics;
use crate::postgres::volume::work_dir::WorkDir;

const FILE: &str = "statistics.json";

/// Stores it in the work directory.
pub fn store_statistics(statistics: &[DatabaseStatistics], work_dir: &WorkDir) -> Result<(), FileError> {
    let path = work_dir.path().join(FILE);
    let json = serde_json::to_vec(statistics).map_err(FileError::on("write", &path))?;
    work_dir.tree().replace(&path, &json)
}

/// Reads it from the work directory; empty if the preflight has stored none.
pub fn load_statistics(work_dir: &WorkDir) -> Result<Vec<DatabaseStatistics>, FileError> {
    let path = work_dir.path().join(FILE);
    let Some(json) = work_dir.tree().read_if_exists(&path)? else { return Ok(Vec::new()) };
    serde_json::from_slice(&json).map_err(FileError::on("parse", &path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::table_statistics::TableStatistics;
    use pgops_volume::Volume;

    #[test]
    fn statistics_are_stored_for_the_runner_that_compares_them() {
        let root = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::new(&Volume::at(root.path()), "3f9c21aa");
        work_dir.create().unwrap();
        assert_eq!(load_statistics(&work_dir).unwrap(), []);
        let table = TableStatistics {
            oid: 16400,
            schema: "s".into(),
            name: "t".into(),
            pages: 5,
            rows: Some(1e9),
            columns: 2,
            columns_with_statistics: 1,
            extended: 0,
        };
        let statistics = [DatabaseStatistics { database: "shop".into(), tables: vec![table] }];
        store_statistics(&statistics, &work_dir).unwrap();
        assert_eq!(load_statistics(&work_dir).unwrap(), statistics);
    }
}
