//! Asks the server's program whether a server would accept settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pgops_api::{bounded, serverconf};
use pgops_volume::{FileError, Tree};
use rustix::process::Signal;

use crate::environment;
use crate::programs::Programs;
use crate::reaper::Reaper;
use crate::server;
use crate::settings::libraries::{self, SearchPath};

/// Longest words of a server, in bytes.
const MAX_WORDS: usize = 1024;
/// Time that the program may take. Settings may include a file without an end.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Asks the server's program about settings, without starting a server.
#[derive(Clone)]
pub struct Checker {
    pub programs: Programs,
    pub reaper: Reaper,
    /// Directory of files that live as long as the container; it has the server's `postgresql.conf`.
    pub run_dir: Tree,
    /// The data directory, of which only the configuration is read.
    pub data: PathBuf,
}

/// Why a server would not start with its settings.
#[derive(Debug, Eq, PartialEq)]
pub enum Refusal {
    /// What the server reports.
    Rejected(String),
    /// The program could not be run.
    Unknown(String),
}

impl Refusal {
    fn unknown(error: &dyn std::error::Error) -> Self {
        Self::Unknown(pgops_api::display_chain(error))
    }
}

impl Checker {
    /// Whether the server would accept its present settings: the file that it reads, with those of its certificate.
    pub async fn check_present(&self) -> Result<(), Refusal> {
        self.check(&server::settings_path(&self.run_dir)).await
    }

    /// Whether it would accept the settings that a request proposes, in the same file.
    pub async fn check_candidate(&self) -> Result<(), Refusal> {
        let path = self.write_candidate().map_err(|error| Refusal::unknown(&error))?;
        self.check(&path).await
    }

    /// Size of the shared buffers that the server has when it is started the next time, in bytes; none if its settings are wrong.
    pub async fn shared_buffers(&self) -> Option<u64> {
        let config_file = server::settings_path(&self.run_dir);
        let blocks = self.read(&config_file, "shared_buffers").await.ok()?.parse::<u64>().ok()?;
        let size = self.read(&config_file, "block_size").await.ok()?.parse::<u64>().ok()?;
        blocks.checked_mul(size)
    }

    fn write_candidate(&self) -> Result<PathBuf, FileError> {
        let present = server::settings_path(&self.run_dir);
        let text = fs::read_to_string(&present).map_err(FileError::on("read", &present))?;
        server::write(&self.run_dir, "check-candidate.conf", &serverconf::candidate_conf(&text))
    }

    /// Reading one setting, the program reads all of them; it does not look for the libraries that they name. If the image does not
    /// tell where these are, they are not looked for here either.
    async fn check(&self, config_file: &Path) -> Result<(), Refusal> {
        let mut lists = Vec::new();
        for setting in libraries::SETTINGS {
            lists.push((setting, self.read(config_file, setting).await?));
        }
        if lists.iter().all(|(_, list)| list.is_empty()) {
            return Ok(());
        }
        let Some(directory) = self.programs.library_directory(&self.reaper).await else { return Ok(()) };
        let path = SearchPath::new(directory, &self.read(config_file, libraries::SEARCH_PATH).await?);
        let missing = lists.iter().find_map(|(setting, list)| path.missing(setting, list));
        missing.map_or(Ok(()), |words| Err(Refusal::Rejected(words)))
    }

    /// The program reads all settings, prints this one, and ends.
    async fn read(&self, config_file: &Path, setting: &str) -> Result<String, Refusal> {
        let create = |path: &Path| self.run_dir.create_file(path).map_err(|error| Refusal::unknown(&error));
        let (words_path, value_path) =
            (config_file.with_extension("log"), config_file.with_extension("value"));
        let (words, value) = (create(&words_path)?, create(&value_path)?);
        let mut command = self.programs.command("postgres");
        command
            .arg("-D")
            .arg(&self.data)
            .arg("-c")
            .arg(format!("config_file={}", config_file.display()))
            .arg("-c")
            .arg(format!("data_directory={}", self.data.display()))
            .args(["-C", setting])
            .envs(environment::server(std::env::vars_os()))
            .stdout(Stdio::from(value))
            .stderr(Stdio::from(words));
        let mut process = self.reaper.spawn(&mut command).map_err(|error| Refusal::unknown(&error))?;
        match tokio::time::timeout(TIMEOUT, process.wait()).await {
            Ok(exit) if exit.success() => {
                let value = fs::read(&value_path).map_err(FileError::on("read", &value_path));
                let value = value.map_err(|error| Refusal::unknown(&error))?;
                return Ok(String::from_utf8_lossy(&value).trim().to_owned());
            }
            Ok(_) => {}
            Err(_) => {
                process.signal(Signal::KILL);
                let words = format!("it has not read them within {} s", TIMEOUT.as_secs());
                return Err(Refusal::Rejected(words));
            }
        }
        let text = fs::read(&words_path).unwrap_or_default();
        Err(Refusal::Rejected(server_words(&String::from_utf8_lossy(&text))))
    }
}

/// What the server reports, without times and process ids. The last line says only that there were errors; files may be missing
/// where there is no data.
fn server_words(log: &str) -> String {
    const LEVELS: [&str; 3] = ["LOG:  ", "ERROR:  ", "FATAL:  "];
    const MISSING: &str = "skipping missing configuration file";
    let words = log.lines().filter_map(|line| {
        LEVELS.iter().find_map(|level| line.split_once(level)).map(|(_, words)| words.trim())
    });
    let all: Vec<_> = words.filter(|words| !words.starts_with(MISSING)).collect();
    let shown = match all.as_slice() {
        [first @ .., last] if !first.is_empty() && last.ends_with("contains errors") => first,
        any => any,
    };
    let shown: Vec<_> = shown.iter().map(|words| without_values(words)).collect();
    let text = if shown.is_empty() { "no details".to_owned() } else { shown.join("; ") };
    bounded(text, MAX_WORDS, "")
}

/// A message without what it quotes of the settings: those of the `configSecret` are among them, and who may read a status need
/// not be one who may read Secrets.
fn without_values(words: &str) -> String {
    const QUOTES: [(&str, &str); 2] =
        [("invalid value for parameter ", "\": \""), ("syntax error in file ", ", near token \"")];
    let quote = |(message, before): (&str, &str)| {
        let (kept, _) = words.strip_prefix(message)?.split_once(before)?;
        Some(format!("{message}{kept}{before}…\""))
    };
    QUOTES.into_iter().find_map(quote).unwrap_or_else(|| words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgops_api::serverconf::MountedAuthority;
    use rstest::rstest;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[rstest]
    #[case(
        "2026-11-30 10:00:00.000 GMT [7] LOG:  invalid value for parameter \"work_mem\": \"lots\"\n\
         2026-11-30 10:00:00.000 GMT [7] HINT:  Valid units are …\n\
         2026-11-30 10:00:00.000 GMT [7] FATAL:  configuration file \"/pgops/run/check.conf\" contains errors\n",
        "invalid value for parameter \"work_mem\": \"…\""
    )]
    #[case(
        "LOG:  syntax error in file \"/etc/config/user.conf\" line 3, near token \"hunter2\"\n\
         LOG:  syntax error in file \"/etc/config/user.conf\" line 4, near end of line\n\
         FATAL:  configuration file \"/etc/config/user.conf\" contains errors\n",
        "syntax error in file \"/etc/config/user.conf\" line 3, near token \"…\"; \
         syntax error in file \"/etc/config/user.conf\" line 4, near end of line"
    )]
    #[case(
        "LOG:  skipping missing configuration file \"/var/pv/17/data/postgresql.conf\"\n\
         LOG:  invalid value for parameter \"work_mem\": \"lots\"\n\
         FATAL:  configuration file \"/pgops/run/check.conf\" contains errors\n",
        "invalid value for parameter \"work_mem\": \"…\""
    )]
    #[case("FATAL:  could not open file\n", "could not open file")]
    #[case("Segmentation fault\n", "no details")]
    fn words_of_a_server_are_its_errors_without_values(#[case] log: &str, #[case] expected: &str) {
        assert_eq!(server_words(log), expected);
    }

    /// With a program that only reports how often its configuration has a certificate, and settings that a request proposes.
    fn checker(root: &Path) -> Checker {
        let program = root.join("postgres");
        let script = "#!/bin/sh\n\
            for argument; do case $argument in config_file=*) file=${argument#*=} ;; esac; done\n\
            echo \"LOG:  $(grep -c '^ssl = on' $file) $(grep -c candidate.conf $file)\" >&2\n\
            exit 1\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        Checker {
            programs: Programs::in_directory(root, "17.11".parse().unwrap()),
            reaper: Reaper::start().unwrap(),
            run_dir: Tree::at(root),
            data: root.join("data"),
        }
    }

    /// A file that the settings include may be a device.
    #[tokio::test(start_paused = true)]
    async fn settings_that_are_read_for_ever_are_rejected() {
        let root = tempfile::tempdir().unwrap();
        let checker = checker(root.path());
        fs::write(root.path().join("postgres"), "#!/bin/sh\nexec sleep 60\n").unwrap();
        let Err(Refusal::Rejected(words)) = checker.check_present().await else { panic!("accepted") };
        assert_eq!(words, "it has not read them within 20 s");
    }

    #[tokio::test]
    async fn settings_are_checked_in_the_file_that_the_server_reads() {
        let root = tempfile::tempdir().unwrap();
        let checker = checker(root.path());
        assert!(matches!(checker.check_candidate().await, Err(Refusal::Unknown(_))), "no server was started");

        let plain = serverconf::postgresql_conf(&checker.data);
        let encrypted = serverconf::postgresql_conf_with_tls(&checker.data, 17, MountedAuthority::Present);
        for (text, [present, candidate]) in [(&plain, ["0 0", "0 1"]), (&encrypted, ["1 0", "1 1"])] {
            let path = server::write(&checker.run_dir, "postgresql.conf", text).unwrap();
            assert_eq!(path, server::settings_path(&checker.run_dir));
            let rejected = |words: &str| Err(Refusal::Rejected(words.to_owned()));
            assert_eq!(checker.check_present().await, rejected(present));
            assert_eq!(checker.check_candidate().await, rejected(candidate));
        }
    }

    #[tokio::test]
    async fn settings_that_name_a_missing_library_are_rejected() {
        let root = tempfile::tempdir().unwrap();
        let checker = checker(root.path());
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        };
        let server = |libraries: &str| {
            let script = format!(
                "#!/bin/sh\n\
                 for argument; do last=$argument; done\n\
                 case $last in\n\
                 shared_preload_libraries) echo '{libraries}' ;;\n\
                 dynamic_library_path) echo '$libdir' ;;\n\
                 shared_buffers) echo 16384 ;;\n\
                 block_size) echo 8192 ;;\n\
                 *) echo ;;\n\
                 esac\n"
            );
            write("postgres", &script);
        };
        server("auto_explain, nosuch");
        assert_eq!(checker.check_present().await, Ok(()), "the image does not tell where its libraries are");
        write("pg_config", &format!("#!/bin/sh\necho '{}'\n", root.path().display()));
        write("plpgsql.so", "");
        write("auto_explain.so", "");
        let Err(Refusal::Rejected(words)) = checker.check_present().await else { panic!("accepted") };
        assert!(
            words.starts_with("could not find library \"nosuch\" of shared_preload_libraries"),
            "{words}"
        );
        server("auto_explain");
        assert_eq!(checker.check_present().await, Ok(()));
        assert_eq!(checker.shared_buffers().await, Some(128 << 20));
    }
}
