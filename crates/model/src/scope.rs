//! What the guards may do in a cgroup, as the kernel programs keep it.

use crate::{Guard, Mode};

/// A policy: two bits for each guard, and one for what is excluded. A policy says everything by itself, so that an
/// entry which was made under other settings never means something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ScopePolicy(u32);

impl ScopePolicy {
    /// Out of scope; users' processes may be in scope all the same.
    pub const OUT: Self = Self(0);
    /// Out of scope for everybody.
    pub const EXCLUDED: Self = Self(1 << 31);

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
        if self.0 != other.0
            && [self, other]
                .iter()
                .any(|policy| [Self::OUT, Self::EXCLUDED].contains(policy))
        {
            Self::EXCLUDED
        } else {
            Self(self.0 & other.0)
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
    }
}
