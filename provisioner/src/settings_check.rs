//! Which Secret with settings the next pod of a database mounts. One that the spec newly names is checked first by the program of
//! the server, in a pod of its own: until that accepts it, a pod that is replaced, for whatever reason, starts with the
//! previous settings.

/// What is known of the settings in the Secret that the spec names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SettingsCheck {
    /// The pod has that Secret, and its instance reports on it; or there is no database that it could stop.
    NotNeeded,
    /// The server would start with them.
    Accepted,
    /// They are being checked.
    Running,
    /// They cannot be checked, and why.
    Blocked(String),
    /// The server would not start with them, and its message.
    Rejected(String),
}

impl SettingsCheck {
    /// Whether the StatefulSet does not get the Secret that the spec names.
    pub fn withholds(&self) -> bool {
        match self {
            Self::NotNeeded | Self::Accepted => false,
            Self::Running | Self::Blocked(_) | Self::Rejected(_) => true,
        }
    }
}

/// The Secrets with settings of a database.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// That of the spec.
    pub wanted: Option<&'a str>,
    /// That of the StatefulSet.
    pub template: Option<&'a str>,
    /// That of the pod, or that of the StatefulSet if there is no pod.
    pub in_use: Option<&'a str>,
    pub subject: Subject,
}

/// Whether another Secret could do harm.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Subject {
    /// A database that was running.
    Initialized,
    /// One that was never started, or whose user wants no check.
    Unguarded,
}

impl<'a> Situation<'a> {
    /// The Secret that has to be checked.
    pub fn unchecked(&self) -> Option<&'a str> {
        self.wanted.filter(|_| self.subject == Subject::Initialized && self.wanted != self.in_use)
    }

    /// What is reported. Of a Secret that was accepted before, only a rejection is new.
    pub fn report(&self, check: SettingsCheck) -> SettingsCheck {
        match check {
            SettingsCheck::Running | SettingsCheck::Blocked(_) if self.template == self.wanted => {
                SettingsCheck::Accepted
            }
            check => check,
        }
    }

    /// The Secret that the next pod mounts.
    pub fn choose(&self, check: &SettingsCheck) -> Option<&'a str> {
        match check {
            SettingsCheck::NotNeeded | SettingsCheck::Accepted => self.wanted,
            // Its contents have changed since they were accepted.
            SettingsCheck::Rejected(_) if self.template == self.wanted => self.in_use,
            SettingsCheck::Running | SettingsCheck::Blocked(_) | SettingsCheck::Rejected(_) => self.template,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn situation(
        wanted: Option<&'static str>,
        template: Option<&'static str>,
        in_use: Option<&'static str>,
    ) -> Situation<'static> {
        Situation { wanted, template, in_use, subject: Subject::Initialized }
    }

    #[rstest]
    #[case::none(None, None, None, None)]
    #[case::in_use(Some("a"), Some("a"), Some("a"), None)]
    #[case::removed(None, Some("a"), Some("a"), None)]
    #[case::first(Some("a"), None, None, Some("a"))]
    #[case::another(Some("b"), Some("a"), Some("a"), Some("b"))]
    #[case::accepted_and_not_mounted_yet(Some("b"), Some("b"), Some("a"), Some("b"))]
    #[case::accepted_and_without_a_pod(Some("b"), Some("b"), Some("b"), None)]
    #[case::set_back(Some("a"), Some("b"), Some("a"), None)]
    fn secret_is_checked_until_the_pod_has_it(
        #[case] wanted: Option<&'static str>,
        #[case] template: Option<&'static str>,
        #[case] in_use: Option<&'static str>,
        #[case] expected: Option<&str>,
    ) {
        let situation = situation(wanted, template, in_use);
        assert_eq!(situation.unchecked(), expected);
        assert_eq!(Situation { subject: Subject::Unguarded, ..situation }.unchecked(), None);
    }

    #[rstest]
    #[case(SettingsCheck::NotNeeded, Some("b"))]
    #[case(SettingsCheck::Accepted, Some("b"))]
    #[case(SettingsCheck::Running, Some("a"))]
    #[case(SettingsCheck::Blocked("quota".to_owned()), Some("a"))]
    #[case(SettingsCheck::Rejected("no such value".to_owned()), Some("a"))]
    fn template_keeps_its_secret_until_the_other_is_accepted(
        #[case] check: SettingsCheck,
        #[case] expected: Option<&str>,
    ) {
        let situation = situation(Some("b"), Some("a"), Some("a"));
        assert_eq!(situation.choose(&check), expected);
        assert_eq!(situation.report(check.clone()), check);
    }

    /// Contents may change between the check and the restart.
    #[test]
    fn secret_that_is_rejected_after_it_was_accepted_gives_way_to_that_of_the_pod() {
        let accepted = situation(Some("b"), Some("b"), None);
        let rejected = SettingsCheck::Rejected("no such value".to_owned());
        assert_eq!(accepted.choose(&rejected), None);
        for unknown in [SettingsCheck::Running, SettingsCheck::Blocked("no node".to_owned())] {
            assert_eq!(accepted.choose(&unknown), Some("b"));
            assert_eq!(accepted.report(unknown), SettingsCheck::Accepted);
        }
        assert_eq!(accepted.report(rejected.clone()), rejected);
    }

    #[test]
    fn third_secret_that_is_rejected_leaves_the_one_that_was_accepted() {
        let situation = situation(Some("c"), Some("b"), Some("a"));
        assert_eq!(situation.choose(&SettingsCheck::Rejected("no such value".to_owned())), Some("b"));
    }
}
