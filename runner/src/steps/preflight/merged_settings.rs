//! All settings of a server in one file, and what the target's server reads from it.

use std::path::PathBuf;

use crate::postgres::program::command::CommandError;
use crate::postgres::program::programs::Programs;
use crate::postgres::server::scratch::Scratch;
use crate::upgrade::StepError;

/// All settings in one file.
pub struct MergedSettings {
    programs: Programs,
    pgdata: PathBuf,
    file: PathBuf,
}

impl MergedSettings {
    /// Writes the text of a file next to a cluster of the target.
    pub async fn write(cluster: &Scratch, text: String) -> Result<Self, StepError> {
        let programs = cluster.programs().clone();
        let file = cluster.file("merged.conf");
        programs.agent.write_file(file.clone(), text).await?;
        Ok(Self { programs, pgdata: cluster.pgdata(), file })
    }

    /// The value that the target's server reads for a setting, or why it would not start.
    pub async fn value(&self, setting: &str) -> Result<Result<String, String>, CommandError> {
        let program = self.programs.program("postgres").args(["-C", setting]).arg("-D").path(&self.pgdata);
        let program = program.arg("-c").arg(format!("config_file={}", self.file.display()));
        // The TLS files may be visible only to the database's pod, and this cluster's WAL segments have the default
        // size.
        answer(
            program
                .args(["-c", "ssl=off", "-c", "min_wal_size=32MB", "-c", "max_wal_size=64MB"])
                .output()
                .await,
        )
    }

    /// The libraries that the target has, and those that it has not.
    pub async fn find_libraries(&self, names: Vec<String>) -> Result<(Vec<String>, Vec<String>), StepError> {
        let found = self.programs.agent.has_libraries(&self.programs.installation, names.clone()).await?;
        let (found, absent): (Vec<_>, Vec<_>) = names.into_iter().zip(found).partition(|(_, found)| *found);
        let names = |libraries: Vec<(String, bool)>| libraries.into_iter().map(|(name, _)| name).collect();
        Ok((names(found), names(absent)))
    }
}

/// A program's output, or the error that it printed.
pub fn answer(output: Result<String, CommandError>) -> Result<Result<String, String>, CommandError> {
    match output {
        Err(CommandError::Ended { tail, .. }) => Ok(Err(tail)),
        Err(error) => Err(error),
        Ok(output) => Ok(Ok(output)),
    }
}
