//! Bans of the guard `inbound`, and what it had to forget.

use std::sync::atomic::Ordering;

use hayward_model::{BanOrigin, BanStrength};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};

use super::Metrics;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfBan {
    strength: &'static str,
    origin: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfOutput {
    output: String,
    cause: &'static str,
}

/// All kinds of bans, of which there are none yet: so that the first one is an increase.
pub(super) fn all() -> Family<OfBan, Gauge> {
    let family = Family::<OfBan, Gauge>::default();
    for strength in BanStrength::ALL {
        for origin in BanOrigin::ALL {
            let _ = family.get_or_create(&of(strength, origin));
        }
    }
    family
}

const fn of(strength: BanStrength, origin: BanOrigin) -> OfBan {
    OfBan {
        strength: strength.name(),
        origin: origin.name(),
    }
}

impl Metrics {
    /// How many bans of a strength and an origin are in force.
    pub fn set_bans(&self, strength: BanStrength, origin: BanOrigin, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.bans.get_or_create(&of(strength, origin)).set(count);
    }

    /// Counts what failed where bans are entered in a firewall; with none, only that there is such an output.
    pub fn count_firewall_failures(&self, output: &str, cause: &'static str, by: usize) {
        let output = output.to_owned();
        let of_output = OfOutput { output, cause };
        let by = u64::try_from(by).unwrap_or(u64::MAX);
        self.firewall_failures.get_or_create(&of_output).inc_by(by);
    }

    /// The kernel's total of sources that were forgotten since others took their places.
    pub fn set_sources_evicted(&self, total: u64) {
        self.sources_evicted.inner().store(total, Ordering::Relaxed);
    }
}
