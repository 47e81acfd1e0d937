//! What PID 1 has to give, and which program it has given it to last.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pgops_volume::send_descriptors;
use rustix::process::{Pid, Signal, getpid, kill_process};

use super::decision::{Freeze, Holding, Previous, Refusal};
use super::holders::holders;
use super::lifeline::Lifeline;
use super::program::Gated;
use super::request::GRANTED;
use crate::reaper::Reaper;

/// What PID 1 has to give.
#[derive(Clone)]
pub struct Access {
    reaper: Reaper,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    interlock: Option<OwnedFd>,
    frozen: BTreeSet<Freeze>,
    given: Option<Given>,
}

/// The program that was given the interlock last.
struct Given {
    program: Gated,
    pid: Pid,
    lifeline: Lifeline,
    /// Whether the client has taken what it was given, and has executed the program.
    is_executed: bool,
}

impl Given {
    /// Whether the process itself runs. One that has not executed the program yet need not have the pipe.
    fn runs_among(&self, holders: &[Pid]) -> bool {
        holders.contains(&self.pid) || !self.is_executed
    }
}

impl Access {
    pub fn new(reaper: Reaper) -> Self {
        Self { reaper, state: Arc::default() }
    }

    /// From now on programs may be started. The descriptor is that of the interlock, and not inherited by programs.
    pub fn hold(&self, interlock: OwnedFd) {
        self.state().interlock = Some(interlock);
    }

    /// Once this returns, no program gets the interlock for as long as the reason applies.
    pub fn freeze(&self, reason: Freeze) {
        self.state().frozen.insert(reason);
    }

    /// The reason does not apply any longer.
    pub fn thaw(&self, reason: Freeze) {
        self.state().frozen.remove(&reason);
    }

    pub fn frozen(&self) -> Option<Freeze> {
        self.state().frozen.first().copied()
    }

    pub fn holding(&self) -> Holding {
        if self.state().interlock.is_some() { Holding::Held } else { Holding::NotHeld }
    }

    /// Whether no program works on the data.
    pub fn is_idle(&self) -> bool {
        self.state().given.as_ref().is_none_or(|given| given.lifeline.has_ended())
    }

    /// What became of the last program.
    pub fn previous(&self) -> Previous {
        let mut state = self.state();
        let Some(given) = state.given.as_ref().filter(|given| !given.lifeline.has_ended()) else {
            state.given = None;
            return Previous::Ended;
        };
        if given.runs_among(&holders(given.lifeline.inode())) {
            Previous::Runs { program: given.program, pid: given.pid.as_raw_pid() }
        } else {
            Previous::Leftovers
        }
    }

    /// Gives the interlock to a client that has asked by this socket, unless the gate was frozen since.
    pub fn give(&self, socket: impl AsFd, program: Gated, pid: Pid) -> Result<(), Refusal> {
        let mut state = self.state();
        if let Some(freeze) = state.frozen.first() {
            return Err(Refusal::Frozen(*freeze));
        }
        let interlock = state.interlock.as_ref().ok_or(Refusal::NotHeld)?;
        let (lifeline, end) = Lifeline::new()?;
        send_descriptors(socket, &[GRANTED], &[interlock.as_fd(), end.as_fd()])?;
        state.given = Some(Given { program, pid, lifeline, is_executed: false });
        Ok(())
    }

    /// The client has executed the program, or has ended.
    pub fn record_execution(&self, pid: Pid) {
        if let Some(given) = self.state().given.as_mut().filter(|given| given.pid == pid) {
            given.is_executed = true;
        }
    }

    /// The client has done neither for a long time: it and the program that it may have become are killed.
    pub fn give_up(&self, pid: Pid) {
        let is_pending = |given: &Given| given.pid == pid && !given.is_executed;
        if self.state().given.as_ref().is_some_and(is_pending) {
            self.kill();
        }
    }

    /// Sends a signal to the last program itself.
    pub fn signal(&self, signal: Signal) {
        self.signal_those(signal, |given, holder| holder == given.pid);
    }

    /// Kills the last program, and everything that it has started.
    pub fn kill(&self) {
        self.signal_those(Signal::KILL, |_, _| true);
    }

    fn signal_those(&self, signal: Signal, is_meant: impl Fn(&Given, Pid) -> bool) {
        let state = self.state();
        let Some(given) = state.given.as_ref().filter(|given| !given.lifeline.has_ended()) else { return };
        self.reaper.undisturbed(|| {
            let mut found = holders(given.lifeline.inode());
            if !given.is_executed && !found.contains(&given.pid) {
                found.push(given.pid);
            }
            for pid in found.into_iter().filter(|pid| *pid != getpid() && is_meant(given, *pid)) {
                // The only failure left is a process that has ended meanwhile.
                let _ = kill_process(pid, signal);
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
