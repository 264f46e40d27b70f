//! What is done to workloads: strikes, and how far a throttle goes. What is said to people.

use std::time::Duration;

use hayward_yaml::{Spanned, line_of};

use super::Checker;
use crate::{
    BreakerSettings, Step, StrikeSettings,
    raw::{RawBreaker, RawStrikes},
};

/// What is said where settings say nothing else.
const NOTICE: &str = "Stopped by this service's policy (reference {id}).";
/// So many findings count, at most: each is remembered, for each workload.
const MOST_STRIKES: u32 = 1_000;

impl Checker {
    pub(super) fn strikes(&mut self, raw: RawStrikes) -> Option<StrikeSettings> {
        let line = raw.window.as_ref().map_or(0, line_of);
        let window = self.duration(raw.window, "10m")?;
        if window.is_zero() {
            let message = "`window: 0s` leaves no time for a second strike".to_owned();
            self.problem(
                line,
                message,
                "write how long a finding counts, such as 10m",
            );
        }
        let mut steps: Vec<Step> = Vec::new();
        for raw in raw.then {
            let line = line_of(&raw);
            let step = Step {
                after: raw.value.after,
                response: raw.value.response,
            };
            if !(1..=MOST_STRIKES).contains(&step.after) {
                let message = format!("`after: {}` is no number of strikes", step.after);
                self.problem(line, message, &format!("write 1 to {MOST_STRIKES}"));
            }
            if !step.response.is_workloads() {
                let message = format!(
                    "`response: {}` is nothing that is done to a workload",
                    step.response.name()
                );
                self.problem(
                    line,
                    message,
                    "write throttle, quarantine, freeze, kill-workload or evict",
                );
            }
            if let Some(last) = steps.last()
                && (step.after <= last.after || step.response <= last.response)
            {
                let message = format!(
                    "`{{after: {}, response: {}}}` is no step up from the one before",
                    step.after,
                    step.response.name()
                );
                let help = "write steps with more strikes and a harder response each: throttle, quarantine, freeze, kill-workload, evict";
                self.problem(line, message, help);
            }
            steps.push(step);
        }
        Some(StrikeSettings { window, steps })
    }

    pub(super) fn quarantine(&mut self, raw: Option<Spanned<String>>) -> Option<Duration> {
        let line = raw.as_ref().map_or(0, line_of);
        let time = self.duration(raw, "1h")?;
        if time.is_zero() {
            let message = "`quarantine: 0s` is over at once".to_owned();
            self.problem(line, message, "write how long it holds, such as 1h");
        }
        Some(time)
    }

    pub(super) fn notice(&mut self, raw: Option<Spanned<String>>) -> String {
        let Some(raw) = raw else {
            return NOTICE.to_owned();
        };
        let line = line_of(&raw);
        if raw.value.chars().any(char::is_control) {
            let message = "`notice` holds a control character, which terminals obey".to_owned();
            self.problem(line, message, "write one line of text; \"\" says nothing");
        }
        raw.value
    }

    pub(super) fn breaker(&mut self, raw: RawBreaker) -> Option<BreakerSettings> {
        let young = self.duration(raw.young, "24h");
        let share_percent = self.percent("share", raw.share, "33%");
        Some(BreakerSettings {
            young: young?,
            workloads: raw.workloads.unwrap_or(10),
            share_percent: share_percent?,
        })
    }

    /// 1 to 100.
    pub(super) fn percent(
        &mut self,
        key: &str,
        raw: Option<Spanned<String>>,
        default: &str,
    ) -> Option<u8> {
        let (line, text) = raw.map_or((0, default.to_owned()), |raw| (line_of(&raw), raw.value));
        let percent = text.strip_suffix('%').unwrap_or(&text).parse::<u8>();
        let percent = percent.ok().filter(|percent| (1..=100).contains(percent));
        let message = format!("`{key}: {text}` is no share; write 1% to 100%");
        self.checked(line, percent.ok_or(message))
    }
}
