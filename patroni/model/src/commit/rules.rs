//! What differs between the tests.

/// `synchronous_mode` of Patroni.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing waits for standbys, and any of them may be promoted.
    Off,
    /// A commit waits for one named standby, and only that may be promoted.
    On,
    /// A commit waits for any one of the named standbys, and one of them is promoted with the votes of the others.
    Quorum,
}

/// When a standby says how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Votes {
    /// After it has stopped following the old leader.
    AfterDropping,
    /// While it may still receive writes from the old leader.
    WhileFollowing,
}

/// When a standby leaves `/sync` in the mode [`Mode::Quorum`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// When those that stay have every write up to the change of `synchronous_standby_names`.
    AfterCatchUp,
    /// Right after that change.
    AtOnce,
}

/// Everything that differs between the tests of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The mode.
    pub mode: Mode,
    /// When a vote is given.
    pub votes: Votes,
    /// When a standby may be removed.
    pub removal: Removal,
    /// How many writes there are.
    pub writes: u8,
    /// How many promotions there are.
    pub promotions: u8,
}

impl Rules {
    /// Two writes and two promotions, under the rules that are safe.
    #[must_use]
    pub const fn safe(mode: Mode) -> Self {
        Self { mode, votes: Votes::AfterDropping, removal: Removal::AfterCatchUp, writes: 2, promotions: 2 }
    }
}
