//! What PID 1 has to give, and which programs it has given it to last.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pgops_volume::send_descriptors;
use rustix::process::{Pid, Signal, getpid, kill_process};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::clone::Replacement;
use super::decision::{Freeze, Holding, Previous, Refusal};
use super::holders::holders;
use super::lifeline::Lifeline;
use super::program::Gated;
use super::promotion::{ANSWER_TIMEOUT, Asked, Question};
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
    /// The program that was given the interlock last.
    given: Option<Given>,
    /// The one that was allowed to promote the server last.
    promotion: Option<Given>,
    /// Until when a clone may replace data.
    replaceable: Option<Instant>,
    /// Leads to the watchdog, which knows of the lock.
    questions: Option<UnboundedSender<Question>>,
}

/// A program that was allowed to run.
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

    /// Its processes, and those that it has started.
    fn processes(&self) -> Vec<Pid> {
        if self.lifeline.has_ended() {
            return Vec::new();
        }
        let mut found = holders(self.lifeline.inode());
        if !self.is_executed && !found.contains(&self.pid) {
            found.push(self.pid);
        }
        found
    }
}

impl State {
    /// Whether a program runs that may promote the server.
    fn promotes(&self) -> bool {
        self.promotion.as_ref().is_some_and(|promotion| !promotion.lifeline.has_ended())
    }

    /// Answers a client with descriptors and its end of a lifeline.
    fn hand_over(
        &self,
        socket: impl AsFd,
        descriptors: &[BorrowedFd<'_>],
        program: Gated,
        pid: Pid,
    ) -> Result<Given, Refusal> {
        if let Some(freeze) = self.frozen.first() {
            return Err(Refusal::Frozen(*freeze));
        }
        let (lifeline, end) = Lifeline::new()?;
        let mut descriptors = descriptors.to_vec();
        descriptors.push(end.as_fd());
        send_descriptors(socket, &[GRANTED], &descriptors)?;
        Ok(Given { program, pid, lifeline, is_executed: false })
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
            // A promotion was allowed for the server that has ended, and must not reach the next one.
            return if state.promotes() { Previous::Leftovers } else { Previous::Ended };
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
        let interlock = state.interlock.as_ref().ok_or(Refusal::NotHeld)?;
        let given = state.hand_over(socket, &[interlock.as_fd()], program, pid)?;
        state.given = Some(given);
        Ok(())
    }

    /// Lets such a client promote the server, unless the gate was frozen since. It gets no interlock.
    pub fn let_promote(&self, socket: impl AsFd, program: Gated, pid: Pid) -> Result<(), Refusal> {
        let mut state = self.state();
        if let Some(earlier) = state.promotion.as_ref().filter(|_| state.promotes()) {
            // Patroni was killed and started again, and asks again.
            self.send(earlier, Signal::KILL, |_| true);
            return Err(Refusal::Busy { program: earlier.program, pid: earlier.pid.as_raw_pid() });
        }
        let given = state.hand_over(socket, &[], program, pid)?;
        state.promotion = Some(given);
        Ok(())
    }

    /// A clone may replace data for this time: another server leads, from which it is made.
    pub fn allow_replacement(&self, time: Duration) {
        self.state().replaceable = Some(Instant::now() + time);
    }

    /// Whether one may do so now.
    pub fn replacement(&self) -> Replacement {
        match self.state().replaceable {
            Some(until) if Instant::now() < until => Replacement::Allowed,
            _ => Replacement::Refused,
        }
    }

    /// Where the questions of the gate arrive from now on. The watchdog answers them.
    pub fn questions(&self) -> UnboundedReceiver<Question> {
        let (sender, questions) = unbounded_channel();
        self.state().questions = Some(sender);
        questions
    }

    /// Asks the watchdog whether Patroni has the lock. It waits, so it is for a thread without tasks.
    pub fn ask(&self) -> Asked {
        let Some(questions) = self.state().questions.clone() else { return Asked::OnlyServer };
        let (question, answer) = Question::new();
        // If nothing receives it, it is dropped, which ends the wait.
        let _ = questions.send(question);
        Asked::Watchdog(answer.recv_timeout(ANSWER_TIMEOUT))
    }

    /// The client has executed the program, or has ended.
    pub fn record_execution(&self, pid: Pid) {
        let mut state = self.state();
        let State { given, promotion, .. } = &mut *state;
        for given in given.iter_mut().chain(promotion).filter(|given| given.pid == pid) {
            given.is_executed = true;
        }
    }

    /// The client has done neither for a long time: it and the program that it may have become are killed.
    pub fn give_up(&self, pid: Pid) {
        let state = self.state();
        for given in state.given.iter().chain(&state.promotion) {
            if given.pid == pid && !given.is_executed {
                self.send(given, Signal::KILL, |_| true);
            }
        }
    }

    /// Sends a signal to the last program itself.
    pub fn signal(&self, signal: Signal) {
        if let Some(given) = &self.state().given {
            self.send(given, signal, |pid| pid == given.pid);
        }
    }

    /// Kills the last program and everything that it has started, and one that is about to promote it.
    pub fn kill(&self) {
        let state = self.state();
        for given in state.given.iter().chain(&state.promotion) {
            self.send(given, Signal::KILL, |_| true);
        }
    }

    fn send(&self, given: &Given, signal: Signal, is_meant: impl Fn(Pid) -> bool) {
        self.reaper.undisturbed(|| {
            for pid in given.processes().into_iter().filter(|pid| *pid != getpid() && is_meant(*pid)) {
                // The only failure left is a process that has ended meanwhile.
                let _ = kill_process(pid, signal);
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
