//! A measured process: started here, observed through `/proc`, killed with the benchmark.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::Context;

/// Length of a tick in `/proc/PID/stat`; Linux reports 100 per second to programs.
const TICK: Duration = Duration::from_millis(10);

/// A running process.
pub struct Program {
    name: &'static str,
    child: Child,
}

impl Program {
    /// Starts the command.
    pub fn start(name: &'static str, command: &mut Command) -> anyhow::Result<Self> {
        let child = command.spawn().with_context(|| format!("failed to start the {name}"))?;
        Ok(Self { name, child })
    }

    /// Fails if the process has ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("the {} ended by itself: {status}", self.name),
        }
    }

    /// Its standard output up to the line.
    pub fn read_stdout_until(&mut self, line: &str) -> anyhow::Result<String> {
        let output = self.child.stdout.take().context("standard output is not piped")?;
        let mut read = String::new();
        for next in BufReader::new(output).lines() {
            let next = next?;
            if next == line {
                return Ok(read);
            }
            read.push_str(&next);
            read.push('\n');
        }
        anyhow::bail!("the {} ended before it wrote \"{line}\"", self.name)
    }

    /// Current and peak resident memory in MiB.
    pub fn memory(&self) -> anyhow::Result<(f64, f64)> {
        let status = self.proc("status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u32>().ok());
            kib.map(|kib| f64::from(kib) / 1024.0).with_context(|| format!("no {name} in /proc"))
        };
        Ok((field("VmRSS")?, field("VmHWM")?))
    }

    /// CPU time used so far, in user and kernel mode.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        let stat = self.proc("stat")?;
        // The program name, in parentheses, may contain anything; 11 fields follow before utime.
        let (_, fields) = stat.rsplit_once(')').context("/proc/PID/stat has no name")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        Ok(TICK * ticks.sum::<Result<u32, _>>()?)
    }

    fn proc(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback address without a listener.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
