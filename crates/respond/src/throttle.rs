//! Giving a workload a share of one processor, and what it had before.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ActError, Target};

const LIMIT: &str = "cpu.max";
const BURST: &str = "cpu.max.burst";

/// The kernel's own period, in microseconds. A percent of it is the least that the kernel takes.
const PERIOD: u64 = 100_000;

/// A share of one processor, in percent: 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Share(u8);

impl Share {
    pub(crate) fn limit(self) -> String {
        format!("{} {PERIOD}", u64::from(self.0) * PERIOD / 100)
    }
}

impl TryFrom<u8> for Share {
    type Error = String;

    fn try_from(percent: u8) -> Result<Self, String> {
        match percent {
            1..=100 => Ok(Self(percent)),
            _ => Err(format!(
                "{percent} % is no share; write 1% to 100% of one processor"
            )),
        }
    }
}

impl From<Share> for u8 {
    fn from(share: Share) -> Self {
        share.0
    }
}

impl FromStr for Share {
    type Err = String;

    /// `5%`, or `5`.
    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').unwrap_or(text).parse::<u8>();
        match percent {
            Ok(percent) => percent.try_into(),
            Err(_) => Err(format!(
                "`{text}` is no share; write 1% to 100% of one processor"
            )),
        }
    }
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// What a cgroup may use of the processors, as its files have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuLimit {
    /// `cpu.max`: microseconds of processor time, or `max`, and the period in microseconds.
    pub max: String,
    /// `cpu.max.burst`, on Linux 5.14 and later: microseconds that may be saved up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<String>,
}

impl CpuLimit {
    /// What a cgroup has now.
    pub(crate) fn of(target: &Target) -> Result<Self, ActError> {
        match target.read("throttle", LIMIT)? {
            Some(max) => Ok(Self {
                max,
                burst: target.read("throttle", BURST)?,
            }),
            None => Err(target.impossible("throttle", why_not())),
        }
    }

    /// Whether it is as low as a share, or lower.
    pub(crate) fn is_within(&self, share: Share) -> bool {
        let mut numbers = self.max.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(quota)), Some(Ok(period))) => {
                u128::from(quota) * 100 <= u128::from(period) * u128::from(share.0)
            }
            _ => false,
        }
    }
}

/// Limits a cgroup, which had this limit before, to a share of one processor.
pub(crate) fn throttle(target: &Target, share: Share, had: &CpuLimit) -> Result<(), ActError> {
    // The kernel refuses a limit below what may be saved up.
    if had.burst.as_deref().is_some_and(|burst| burst != "0") {
        target.write("throttle", BURST, "0")?;
    }
    target.write("throttle", LIMIT, &share.limit())
}

/// What came of releasing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Released {
    /// It has what it had before.
    Restored,
    /// Somebody else has set another limit since, which is left as it is.
    ChangedSince,
}

/// Gives a cgroup back what it had before it was throttled to a share.
pub(crate) fn release(target: &Target, share: Share, had: &CpuLimit) -> Result<Released, ActError> {
    if target
        .read("release", LIMIT)?
        .is_none_or(|max| max != share.limit())
    {
        return Ok(Released::ChangedSince);
    }
    target.write("release", LIMIT, &had.max)?;
    if let Some(burst) = had.burst.as_deref().filter(|burst| *burst != "0") {
        target.write("release", BURST, burst)?;
    }
    Ok(Released::Restored)
}

fn why_not() -> String {
    let controllers = std::fs::read_to_string("/proc/cgroups").unwrap_or_default();
    // Its hierarchy's number: 0 is that of cgroup2.
    let elsewhere = controllers.lines().any(|line| {
        let mut fields = line.split_whitespace();
        fields.next() == Some("cpu") && fields.next().is_some_and(|hierarchy| hierarchy != "0")
    });
    if elsewhere {
        "this host has the controller `cpu` in cgroup v1; boot it with systemd.unified_cgroup_hierarchy=1, or use `hayward freeze`".to_owned()
    } else {
        "the controller `cpu` is not on for it; write +cpu to cgroup.subtree_control of the cgroups above it, or use `hayward freeze`".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_in_percent_of_one_processor() {
        assert_eq!(
            "5%".parse::<Share>().expect("a share").limit(),
            "5000 100000"
        );
        assert_eq!(
            "100".parse::<Share>().expect("a share").limit(),
            "100000 100000"
        );
        for bad in ["0%", "101%", "-1", "5 %", "half", "", "%"] {
            let error = bad.parse::<Share>().expect_err(bad);
            assert!(error.contains("1% to 100%"), "{error}");
        }
    }

    #[test]
    fn a_limit_is_compared_with_a_share_whatever_its_period() {
        let share: Share = "5%".parse().expect("a share");
        for (max, within) in [
            ("max 100000", false),
            ("5000 100000", true),
            ("5001 100000", false),
            ("1000 10000", false),
            ("500 1000000", true),
            ("18446744073709551615 1", false),
            ("", false),
            ("5000", false),
        ] {
            let limit = CpuLimit {
                max: max.to_owned(),
                burst: None,
            };
            assert_eq!(limit.is_within(share), within, "{max}");
        }
    }
}
