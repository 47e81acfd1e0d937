//! Options of a server as `pg_ctl` and `pg_upgrade` take them: in one argument, which a shell reads, for `pg_upgrade` two.

use std::fmt;

/// Settings on the command line of a server. They override those of its files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerOptions(Vec<(String, String)>);

impl ServerOptions {
    /// No settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a setting; a later one of the same name overrides it.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) -> &mut Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// As arguments of the server itself.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        self.0.iter().flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]).collect()
    }

    /// The argument of `--old-options` and `--new-options`. `pg_upgrade` puts it between double quotes into the command by
    /// which a shell runs `pg_ctl -o` (`start_postmaster`, `src/bin/pg_upgrade/server.c`).
    #[must_use]
    pub fn for_pg_upgrade(&self) -> String {
        let mut argument = String::new();
        for c in self.to_string().chars() {
            if matches!(c, '\\' | '"' | '$' | '`') {
                argument.push('\\');
            }
            argument.push(c);
        }
        argument
    }
}

/// The argument of `pg_ctl -o`, which is part of a shell's command (`do_start`, `src/bin/pg_ctl/pg_ctl.c`).
impl fmt::Display for ServerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { " " };
            write!(f, "{separator}-c {name}={}", Quoted(value))?;
        }
        Ok(())
    }
}

/// A word of a shell's command.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.,:/+=@%".contains(c);
        if self.0.chars().all(is_plain) {
            return f.write_str(self.0);
        }
        write!(f, "'{}'", self.0.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// What the program gets that a shell runs with these words.
    fn shell(words: &str) -> Vec<String> {
        let script = format!("for word in {words}; do printf '%s\\n' \"$word\"; done");
        let output = Command::new("/bin/sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    fn hostile() -> ServerOptions {
        let settings = [
            ("jit", "off"),
            ("archive_command", ""),
            ("dynamic_library_path", "$libdir:/opt/my libs"),
            ("output_plugin_libraries", "pgoutput, \"a, b\", c'd\\e`id`$(id);"),
            ("hba_file", "/tmp/pgops/pg_hba.conf"),
        ];
        let mut options = ServerOptions::new();
        for (name, value) in settings {
            options.set(name, value);
        }
        options
    }

    #[test]
    fn options_are_arguments_of_the_server_without_a_shell() {
        let arguments = hostile().arguments();
        assert_eq!(arguments[..4], ["-c", "jit=off", "-c", "archive_command="]);
        assert_eq!(arguments[5], "dynamic_library_path=$libdir:/opt/my libs");
    }

    #[test]
    fn options_reach_the_server_through_the_shell_of_pg_ctl() {
        let options = hostile();
        assert_eq!(shell(&options.to_string()), options.arguments());
    }

    #[test]
    fn options_reach_the_server_through_both_shells_of_pg_upgrade() {
        let options = hostile();
        let argument = shell(&format!("\"{}\"", options.for_pg_upgrade()));
        assert_eq!(shell(&argument.concat()), options.arguments());
    }

    #[test]
    fn plain_options_are_not_quoted() {
        let mut options = ServerOptions::new();
        options.set("archive_mode", "on").set("archive_command", "").set("shared_preload_libraries", "a,b-1");
        let expected = "-c archive_mode=on -c archive_command= -c shared_preload_libraries=a,b-1";
        assert_eq!(options.to_string(), expected);
        assert_eq!(options.for_pg_upgrade(), expected);
    }
}
