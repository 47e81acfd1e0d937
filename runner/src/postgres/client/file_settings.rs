//! The settings that a server would read if it were started now, from all of its files.

use std::fmt::Write;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Row};

use super::error::ServerError;
use super::query::Lossy;

/// Settings that only say where a server's own files are.
pub const OF_THE_POD: [&str; 5] =
    ["config_file", "data_directory", "external_pid_file", "hba_file", "ident_file"];

/// An entry of the server's files of settings.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Entry {
    /// A name, and the value as the file has it.
    Setting(String, String),
    /// What no server can read, and where it is.
    Unreadable(String),
}

/// The files of settings, in the order in which the server reads them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileSettings(Vec<Entry>);

/// How long a server may take to read its files. It waits for ever for a FIFO among them, or for a file system that does not
/// answer: neither `statement_timeout` nor the end of the session interrupts an `open()`.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Reads them through the view of the serving server, which follows all of its includes; `None` if it does not answer in time.
/// The session of `client` cannot be used then.
pub async fn file_settings(client: &Client) -> Result<Option<FileSettings>, ServerError> {
    in_time(read(client)).await.transpose()
}

async fn in_time<T>(answer: impl Future<Output = T>) -> Option<T> {
    timeout(LIMIT, answer).await.ok()
}

async fn read(client: &Client) -> Result<FileSettings, ServerError> {
    let failed = ServerError::query("the settings in files");
    let sql = "SELECT name, setting, error, sourcefile, sourceline FROM pg_file_settings ORDER BY seqno";
    let rows = client.query(sql, &[]).await.map_err(failed)?;
    let entries: Result<_, _> = rows.iter().map(|row| entry(row).map_err(failed)).collect();
    entries.map(FileSettings)
}

fn entry(row: &Row) -> Result<Entry, tokio_postgres::Error> {
    let text = |column: usize| -> Result<Option<String>, tokio_postgres::Error> {
        Ok(row.try_get::<_, Option<Lossy>>(column)?.map(|Lossy(text)| text))
    };
    if let Some(name) = text(0)? {
        return Ok(Entry::Setting(name, text(1)?.unwrap_or_default()));
    }
    let line: Option<i32> = row.try_get(4)?;
    let place = [text(3)?, line.map(|line| format!("line {line}"))].into_iter().flatten();
    let place = place.collect::<Vec<_>>().join(" ");
    Ok(Entry::Unreadable(format!("{} ({place})", text(2)?.unwrap_or_default())))
}

impl FileSettings {
    /// What no server can read, with the place. A server that is started with these files ends at once.
    #[must_use]
    pub fn unreadable(&self) -> Vec<String> {
        let places = self.0.iter().filter_map(|entry| match entry {
            Entry::Unreadable(what) => Some(what.clone()),
            Entry::Setting(..) => None,
        });
        places.collect()
    }

    /// All settings as one file, for a server of another pod: without the paths of this one's own files.
    #[must_use]
    pub fn as_file(&self) -> String {
        let mut text = String::new();
        for entry in &self.0 {
            if let Entry::Setting(name, value) = entry
                && !OF_THE_POD.contains(&name.to_lowercase().as_str())
            {
                let value = value.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n");
                // Writing to a string does not fail.
                let _ = writeln!(text, "{name} = '{value}'");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(entries: &[(&str, &str)]) -> FileSettings {
        let setting = |&(name, value): &(&str, &str)| Entry::Setting(name.to_owned(), value.to_owned());
        FileSettings(entries.iter().map(setting).collect())
    }

    #[test]
    fn settings_are_written_in_order_with_their_values_quoted() {
        let file = settings(&[("work_mem", "4MB"), ("log_line_prefix", r"it's \ %m"), ("work_mem", "12MB")]);
        assert_eq!(
            file.as_file(),
            "work_mem = '4MB'\nlog_line_prefix = 'it''s \\\\ %m'\nwork_mem = '12MB'\n"
        );
    }

    #[test]
    fn value_of_several_lines_is_one_line_of_the_file() {
        assert_eq!(settings(&[("a.b", "x\ny")]).as_file(), "a.b = 'x\\ny'\n");
    }

    #[test]
    fn settings_of_the_pod_are_left_out() {
        let file = settings(&[("hba_file", "/tmp/pg_hba.conf"), ("Data_Directory", "/var/pv/13/data")]);
        assert_eq!(file.as_file(), "");
    }

    #[test]
    fn unreadable_line_is_named_and_not_written() {
        let file =
            FileSettings(vec![Entry::Unreadable("syntax error (/etc/config/user.conf line 3)".into())]);
        assert_eq!(file.unreadable(), ["syntax error (/etc/config/user.conf line 3)"]);
        assert_eq!(file.as_file(), "");
    }

    #[tokio::test(start_paused = true)]
    async fn server_that_waits_for_a_fifo_is_not_waited_for() {
        assert_eq!(in_time(std::future::ready(1)).await, Some(1));
        assert_eq!(in_time(std::future::pending::<()>()).await, None);
    }
}
