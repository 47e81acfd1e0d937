//! What the API server and the servers have at one instant.

/// The number of a member.
pub type Id = u8;

/// The record of the first promotion. Writes have smaller numbers.
pub const FIRST_PROMOTION: u8 = 4;

/// Members, a bit each.
pub type Members = u8;

/// The records of Patroni, and all members.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State<const N: usize> {
    /// Whom the lock names.
    pub holder: Id,
    /// The members see that it has expired.
    pub expired: bool,
    /// The record `/sync`.
    pub sync: SyncRecord,
    /// Each member with its server.
    pub members: [Member; N],
    /// How many writes clients have made.
    pub writes: u8,
    /// The writes that clients were told are safe, a bit each.
    pub acknowledged: u8,
    /// How many servers were promoted.
    pub promotions: u8,
}

/// The record `/sync`. Written only by the leader that it names, or by a new one: a patch names its resourceVersion.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SyncRecord {
    /// Whose standbys these are.
    pub leader: Id,
    /// Who may be promoted.
    pub voters: Members,
    /// How many other voters must not be ahead of the one to promote.
    pub quorum: u32,
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// What the server does.
    pub role: Role,
    /// The records that it has flushed, in their order: writes, and one for each promotion.
    pub log: Vec<u8>,
    /// It stands for election: who has voted for it, a bit each.
    pub votes: Option<Members>,
}

/// What a server does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It takes writes.
    Primary(Primary),
    /// It is in recovery.
    Standby {
        /// From whom it receives writes.
        follows: Option<Id>,
    },
}

/// What a primary knows of its standbys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Primary {
    /// `synchronous_standby_names`: any one of these. None: nothing is waited for.
    pub names: Members,
    /// How many writes it had when that was changed.
    pub writes_at_change: usize,
    /// How far each standby has flushed. Only this is asked when a write is acknowledged, as the standby's message may arrive late.
    pub flushed: Vec<usize>,
}

impl Primary {
    /// Waits for no standby.
    #[must_use]
    pub fn alone(members: usize) -> Self {
        Self { names: 0, writes_at_change: 0, flushed: vec![0; members] }
    }

    /// How many of its writes are safe.
    #[must_use]
    pub fn acknowledgeable(&self, writes: usize) -> usize {
        if self.names == 0 {
            return writes;
        }
        let flushed = self.flushed.iter().enumerate().filter(|(id, _)| self.names >> id & 1 == 1);
        flushed.map(|(_, flushed)| *flushed).max().unwrap_or(0)
    }

    /// Whether all that it waits for have what it had when they were named.
    #[must_use]
    pub fn all_caught_up(&self) -> bool {
        let mut flushed = self.flushed.iter().enumerate().filter(|(id, _)| self.names >> id & 1 == 1);
        flushed.all(|(_, flushed)| *flushed >= self.writes_at_change)
    }
}

impl<const N: usize> State<N> {
    /// The first server leads, and the others follow it.
    #[must_use]
    pub fn initial() -> Self {
        let member = |id: usize| Member {
            role: if id == 0 { Role::Primary(Primary::alone(N)) } else { Role::Standby { follows: Some(0) } },
            log: Vec::new(),
            votes: None,
        };
        Self {
            holder: 0,
            expired: false,
            sync: SyncRecord { leader: 0, voters: 0, quorum: 0 },
            members: std::array::from_fn(member),
            writes: 0,
            acknowledged: 0,
            promotions: 0,
        }
    }

    /// The member with this number.
    #[must_use]
    pub fn member(&self, id: Id) -> &Member {
        &self.members[usize::from(id)]
    }

    /// The member with this number, if its server is a primary.
    #[must_use]
    pub fn primary(&self, id: Id) -> Option<&Primary> {
        match &self.member(id).role {
            Role::Primary(primary) => Some(primary),
            Role::Standby { .. } => None,
        }
    }

    /// A client's write.
    pub fn write(&mut self, id: Id) {
        self.members[usize::from(id)].log.push(self.writes);
        self.writes += 1;
    }

    /// What a standby would receive next.
    #[must_use]
    pub fn next_from_leader(&self, id: Id) -> Option<u8> {
        let standby = self.member(id);
        let Role::Standby { follows: Some(leader) } = standby.role else { return None };
        self.primary(leader)?;
        self.member(leader).log.get(standby.log.len()).copied()
    }

    /// A standby receives one write.
    pub fn stream(&mut self, id: Id) {
        let Some(write) = self.next_from_leader(id) else { return };
        self.members[usize::from(id)].log.push(write);
        self.report_flushed(id);
    }

    /// Whether a standby may follow the holder of the lock.
    #[must_use]
    pub fn may_follow(&self, id: Id) -> bool {
        !self.expired
            && matches!(&self.member(id).role, Role::Standby { follows } if *follows != Some(self.holder))
            && self.primary(self.holder).is_some()
    }

    /// A standby gives up what the holder of the lock lacks, and follows it.
    pub fn follow(&mut self, id: Id) {
        let leader = self.member(self.holder);
        let log = leader.log.clone();
        let follows = Some(self.holder);
        let standby = &mut self.members[usize::from(id)];
        let common = standby.log.iter().zip(&log).take_while(|(mine, theirs)| mine == theirs).count();
        standby.log.truncate(common);
        standby.votes = None;
        standby.role = Role::Standby { follows };
        self.report_flushed(id);
    }

    fn report_flushed(&mut self, id: Id) {
        let Role::Standby { follows: Some(leader) } = self.member(id).role else { return };
        let flushed = self.member(id).log.len();
        if let Role::Primary(primary) = &mut self.members[usize::from(leader)].role {
            primary.flushed[usize::from(id)] = flushed;
        }
    }

    /// Whether the server with the lock, once it is a primary, has all that clients rely on.
    #[must_use]
    pub fn leader_has_all_acknowledged(&self) -> bool {
        self.primary(self.holder).is_none()
            || self.member(self.holder).log.iter().fold(0, |writes, it| writes | 1 << it) & self.acknowledged
                == self.acknowledged
    }
}
