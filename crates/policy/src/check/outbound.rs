//! Settings of the guard `outbound`.

use std::time::Duration;

use hayward_model::{Guard, Mode, Response};
use hayward_yaml::{Spanned, line_of};
use ipnet::IpNet;

use super::{Checker, short::full};
use crate::{
    ContactLogSettings, DestinationLimit, OutboundSettings, PacketSockets,
    entry::net_of,
    raw::{RawContactLog, RawGuard, RawKept, RawOutbound},
};

/// What may be set.
const IN_FLIGHT: (u32, u32) = (2, 65_536);
const FAILURES: (u32, u32) = (1, 1_000_000);
const RATE: (u32, u32) = (1, 1_000_000);
/// The kernel remembers 64 destinations of a process.
const UNIQUE_DESTINATIONS: (u32, u32) = (1, 63);
/// As cryptnono has it.
const FLOWKILLER: DestinationLimit = DestinationLimit {
    unique: 15,
    lookback: Duration::from_secs(30),
};
const SHORTEST_LOOKBACK: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Checker {
    pub(super) fn outbound(&mut self, raw: RawOutbound) -> OutboundSettings {
        let default = no_outbound();
        let (window, block) = (
            self.duration(raw.window, "10m"),
            self.duration(raw.block, "10m"),
        );
        let reachable: Vec<IpNet> = self.entries(raw.reachable, &[], net_of);
        let log = self.contact_log(raw.log, default.log);
        let profile = raw.profile.is_some();
        let destinations = self.destinations(profile, raw.unique_destinations, raw.lookback);
        let response = if profile {
            Response::Kill
        } else {
            Response::Deny
        };
        OutboundSettings {
            enabled: true,
            mode: raw.mode.unwrap_or(Mode::Enforce),
            response: raw.response.unwrap_or(response),
            in_flight: self.within("in_flight", raw.in_flight, IN_FLIGHT, default.in_flight),
            failures: self.within("failures", raw.failures, FAILURES, default.failures),
            rate: self.within("rate", raw.rate, RATE, default.rate),
            window: window.unwrap_or(default.window),
            block: block.unwrap_or(default.block),
            reachable,
            packet_sockets: raw
                .packet_sockets
                .map_or(default.packet_sockets, |set| set.value),
            log,
            destinations,
        }
    }

    /// None where no profile asks for it.
    fn destinations(
        &mut self,
        profile: bool,
        unique: Option<Spanned<u32>>,
        lookback: Option<Spanned<String>>,
    ) -> Option<DestinationLimit> {
        let lines = [
            ("unique_destinations", unique.as_ref().map(line_of)),
            ("lookback", lookback.as_ref().map(line_of)),
        ];
        for (key, line) in lines {
            if let (Some(line), false) = (line, profile) {
                let message = format!("`{key}` is a setting of a profile, and none is set");
                self.problem(line, message, "add `profile: flowkiller`, or remove it");
            }
        }
        let line = lookback.as_ref().map_or(0, line_of);
        let unique = self.within(
            "unique_destinations",
            unique,
            UNIQUE_DESTINATIONS,
            FLOWKILLER.unique,
        );
        let lookback = self.duration(lookback, "30s");
        if lookback.is_some_and(|time| time < SHORTEST_LOOKBACK || time > DAY) {
            let message = "`lookback` is out of bounds".to_owned();
            self.problem(line, message, "write a time from 1s to 1d");
        }
        profile.then(|| DestinationLimit {
            unique,
            lookback: lookback.unwrap_or(FLOWKILLER.lookback),
        })
    }

    /// It is written unless settings say `none`.
    fn contact_log(
        &mut self,
        raw: Option<Spanned<RawContactLog>>,
        default: ContactLogSettings,
    ) -> ContactLogSettings {
        let kept = match raw.map(|raw| raw.value) {
            Some(RawContactLog::None) => return default,
            Some(RawContactLog::Kept(kept)) => kept,
            None => RawKept::default(),
        };
        let keep = self.duration(kept.keep, "7d");
        let max_bytes = self.max_bytes(kept.max, "256MiB");
        ContactLogSettings {
            enabled: true,
            keep: keep.unwrap_or(default.keep),
            max_bytes: max_bytes.unwrap_or(default.max_bytes),
        }
    }

    /// An override takes the mode and the response; limits are one for all workloads.
    pub(super) fn overridden_outbound(
        &mut self,
        general: OutboundSettings,
        raw: Spanned<RawGuard<RawOutbound>>,
    ) -> OutboundSettings {
        let line = line_of(&raw);
        let raw = full(raw.value);
        let reachable = raw.reachable.as_ref().and_then(|nets| nets.first());
        let lines = [
            ("in_flight", raw.in_flight.as_ref().map(line_of)),
            ("failures", raw.failures.as_ref().map(line_of)),
            ("window", raw.window.as_ref().map(line_of)),
            ("rate", raw.rate.as_ref().map(line_of)),
            ("block", raw.block.as_ref().map(line_of)),
            ("reachable", reachable.map(line_of)),
            ("packet_sockets", raw.packet_sockets.as_ref().map(line_of)),
            ("log", raw.log.as_ref().map(line_of)),
            ("profile", raw.profile.as_ref().map(line_of)),
            (
                "unique_destinations",
                raw.unique_destinations.as_ref().map(line_of),
            ),
            ("lookback", raw.lookback.as_ref().map(line_of)),
        ];
        self.refuse_override(Guard::Outbound, general.enabled, line, &lines);
        OutboundSettings {
            mode: raw.mode.unwrap_or(general.mode),
            response: raw.response.unwrap_or(general.response),
            ..general
        }
    }

    pub(super) fn within(
        &mut self,
        key: &str,
        number: Option<Spanned<u32>>,
        (least, most): (u32, u32),
        default: u32,
    ) -> u32 {
        let Some(number) = number else {
            return default;
        };
        if (least..=most).contains(&number.value) {
            return number.value;
        }
        let message = format!("`{key}: {}` is out of bounds", number.value);
        let help = format!("write a number from {least} to {most}");
        self.problem(line_of(&number), message, &help);
        default
    }
}

/// Off, and what holds where nothing else is set.
pub(super) fn no_outbound() -> OutboundSettings {
    let ten_minutes = Duration::from_secs(600);
    OutboundSettings {
        enabled: false,
        mode: Mode::Observe,
        response: Response::Observe,
        in_flight: 128,
        failures: 100,
        window: ten_minutes,
        rate: 1_000,
        block: ten_minutes,
        reachable: Vec::new(),
        packet_sockets: PacketSockets::Observe,
        log: ContactLogSettings {
            enabled: false,
            keep: 7 * DAY,
            max_bytes: 256 << 20,
        },
        destinations: None,
    }
}
