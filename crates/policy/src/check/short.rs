//! A guard's settings, however short they are written.

use hayward_model::Mode;

use crate::raw::{RawCommand, RawEgress, RawGuard, RawInbound, RawOutbound, RawPool, RawRandomx};

/// Settings that a mode alone may stand for.
pub(super) trait OfMode: Default {
    /// Sets the mode.
    fn set(&mut self, mode: Mode);
}

macro_rules! of_mode {
    ($($raw:ty),*) => {
        $(impl OfMode for $raw {
            fn set(&mut self, mode: Mode) {
                self.mode = Some(mode);
            }
        })*
    };
}

of_mode!(
    RawCommand,
    RawEgress,
    RawInbound,
    RawOutbound,
    RawPool,
    RawRandomx
);

/// The settings, written out.
pub(super) fn full<T: OfMode>(raw: RawGuard<T>) -> T {
    match raw {
        RawGuard::Short(mode) => {
            let mut raw = T::default();
            raw.set(mode);
            raw
        }
        RawGuard::Full(raw) => *raw,
    }
}
