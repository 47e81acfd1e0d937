//! Decides on requests and gives the interlock, one after the other, in a thread of its own: a volume that hangs must keep
//! neither the other tasks of PID 1 from running nor the process from ending.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use pgops_volume::Volume;
use rustix::process::Pid;
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::access::Access;
use super::clone::{self, Found};
use super::decision::{First, Previous, Refusal, Situation, decide};
use super::leftovers;
use super::message::Message;
use super::program::Gated;
use super::promotion;
use crate::volume::prepare_for_start;

/// What a decision depends on that does not change.
pub struct Keeper {
    pub access: Access,
    pub volume: Volume,
    /// Major version of this pod.
    pub own: u32,
    /// The server's program in the image.
    pub server: PathBuf,
}

/// Asks the thread.
#[derive(Clone)]
pub struct Decisions(Sender<Job>);

struct Job {
    message: Message,
    pid: Pid,
    socket: Arc<UnixStream>,
    answer: oneshot::Sender<Result<(), Refusal>>,
}

impl Keeper {
    /// Starts the thread.
    pub fn start(self) -> io::Result<Decisions> {
        let (sender, jobs) = channel();
        thread::Builder::new().name("gate".to_owned()).spawn(move || self.work(&jobs))?;
        Ok(Decisions(sender))
    }

    fn work(&self, jobs: &Receiver<Job>) {
        for job in jobs {
            let result = self.decide_and_give(&job);
            // The task that waits for the answer then has the socket for itself.
            drop(job.socket);
            // If it waits no longer, the client was told that there was no decision in time.
            let _ = job.answer.send(result);
        }
    }

    fn decide_and_give(&self, job: &Job) -> Result<(), Refusal> {
        let previous = self.access.previous();
        let situation = Situation {
            volume: &self.volume,
            own: self.own,
            active: self.volume.active()?,
            holding: self.access.holding(),
            frozen: self.access.frozen(),
            previous,
        };
        match &job.message {
            Message::Execute(request) if request.program == Gated::PgCtl => {
                promotion::decide(request, self.access.ask(), &situation)?;
                job.refuse_if_late()?;
                self.access.let_promote(&*job.socket, request.program, job.pid)
            }
            Message::Execute(request) => {
                let first = decide(request, &situation)?;
                self.kill_leftovers(previous)?;
                if first == First::PrepareData {
                    leftovers::refuse_other_server(&self.volume, self.own, &self.server, job.pid)?;
                    prepare_for_start(&self.volume, self.own)?;
                }
                job.refuse_if_late()?;
                self.access.give(&*job.socket, request.program, job.pid)
            }
            Message::Clone(step) => {
                let found = Found::observe(&self.volume, self.own)?;
                clone::decide(*step, found, self.access.replacement(), &situation)?;
                self.kill_leftovers(previous)?;
                job.refuse_if_late()?;
                clone::perform(*step, found, &self.volume, self.own)?;
                Ok(())
            }
        }
    }

    fn kill_leftovers(&self, previous: Previous) -> Result<(), Refusal> {
        if previous == Previous::Leftovers { leftovers::kill(&self.access) } else { Ok(()) }
    }
}

impl Job {
    /// The client was told that there was no decision in time.
    fn refuse_if_late(&self) -> Result<(), Refusal> {
        if self.answer.is_closed() { Err(Refusal::Timeout(self.message.timeout().as_secs())) } else { Ok(()) }
    }
}

impl Decisions {
    /// Whether the client, a process that is connected by the socket, has got the interlock, or what it wants was done.
    pub async fn ask(&self, message: Message, pid: Pid, socket: &Arc<UnixStream>) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        let limit = message.timeout();
        // The thread ends only with this process.
        let _ = self.0.send(Job { message, pid, socket: socket.clone(), answer });
        match tokio::time::timeout(limit, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(Refusal::Timeout(limit.as_secs())),
        }
    }
}
