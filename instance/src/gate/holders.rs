//! Which processes hold a pipe open. Only links of `/proc` are read, never what they lead to: a volume that hangs must not keep
//! PID 1 from ending a server on it.

use std::fs;
use std::path::Path;

use rustix::process::Pid;

/// The processes that hold the pipe with this inode open, without this one. Those of other users do not count.
pub fn holders(inode: u64) -> Vec<Pid> {
    let target = format!("pipe:[{inode}]");
    let own = rustix::process::getpid();
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    processes
        .flatten()
        .filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?))
        .filter(|pid| *pid != own && holds(*pid, Path::new(&target)))
        .collect()
}

fn holds(pid: Pid, target: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == target))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::until;
    use super::super::lifeline::Lifeline;
    use super::*;
    use crate::reaper::Reaper;
    use std::process::Command;

    use command_fds::CommandFdExt;
    use rustix::process::Signal;

    #[tokio::test]
    async fn process_holds_a_pipe_until_it_ends() {
        let (lifeline, end) = Lifeline::new().unwrap();
        let mut command = Command::new("sleep");
        command.arg("600").preserved_fds(vec![end]);
        let mut program = Reaper::start().unwrap().spawn(&mut command).unwrap();
        drop(command);
        // Not this process, but those that other tests are about to start.
        until("it alone holds it", || holders(lifeline.inode()) == [program.pid()]);
        program.signal(Signal::KILL);
        program.wait().await;
        until("it has ended", || lifeline.has_ended() && holders(lifeline.inode()).is_empty());
    }
}
