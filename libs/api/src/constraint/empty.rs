//! Constraints that no version can satisfy, such as `> 18, < 17`.

use super::{Alternative, Constraint, Version};

impl Constraint {
    /// Whether no version at all can match, which its author cannot have intended.
    #[must_use]
    pub fn admits_nothing(&self) -> bool {
        !self.alternatives.iter().any(Alternative::admits_something)
    }
}

impl Alternative {
    /// The set that a comparison admits starts at zero, at its bound or at the next version after its bound,
    /// and so does the intersection of several. Between two pre-releases there is always room for a third.
    fn admits_something(&self) -> bool {
        let bounds = self.comparisons.iter().map(|comparison| &comparison.version);
        self.considers_pre
            || self.matches(&Version::release(0, 0, 0))
            || bounds.flat_map(starts).any(|version| self.matches(&version))
    }
}

/// The versions at which a comparison's set may start.
fn starts(bound: &Version) -> [Version; 4] {
    let Version { major, minor, patch, .. } = *bound;
    [
        Version::release(major, minor, patch),
        Version::release(major, minor, patch.saturating_add(1)),
        Version::release(major, minor.saturating_add(1), 0),
        Version::release(major.saturating_add(1), 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("> 18, < 17")]
    #[case(">18 <17")]
    #[case("17.4 18.1")]
    #[case("< 0")]
    #[case("> 16.8, < 16.9")]
    #[case(">= 16, < 17, != 16")]
    #[case("17.0 - 16.0 || < 0")]
    fn unsatisfiable_constraint_is_detected(#[case] constraint: &str) {
        assert!(constraint.parse::<Constraint>().unwrap().admits_nothing());
    }

    #[rstest]
    #[case("*")]
    #[case("13.x || 15.x")]
    #[case(">= 13.4, < 18")]
    #[case("< 18")]
    #[case("> 16.8, < 16.10")]
    #[case("> 16.8.0, < 16.8.2")]
    #[case(">= 16, != 16, != 17")]
    #[case("!= 0, != 1, < 3")]
    #[case("> 18, < 17 || 15")]
    #[case("> 17.0-beta1, < 17.0")]
    #[case("> 17, <= 18.0.0")]
    fn satisfiable_constraint_is_not_reported(#[case] constraint: &str) {
        assert!(!constraint.parse::<Constraint>().unwrap().admits_nothing());
    }
}
