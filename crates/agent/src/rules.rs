//! The rule tables in force: the current one, and its neighbours, for events that were judged just before or just after
//! a change.

use std::sync::Arc;

use hayward_policy::Policy;
use hayward_rules::{Rule, RuleSet, RulesError, load, table::CommandTable};
use jiff::Timestamp;

use crate::canary::CANARY_RULE;

/// A compiled table, and when its files were read.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) current: Arc<CommandTable>,
    previous: Option<Arc<CommandTable>>,
    coming: Option<Arc<CommandTable>>,
    pub(crate) loaded: Timestamp,
}

impl Tables {
    pub(crate) fn new(table: CommandTable) -> Self {
        Self {
            current: Arc::new(table),
            previous: None,
            coming: None,
            loaded: Timestamp::now(),
        }
    }

    /// Makes a table known that the kernel is about to judge by: its first events may come before [`Tables::arrived`].
    pub(crate) fn announce(&mut self, table: Arc<CommandTable>) {
        self.coming = Some(table);
    }

    /// Makes the announced table the current one.
    pub(crate) fn arrived(&mut self) {
        if let Some(table) = self.coming.take() {
            self.previous = Some(std::mem::replace(&mut self.current, table));
            self.loaded = Timestamp::now();
        }
    }

    /// The announced table does not come after all.
    pub(crate) fn withdrawn(&mut self) {
        self.coming = None;
    }

    /// The table of a generation; none for one that an earlier agent loaded.
    pub(crate) fn of_generation(&self, generation: u32) -> Option<Arc<CommandTable>> {
        [
            Some(&self.current),
            self.previous.as_ref(),
            self.coming.as_ref(),
        ]
        .into_iter()
        .flatten()
        .find(|table| table.generation() == generation)
        .cloned()
    }

    /// How many rules operators know of.
    pub(crate) fn count(&self) -> usize {
        self.current.rules().len().saturating_sub(1)
    }
}

/// The rules that a policy puts in force. Whoever judges offline takes them from here too, so that both say the same.
pub fn rules_of(policy: &Policy) -> Result<RuleSet, RulesError> {
    load(&policy.command.rules, policy.identity.as_deref())
}

/// Generations differ between agents too, so that an event left over from another one is not taken for ours.
pub(crate) fn first_generation() -> u32 {
    let seconds = Timestamp::now().as_second();
    u32::try_from(seconds & 0x00ff_ffff).unwrap_or(0) << 7 | 1
}

/// The canary's rule, which stands in every table.
pub(crate) fn canary_rule(argument: &str) -> Rule {
    Rule {
        banned: vec![argument.as_bytes().to_vec()],
        ..Rule::new(CANARY_RULE, "agent", 1)
    }
}
