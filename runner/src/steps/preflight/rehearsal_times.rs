//! How long the parts of a rehearsal took: `pg_upgrade` runs the same programs.

use std::time::Duration;

/// What a rehearsal has measured.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RehearsalTimes {
    /// The start of the scratch server, and its stop.
    pub server_start: Duration,
    pub server_stop: Duration,
    /// The dump and the restore of roles.
    pub globals: Duration,
    /// The `GRANT`s to roles with `CREATEROLE`, if they are carried over.
    pub grants: Duration,
    /// Those of each database, `template1` first.
    pub databases: Vec<DatabaseTimes>,
}

/// How long the dump and the restore of a database took.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DatabaseTimes {
    pub dump: Duration,
    pub restore: Duration,
}

impl RehearsalTimes {
    /// How long `pg_upgrade` takes for the schema with that number of jobs: it dumps and restores roles, dumps all databases,
    /// restores `template1`, and then restores the others.
    #[must_use]
    pub fn schema(&self, jobs: usize) -> Duration {
        let dumps = makespan(self.databases.iter().map(|database| database.dump), jobs);
        let mut restores = self.databases.iter().map(|database| database.restore);
        let first = restores.next().unwrap_or_default();
        self.globals + dumps + first + makespan(restores, jobs)
    }

    /// How long a start and a stop of a server take.
    #[must_use]
    pub fn restart(&self) -> Duration {
        self.server_start + self.server_stop
    }
}

/// When the last of some tasks ends, if each begins as soon as one of that number of jobs is free.
fn makespan(tasks: impl Iterator<Item = Duration>, jobs: usize) -> Duration {
    let mut busy_until = vec![Duration::ZERO; jobs.max(1)];
    for task in tasks {
        if let Some(earliest) = busy_until.iter_mut().min() {
            *earliest += task;
        }
    }
    busy_until.into_iter().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn times(databases: &[(u64, u64)]) -> RehearsalTimes {
        let databases = databases
            .iter()
            .map(|&(dump, restore)| DatabaseTimes { dump: seconds(dump), restore: seconds(restore) });
        RehearsalTimes { globals: seconds(1), databases: databases.collect(), ..RehearsalTimes::default() }
    }

    #[test]
    fn schema_of_one_database_is_dumped_and_then_restored_whatever_the_jobs() {
        let one = times(&[(0, 0), (12, 25)]);
        assert_eq!(one.schema(1), seconds(38));
        assert_eq!(one.schema(8), seconds(38));
    }

    #[test]
    fn databases_are_shared_among_jobs_but_template1_is_restored_alone() {
        let many = times(&[(2, 3), (2, 4), (2, 4), (2, 4)]);
        assert_eq!(many.schema(1), seconds(1 + 8 + 15));
        assert_eq!(many.schema(2), seconds(1 + 4 + 3 + 8));
        assert_eq!(many.schema(0), many.schema(1));
    }

    #[test]
    fn largest_database_bounds_what_jobs_gain() {
        let tasks = [1, 1, 1, 30].map(seconds);
        assert_eq!(makespan(tasks.into_iter(), 4), seconds(30));
        assert_eq!(makespan(std::iter::empty(), 4), Duration::ZERO);
    }
}
