//! What the answers of two servers mean for collations, dictionaries and time zones.

use super::versions::CollationInUse;
use crate::postgres::answers::known::{Answers, Difference};
use crate::postgres::answers::question::Question;
use crate::postgres::references::dictionaries::Dictionary;
use crate::postgres::references::stemmers::stems_differ;

/// The answers of both servers.
#[derive(Clone, Copy)]
pub struct Comparison<'a> {
    pub before: &'a Answers,
    pub now: &'a Answers,
}

impl Comparison<'_> {
    pub fn differs(&self, question: &Question) -> Difference {
        self.before.compare(self.now, question)
    }

    /// Whether the answers about a collation to questions of this kind matter. Where the server has a version, that is enough if a
    /// question is not answered.
    fn matters(&self, it: &CollationInUse, is_kind: fn(&Question) -> bool) -> bool {
        let has_version = it.collation.version.is_some();
        it.asked().iter().filter(|asked| is_kind(&asked.question)).any(|asked| {
            let difference = self.differs(&asked.question);
            difference == Difference::Other || difference == Difference::Unknown && !has_version
        })
    }

    pub fn sorts_differently(&self, it: &CollationInUse) -> bool {
        self.matters(it, |question| matches!(question, Question::Order(_)))
    }

    pub fn folds_differently(&self, it: &CollationInUse) -> bool {
        self.matters(it, |question| matches!(question, Question::Letters(_)))
    }

    pub fn splits_differently(&self, it: &CollationInUse) -> bool {
        self.matters(it, |question| matches!(question, Question::Words(_)))
    }

    pub fn has_other_rules(&self, zone: &str) -> bool {
        self.differs(&Question::Zone(zone.to_owned())).may_matter()
    }

    /// Those whose files or stemmer may differ, and those that use one of them.
    pub fn changed_dictionaries(&self, all: &[Dictionary], old: u32, new: u32) -> Vec<Dictionary> {
        let is_changed = |dictionary: &&Dictionary| {
            dictionary.language().is_some_and(|language| stems_differ(language, old, new))
                || dictionary.files().into_iter().any(|file| self.differs(&Question::File(file)).may_matter())
        };
        let mut changed: Vec<_> = all.iter().filter(is_changed).cloned().collect();
        let uses_one = |dictionary: &&Dictionary| {
            !changed.contains(dictionary) && changed.iter().any(|other| dictionary.uses(other))
        };
        let users: Vec<_> = all.iter().filter(uses_one).cloned().collect();
        changed.extend(users);
        changed
    }
}
