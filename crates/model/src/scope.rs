//! What the guards may do in a cgroup, as the kernel programs keep it.

use crate::{Guard, Mode};

/// A policy: two bits for each guard, one for what is excluded, and one for what was decided by a name. A policy says everything by itself, so that an
/// entry which was made under other settings never means something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ScopePolicy(u32);

impl ScopePolicy {
    /// Out of scope; users' processes may be in scope all the same.
    pub const OUT: Self = Self(0);
    /// Out of scope for everybody.
    pub const EXCLUDED: Self = Self(1 << 31);

    const COMMAND_MILDER: u32 = 1 << 16;
    const EGRESS_APART: u32 = 1 << 17;
    const NAMED: u32 = 1 << 30;
    const EGRESS_SHIFT: u32 = 4;
    const EGRESS_LIST_SHIFT: u32 = 18;
    const EGRESS_LISTS: u32 = (1 << 12) - 1;

    /// The same, where the `command` guard answers the workload with less than a kill: the kernel ends no process.
    #[must_use]
    pub const fn milder_command(self) -> Self {
        Self(self.0 | Self::COMMAND_MILDER)
    }

    /// The same, where the guard `egress` judges too, by the list of this number: 0 to 4,095.
    #[must_use]
    pub const fn with_egress(self, mode: Mode, list: u16) -> Self {
        let mode = match mode {
            Mode::Observe => 1,
            Mode::Enforce => 3,
        };
        let list = (list as u32 & Self::EGRESS_LISTS) << Self::EGRESS_LIST_SHIFT;
        Self(self.0 | mode << Self::EGRESS_SHIFT | list)
    }

    /// The same, where what belongs to other workloads of the host is not reached.
    #[must_use]
    pub const fn apart(self) -> Self {
        Self(self.0 | Self::EGRESS_APART)
    }

    /// The list that says what may be reached.
    pub const fn egress_list(self) -> u16 {
        // As many bits as a list's number has.
        (self.0 >> Self::EGRESS_LIST_SHIFT & Self::EGRESS_LISTS) as u16
    }

    /// The same with another list, where the guard `egress` judges.
    #[must_use]
    pub const fn with_list(self, list: u16) -> Self {
        match self.mode(Guard::Egress) {
            None => self,
            Some(mode) => {
                let without = self.0 & !(Self::EGRESS_LISTS << Self::EGRESS_LIST_SHIFT);
                Self(without).with_egress(mode, list)
            }
        }
    }

    /// The same, decided by what a runtime told: cgroups that are made below come with it, whatever their paths say.
    #[must_use]
    pub const fn named(self) -> Self {
        Self(self.0 | Self::NAMED)
    }

    /// Whether it is out of scope, and users' processes may be in scope all the same.
    pub const fn is_out(self) -> bool {
        self.0 & !Self::NAMED == Self::OUT.0
    }

    /// Whether it is out of scope for everybody.
    pub const fn is_excluded(self) -> bool {
        self.0 & Self::EXCLUDED.0 != 0
    }

    /// A guard judges here, and acts where its mode is `enforce`.
    pub const fn of(guard: Guard, mode: Mode) -> Self {
        let on = 1 << (2 * guard as u32);
        Self(match mode {
            Mode::Observe => on,
            Mode::Enforce => on | on << 1,
        })
    }

    /// The same, and another guard besides.
    #[must_use]
    pub const fn with(self, guard: Guard, mode: Mode) -> Self {
        Self(self.0 | Self::of(guard, mode).0)
    }

    /// A guard's mode; none where it does not judge.
    pub const fn mode(self, guard: Guard) -> Option<Mode> {
        let bits = self.0 >> (2 * guard as u32);
        match (bits & 1 != 0, bits & 2 != 0) {
            (false, _) => None,
            (true, false) => Some(Mode::Observe),
            (true, true) => Some(Mode::Enforce),
        }
    }

    /// What both allow. Where only one is out of scope, nobody is in: a user might be, by that one.
    #[must_use]
    pub fn milder(self, other: Self) -> Self {
        let both = [self, other];
        if self.0 != other.0 && both.iter().any(|p| p.is_out() || p.is_excluded()) {
            Self::EXCLUDED
        } else {
            // Who is milder at all is so in this too.
            let spares = (self.0 | other.0) & Self::COMMAND_MILDER;
            let both = Self(self.0 & other.0 & !Self::COMMAND_MILDER | spares);
            // Neither list is the milder one: the other's is the one to come.
            both.with_list(other.egress_list())
        }
    }

    /// `POLICY_*` of the kernel programs' layout.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// What [`ScopePolicy::bits`] gave.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_milder_of_two_policies_allows_what_both_allow() {
        let [observe, enforce] =
            [Mode::Observe, Mode::Enforce].map(|mode| ScopePolicy::of(Guard::Command, mode));
        for (one, other, milder) in [
            (observe, enforce, observe),
            (enforce, enforce, enforce),
            (enforce, ScopePolicy::OUT, ScopePolicy::EXCLUDED),
            (ScopePolicy::OUT, ScopePolicy::OUT, ScopePolicy::OUT),
            (enforce, ScopePolicy::EXCLUDED, ScopePolicy::EXCLUDED),
            (
                ScopePolicy::OUT,
                ScopePolicy::EXCLUDED,
                ScopePolicy::EXCLUDED,
            ),
        ] {
            assert_eq!(one.milder(other), milder);
            assert_eq!(other.milder(one), milder);
        }
        assert_eq!(enforce.mode(Guard::Command), Some(Mode::Enforce));
        assert_eq!(observe.mode(Guard::Command), Some(Mode::Observe));
        assert_eq!(ScopePolicy::EXCLUDED.mode(Guard::Command), None);
        assert_eq!(enforce.named().milder(observe), observe);
        let freezes = enforce.milder_command();
        assert_eq!(enforce.milder(freezes), freezes);
        assert_eq!(freezes.mode(Guard::Command), Some(Mode::Enforce));
        let out = ScopePolicy::OUT.named();
        assert!(out.is_out() && !out.is_excluded());
        assert_eq!(out.milder(enforce), ScopePolicy::EXCLUDED);
    }
}
