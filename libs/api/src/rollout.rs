//! How the pods of a database with standbys are replaced, one by one, without an outage but that of a switchover: the standbys first,
//! then another one becomes the primary, and the pod of the old primary is the last.
//!
//! [`next`] decides from what is observed alone, each time from the start: the program that acts on it may be killed after any
//! action, and another primary may have taken over meanwhile.

mod member;
mod obstacle;
mod records;
mod switchover;
#[cfg(test)]
mod tests;

pub use member::{Health, Member, MemberState, Patroni, Replication, Server, Template};
pub use obstacle::Obstacle;
pub use records::{Lock, synchronous_standbys};
pub use switchover::{SwitchoverRecord, SwitchoverState, switchover_state};

use crate::topology::StreamingMode;

/// WAL in bytes that a standby may lack and still become the primary: as much as Patroni allows an asynchronous one. Both positions
/// are some seconds old.
pub const MAX_LAG: u64 = 1 << 20;

/// What is done next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Delete exactly this pod, which its StatefulSet then creates from the present template.
    ReplacePod {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
    },
    /// Have Patroni make another member the primary.
    SwitchOver {
        /// Pod of the present primary.
        from: String,
        /// Pod of the next one.
        to: String,
    },
    /// Look again later.
    Wait(Obstacle),
    /// Every pod is of the template, and every standby streams.
    Done,
    /// Waiting does not help: a pod of the template does not come up.
    Stuck(Obstacle),
}

/// What is done about a standby that was made from an earlier template and does not stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IfUnfit {
    /// It is waited for, unless it is broken: it may be a former primary that Patroni is just rewinding.
    Wait,
    /// It is replaced: the template was put back because of it.
    Replace,
}

/// What a commit waits for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Commit {
    /// For no standby.
    Asynchronous,
    /// For one of these at least, by Patroni's record: only they have every commit.
    Synchronous {
        /// Their pods.
        standbys: Vec<String>,
    },
}

impl Commit {
    /// By Patroni's record, if it has one. Without it no standby of a synchronous database is known to have every commit.
    #[must_use]
    pub fn new(record: Option<Vec<String>>, streaming: StreamingMode) -> Self {
        match (record, streaming) {
            (Some(standbys), _) => Self::Synchronous { standbys },
            (None, StreamingMode::Synchronous) => Self::Synchronous { standbys: Vec::new() },
            (None, StreamingMode::Asynchronous) => Self::Asynchronous,
        }
    }
}

/// What was observed of a database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observed {
    /// Every member that the database is to have, in the order of their ordinals.
    pub members: Vec<Member>,
    /// The lock, read after the pods: a member that has become the primary meanwhile has it, though not the label.
    pub lock: Lock,
    /// What a commit waits for.
    pub commit: Commit,
    /// The switchover that Patroni is asked for, if it is.
    pub switchover: Option<SwitchoverRecord>,
    /// Whether Patroni acts by itself.
    pub patroni: Patroni,
}

/// A member whose pod exists.
type Existing<'a> = (&'a Member, &'a Server);

/// Decides what to do next.
#[must_use]
pub fn next(observed: &Observed, if_unfit: IfUnfit) -> Action {
    if let Some(broken) = observed.broken() {
        return Action::Stuck(broken);
    }
    let primary = match observed.ready_primary() {
        Ok(primary) => primary,
        Err(obstacle) => return Action::Wait(obstacle),
    };
    if let Some(obstacle) = observed.held().or_else(|| observed.incomplete().next()) {
        return Action::Wait(obstacle);
    }
    let unfit: Vec<_> = observed.unfit(primary).collect();
    match unfit.as_slice() {
        [] => replace_or_switch(observed, primary),
        [(standby, _)] if may_replace(standby.1, if_unfit) => replace(*standby),
        [(_, obstacle), ..] => Action::Wait(obstacle.clone()),
    }
}

/// Everything that keeps the first pod from being replaced.
#[must_use]
pub fn obstacles(observed: &Observed) -> Vec<Obstacle> {
    let (primary, absent) = match observed.ready_primary() {
        Ok(primary) => (Some(primary), None),
        Err(obstacle) => (None, Some(obstacle)),
    };
    let unfit = primary.into_iter().flat_map(|primary| observed.unfit(primary)).map(|(_, obstacle)| obstacle);
    absent.into_iter().chain(observed.held()).chain(observed.incomplete()).chain(unfit).collect()
}

/// Whether the pod of the primary was made from the template that it should have.
#[must_use]
pub fn is_primary_current(observed: &Observed) -> bool {
    observed.ready_primary().is_ok_and(|(_, server)| server.template == Template::Current)
}

/// All standbys stream.
fn replace_or_switch<'a>(observed: &'a Observed, primary: Existing<'a>) -> Action {
    let outdated =
        observed.standbys(primary).enumerate().filter(|(_, it)| it.1.template == Template::Earlier);
    // Those that commits wait for last, and otherwise the last one first.
    let first = outdated.max_by_key(|(index, (member, _))| (!observed.is_synchronous(&member.pod), *index));
    if let Some((_, standby)) = first {
        return replace(standby);
    }
    if primary.1.template == Template::Current {
        return Action::Done;
    }
    let mut standbys = observed.standbys(primary).map(|(member, _)| member);
    let candidate = match &observed.commit {
        Commit::Asynchronous => standbys.next(),
        Commit::Synchronous { .. } => standbys.find(|member| observed.is_synchronous(&member.pod)),
    };
    match candidate {
        Some(member) => Action::SwitchOver { from: primary.0.pod.clone(), to: member.pod.clone() },
        None => Action::Wait(Obstacle::NoCandidate),
    }
}

fn replace((member, server): Existing<'_>) -> Action {
    Action::ReplacePod { name: member.pod.clone(), uid: server.uid.clone() }
}

impl Observed {
    fn existing(&self) -> impl Iterator<Item = Existing<'_>> {
        self.members.iter().filter_map(|member| match &member.state {
            MemberState::Exists(server) => Some((member, server)),
            MemberState::Missing | MemberState::Ending => None,
        })
    }

    fn standbys<'a>(&'a self, primary: Existing<'a>) -> impl Iterator<Item = Existing<'a>> {
        self.existing().filter(move |(member, _)| member.pod != primary.0.pod)
    }

    /// A pod of the template that waiting does not bring up.
    fn broken(&self) -> Option<Obstacle> {
        self.existing().find_map(|(member, server)| match &server.health {
            Health::Broken(reason) if server.template == Template::Current => {
                Some(Obstacle::Broken { pod: member.pod.clone(), reason: reason.clone() })
            }
            _ => None,
        })
    }

    /// The one primary, of which everything is known.
    fn ready_primary(&self) -> Result<Existing<'_>, Obstacle> {
        let primaries: Vec<_> = self.existing().filter(|(_, server)| server.is_primary()).collect();
        match primaries.as_slice() {
            [] => Err(Obstacle::NoPrimary),
            [primary] if primary.1.health != Health::Ready => {
                Err(Obstacle::PrimaryNotReady { pod: primary.0.pod.clone() })
            }
            [primary] if self.lock.holder.as_ref() != Some(&primary.0.pod) => {
                Err(Obstacle::WithoutLock { pod: primary.0.pod.clone() })
            }
            [primary] if primary.1.timeline.is_none() || self.lock.end_of_wal.is_none() => {
                Err(Obstacle::PrimaryUnknown { pod: primary.0.pod.clone() })
            }
            [primary] => Ok(*primary),
            several => {
                let pods = several.iter().map(|(member, _)| member.pod.as_str()).collect::<Vec<_>>();
                Err(Obstacle::SeveralPrimaries { pods: pods.join(", ") })
            }
        }
    }

    /// What another client, or this one before it was killed, has asked of Patroni.
    fn held(&self) -> Option<Obstacle> {
        let paused = (self.patroni == Patroni::Paused).then_some(Obstacle::Paused);
        self.switchover.clone().map(Obstacle::SwitchoverPending).or(paused)
    }

    fn incomplete(&self) -> impl Iterator<Item = Obstacle> {
        self.members.iter().filter_map(|member| {
            let pod = || member.pod.clone();
            match &member.state {
                MemberState::Missing => Some(Obstacle::Missing { pod: pod() }),
                MemberState::Ending => Some(Obstacle::Ending { pod: pod() }),
                MemberState::Exists(server) if server.template == Template::Unknown => {
                    Some(Obstacle::TemplateNotSeen { pod: pod() })
                }
                MemberState::Exists(_) => None,
            }
        })
    }

    /// The standbys that could not become the primary now.
    fn unfit<'a>(&'a self, primary: Existing<'a>) -> impl Iterator<Item = (Existing<'a>, Obstacle)> {
        let end_of_wal = self.lock.end_of_wal.unwrap_or(u64::MAX);
        let timeline = primary.1.timeline;
        self.standbys(primary)
            .filter_map(move |standby| Some((standby, unfitness(standby, timeline, end_of_wal)?)))
    }

    fn is_synchronous(&self, pod: &str) -> bool {
        match &self.commit {
            Commit::Asynchronous => false,
            Commit::Synchronous { standbys } => standbys.iter().any(|name| name == pod),
        }
    }
}

fn may_replace(server: &Server, if_unfit: IfUnfit) -> bool {
    let is_given_up = matches!(server.health, Health::Broken(_)) || if_unfit == IfUnfit::Replace;
    server.template == Template::Earlier && is_given_up
}

/// Why a standby could not become the primary now.
fn unfitness((member, server): Existing<'_>, timeline: Option<u32>, end_of_wal: u64) -> Option<Obstacle> {
    let pod = || member.pod.clone();
    match &server.health {
        Health::Ready => {}
        Health::NotReady => return Some(Obstacle::NotReady { pod: pod() }),
        Health::Broken(reason) => return Some(Obstacle::Broken { pod: pod(), reason: reason.clone() }),
    }
    if !server.is_standby() || server.replication != Replication::Streaming {
        return Some(Obstacle::NotStreaming { pod: pod() });
    }
    if server.timeline != timeline {
        return Some(Obstacle::OtherTimeline { pod: pod() });
    }
    // A standby of which nothing is known lacks everything.
    let lag = end_of_wal.saturating_sub(server.position.unwrap_or(0));
    (lag > MAX_LAG).then(|| Obstacle::Lagging { pod: pod(), bytes: lag })
}
