//! How a set or the table stands to the bans: in step with them, or why not and since when; and what failed, for metrics.

use jiff::Timestamp;

/// What stood in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The program is not installed.
    Missing,
    /// It could not be started.
    Unrunnable,
    /// It took too long.
    Late,
    /// There is no such set.
    Absent,
    /// The set is of another kind than bans need.
    Unfit,
    /// The program said no to something else.
    Refused,
}

impl Cause {
    pub(crate) const ALL: [Self; 6] = [
        Self::Missing,
        Self::Unrunnable,
        Self::Late,
        Self::Absent,
        Self::Unfit,
        Self::Refused,
    ];

    /// As the metric spells it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unrunnable => "unrunnable",
            Self::Late => "late",
            Self::Absent => "absent",
            Self::Unfit => "unfit",
            Self::Refused => "refused",
        }
    }
}

/// Something that keeps a set from saying what it should.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// None where nothing has failed: somebody has to do something all the same.
    pub(crate) cause: Option<Cause>,
    /// What it is, and what to do.
    pub(crate) text: String,
}

/// How one stands.
#[derive(Debug)]
pub(crate) struct Standing {
    /// What it is called, in metrics and in the log.
    pub(crate) name: String,
    wrong: Option<(Problem, Timestamp)>,
    failed: Vec<Cause>,
}

impl Standing {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            wrong: None,
            failed: Vec::new(),
        }
    }

    /// Notes what came of bringing it into agreement.
    pub(crate) fn note(&mut self, result: Result<(), Problem>) {
        let since = self.wrong.as_ref().map(|(_, since)| *since);
        self.wrong = match result {
            Ok(()) => {
                if since.is_some() {
                    tracing::info!("{} is in step with the bans", self.name);
                }
                None
            }
            Err(problem) => {
                self.failed.extend(problem.cause);
                Some((problem, since.unwrap_or_else(Timestamp::now)))
            }
        };
    }

    /// Notes a failure after which it is tried at once in another way.
    pub(crate) fn count(&mut self, problem: &Problem) {
        self.failed.extend(problem.cause);
    }

    pub(crate) fn is_wrong(&self) -> bool {
        self.wrong.is_some()
    }

    /// What is wrong.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.wrong
            .as_ref()
            .map(|(problem, _)| problem.text.as_str())
    }

    /// The same with since when.
    pub(crate) fn told(&self) -> Option<String> {
        let (problem, since) = self.wrong.as_ref()?;
        let since = since.strftime("%Y-%m-%d %H:%M:%S UTC");
        Some(format!(
            "{} (not in step with the bans since {since})",
            problem.text
        ))
    }

    /// What has failed since this was asked last.
    pub(crate) fn take_failed(&mut self) -> Vec<Cause> {
        std::mem::take(&mut self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_out_of_step_since_the_first_failure_and_each_is_counted() {
        let mut standing = Standing::new("ipset banned".to_owned());
        let problem = |cause| Problem {
            cause,
            text: "no such set".to_owned(),
        };
        assert_eq!(standing.told(), None);
        standing.note(Err(problem(Some(Cause::Absent))));
        let first = standing.told().expect("a problem");
        assert!(first.starts_with("no such set (not in step"), "{first}");
        standing.note(Err(problem(None)));
        standing.count(&problem(Some(Cause::Late)));
        assert_eq!(standing.told().expect("a problem"), first);
        assert_eq!(standing.take_failed(), [Cause::Absent, Cause::Late]);
        assert_eq!(standing.take_failed(), []);
        standing.note(Ok(()));
        assert!(!standing.is_wrong() && standing.problem().is_none());
    }
}
