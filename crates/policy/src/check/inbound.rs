//! Settings of the guard `inbound`.

use std::time::Duration;

use hayward_model::Mode;
use hayward_yaml::{Spanned, line_of};

use super::Checker;
use crate::{
    Attach, InboundSettings, InterfaceSelector, PortLimit, entry::net_of, raw::RawInbound,
};

/// What may be set. The kernel remembers sixteen contacts of a source.
const FAILURES: (u32, u32) = (5, 10_000);
const PORTS: (u32, u32) = (1, 15);
/// 0.2 MiB, and 800.
const SOURCES: (u32, u32) = (1024, 4_194_304);
const MOST_BANS: (u32, u32) = (1, 262_144);
const BAN_RATE: (u32, u32) = (1, 1_000_000);
/// scanblocker bans at the fourth port within a minute.
const SCANBLOCKER: PortLimit = PortLimit {
    ports: 3,
    within: Duration::from_secs(60),
};
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The shortest and the longest times that may be set.
const SHORTEST: Duration = Duration::from_secs(1);
/// Seconds are remembered in sixteen bits.
const LONGEST_WITHIN: Duration = Duration::from_secs(12 * 3600);
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

impl Checker {
    pub(super) fn inbound(&mut self, raw: RawInbound, line: usize) -> InboundSettings {
        let default = no_inbound();
        let is_named = raw.interfaces.as_ref().is_some_and(|all| !all.is_empty());
        if !is_named {
            let message = "`inbound` names no interfaces".to_owned();
            self.problem(
                line,
                message,
                "write where it looks, such as `interfaces: [default]` or `interfaces: [eth0, \"en*\"]`, or remove it",
            );
        }
        let interfaces = self.entries(raw.interfaces, &[], InterfaceSelector::parse);
        let ports = self.port_limit(raw.profile.is_some(), raw.ports, raw.within);
        let ban = self.time("ban", raw.ban, default.ban, LONGEST);
        let longest_ban = self.time("longest_ban", raw.longest_ban, default.longest_ban, LONGEST);
        InboundSettings {
            enabled: true,
            mode: raw.mode.unwrap_or(Mode::Enforce),
            interfaces,
            attach: raw.attach.map_or(default.attach, |attach| attach.value),
            failures: self.within("failures", raw.failures, FAILURES, default.failures),
            ports,
            memory: self.time("memory", raw.memory, default.memory, 30 * DAY),
            ban,
            longest_ban: longest_ban.max(ban),
            soft_ban: self.time("soft_ban", raw.soft_ban, default.soft_ban, HOUR),
            sources: self.within("sources", raw.sources, SOURCES, default.sources),
            most_bans: self.within("most_bans", raw.most_bans, MOST_BANS, default.most_bans),
            ban_rate: self.within("ban_rate", raw.ban_rate, BAN_RATE, default.ban_rate),
            ipv6_prefix: self.ipv6_prefix(raw.ipv6_prefix),
            never: self.entries(raw.never, &[], net_of),
            ban_private: raw.ban_private.is_some_and(|set| set.value),
            cut_replies: raw.cut_replies.is_some_and(|set| set.value),
            outputs: self.outputs(raw.outputs),
        }
    }

    fn ipv6_prefix(&mut self, set: Option<Spanned<u8>>) -> u8 {
        let Some(set) = set else {
            return no_inbound().ipv6_prefix;
        };
        if !matches!(set.value, 48 | 56 | 64 | 128) {
            let message = format!("`ipv6_prefix: {}` tells no sources apart", set.value);
            self.problem(
                line_of(&set),
                message,
                "write 64, which is what a host has, or 48, 56 or 128",
            );
        }
        set.value
    }

    fn time(
        &mut self,
        key: &str,
        text: Option<Spanned<String>>,
        default: Duration,
        longest: Duration,
    ) -> Duration {
        let Some(line) = text.as_ref().map(line_of) else {
            return default;
        };
        let Some(time) = self.duration(text, "1s") else {
            return default;
        };
        if time < SHORTEST || time > longest {
            let message = format!("`{key}` is out of bounds");
            let help = format!("write a time from 1s to {}s", longest.as_secs());
            self.problem(line, message, &help);
        }
        time
    }

    /// None where no profile asks for it.
    fn port_limit(
        &mut self,
        profile: bool,
        ports: Option<Spanned<u32>>,
        within: Option<Spanned<String>>,
    ) -> Option<PortLimit> {
        let lines = [
            ("ports", ports.as_ref().map(line_of)),
            ("within", within.as_ref().map(line_of)),
        ];
        for (key, line) in lines {
            if let (Some(line), false) = (line, profile) {
                let message = format!("`{key}` is a setting of a profile, and none is set");
                self.problem(line, message, "add `profile: scanblocker`, or remove it");
            }
        }
        let ports = self.within("ports", ports, PORTS, SCANBLOCKER.ports);
        let within = self.time("within", within, SCANBLOCKER.within, LONGEST_WITHIN);
        profile.then_some(PortLimit { ports, within })
    }
}

/// Where settings do not list the guard and the command line names interfaces: it observes, by scanblocker's limit.
pub(crate) fn observing() -> InboundSettings {
    InboundSettings {
        enabled: true,
        ports: Some(SCANBLOCKER),
        ..no_inbound()
    }
}

/// Off, and what holds where nothing else is set.
pub(super) fn no_inbound() -> InboundSettings {
    InboundSettings {
        enabled: false,
        mode: Mode::Observe,
        interfaces: Vec::new(),
        attach: Attach::Auto,
        failures: 20,
        ports: None,
        memory: DAY,
        ban: HOUR,
        longest_ban: 7 * DAY,
        soft_ban: Duration::from_secs(60),
        sources: 65_536,
        most_bans: 262_144,
        ban_rate: 600,
        ipv6_prefix: 64,
        never: Vec::new(),
        ban_private: false,
        cut_replies: false,
        outputs: Vec::new(),
    }
}
