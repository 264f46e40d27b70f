//! The `inbound` guard's detector. The kernel counts, decides and bans; what it tells becomes a sentence for operators.

use hayward_model::{
    Action, Evidence, InboundEvent, InboundEvidence, InboundLimit, InboundVerdict, Mode, ProbeKind,
    ScanShape, source_in_words,
};

/// What is to be recorded of somebody who probes this host. It has no process and no workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundFinding {
    /// Nanoseconds since boot at which it was seen.
    pub boot_ns: u64,
    /// What was done.
    pub action: Action,
    /// What was seen.
    pub evidence: Evidence,
    /// What an operator should know, in a sentence that begins with the source.
    pub detail: String,
}

/// What is known beside the event.
#[derive(Debug, Clone, Copy)]
pub struct InboundContext<'a> {
    /// What the interface is called.
    pub interface: Option<&'a str>,
    /// Why the source is never banned, where that is so.
    pub never: Option<&'a str>,
    /// The mode of the guard.
    pub mode: Mode,
}

/// The finding of somebody who probes.
pub fn inbound(event: InboundEvent, context: InboundContext<'_>) -> InboundFinding {
    let seen = event.evidence;
    let done = done(event.verdict, event.banned_ns, seen.limit, context);
    let detail = format!("{}: {done}", probes(&seen));
    let action = match event.verdict {
        InboundVerdict::Banned | InboundVerdict::SoftBanned => Action::Banned,
        InboundVerdict::Observed => Action::Observed,
        InboundVerdict::Spared => Action::Spared,
        InboundVerdict::Decoys => Action::Denied,
        InboundVerdict::NoRoom => Action::Missed,
    };
    let interface = context.interface.map(str::to_owned);
    InboundFinding {
        boot_ns: event.boot_ns,
        action,
        evidence: Evidence {
            judged_at: Some("packet".to_owned()),
            inbound: Some(InboundEvidence { interface, ..seen }),
            ..Evidence::default()
        },
        detail,
    }
}

/// Who did what, how long it took, and what came of it, in words.
pub fn probes(seen: &InboundEvidence) -> String {
    if let Some(sources) = seen.sources {
        // How many times is known of none of them.
        return format!(
            "{sources} sources together probed a hundred ports or more within ten minutes, the last at {}",
            seen.target
        );
    }
    let who = source_in_words(seen.source);
    let kinds: Vec<&str> = seen.kinds.iter().copied().map(in_words).collect();
    let what = listed(&kinds).unwrap_or_else(|| "probes".to_owned());
    let (contacts, target) = (seen.contacts, seen.target);
    let without_ports = seen.ports.iter().all(|port| *port == 0);
    let (to, which) = match seen.shape {
        ScanShape::Horizontal | ScanShape::Block if without_ports => {
            let to = format!(
                "to {}, the last of them {target},",
                many(contacts, "address", "es")
            );
            (to, String::new())
        }
        ScanShape::Horizontal => {
            let ports: Vec<String> = seen.ports.iter().map(u16::to_string).collect();
            let ports: Vec<&str> = ports.iter().map(String::as_str).collect();
            let noun = if ports.len() == 1 { "port" } else { "ports" };
            let ports = listed(&ports).unwrap_or_default();
            let addresses = many(contacts, "address", "es");
            let to = format!("to {noun} {ports} of {addresses}, the last of them {target},");
            (to, String::new())
        }
        ScanShape::Block => {
            let to = format!(
                "to {} of several addresses, the last of them {target},",
                many(contacts, "port", "s")
            );
            (to, last_ports(seen))
        }
        ScanShape::Vertical if without_ports => (
            format!("to {target} {}", many(contacts, "time", "s")),
            String::new(),
        ),
        ScanShape::Vertical => (
            format!("to {} of {target}", many(contacts, "port", "s")),
            last_ports(seen),
        ),
    };
    let time = duration(seen.milliseconds);
    format!(
        "{who} sent {what} {to} in {time}{which}, {} failed",
        seen.failed
    )
}

/// The ports, of which the last alone are known where there were many.
fn last_ports(seen: &InboundEvidence) -> String {
    let ports: Vec<String> = seen.ports.iter().map(u16::to_string).collect();
    let known = u32::try_from(ports.len()).unwrap_or(u32::MAX);
    let at_last = if known < seen.contacts {
        "at last "
    } else {
        ""
    };
    format!(" ({at_last}{})", ports.join(", "))
}

/// What was done about it, and why it was no more.
fn done(
    verdict: InboundVerdict,
    banned_ns: u64,
    limit: InboundLimit,
    context: InboundContext<'_>,
) -> String {
    let time = duration(banned_ns / 1_000_000);
    match verdict {
        InboundVerdict::Banned => format!("it is banned for {time}"),
        InboundVerdict::SoftBanned => format!("its first contacts are dropped for {time}"),
        InboundVerdict::Observed if limit == InboundLimit::Distributed => {
            "nobody is banned for it, since each of them probed little".to_owned()
        }
        InboundVerdict::Observed if context.mode == Mode::Observe => {
            "it is only observed, since the mode is `observe`".to_owned()
        }
        InboundVerdict::Observed => {
            "it is only observed, since no agent had renewed the lease".to_owned()
        }
        InboundVerdict::Spared => {
            let why = context.never.unwrap_or("it was spared when it was found");
            format!("it is never banned, for {why}")
        }
        InboundVerdict::NoRoom => {
            "it is not banned: there is no room for another ban (`most_bans`), or there were too many within a minute (`ban_rate`)".to_owned()
        }
        InboundVerdict::Decoys => {
            "its probes are dropped and it is not banned, for others sent the same ones, and all but one of them are made up".to_owned()
        }
    }
}

const fn in_words(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Syn => "SYN",
        ProbeKind::Fin => "FIN",
        ProbeKind::Null => "TCP without flags",
        ProbeKind::Xmas => "TCP with flags that do not go together",
        ProbeKind::Ack => "ACK",
        ProbeKind::Udp => "UDP",
        ProbeKind::Ping => "pings",
        ProbeKind::Fragment => "TCP headers in fragments",
        ProbeKind::Sctp => "SCTP INIT",
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(all: &[&str]) -> Option<String> {
    let (last, others) = all.split_last()?;
    Some(match others {
        [] => (*last).to_owned(),
        others => format!("{} and {last}", others.join(", ")),
    })
}

fn many(number: u32, noun: &str, plural: &str) -> String {
    let plural = if number == 1 { "" } else { plural };
    format!("{number} {noun}{plural}")
}

/// Milliseconds, as people say it: no finer than they care for.
fn duration(milliseconds: u64) -> String {
    const SECOND: u64 = 1_000;
    const MINUTE: u64 = 60 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    // What is counted in a unit is told to a tenth of it, and by that alone where nothing is over.
    let of = |unit: u64, name: &str| {
        let tenths = milliseconds / (unit / 10);
        match tenths % 10 {
            0 => format!("{} {name}", tenths / 10),
            rest => format!("{}.{rest} {name}", tenths / 10),
        }
    };
    match milliseconds {
        ..SECOND => format!("{milliseconds} ms"),
        SECOND..MINUTE => of(SECOND, "s"),
        MINUTE..HOUR => of(MINUTE, "min"),
        HOUR..DAY => of(HOUR, "h"),
        DAY.. => of(DAY, "d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> InboundEvidence {
        InboundEvidence {
            source: "203.0.113.9/32".parse().expect("a prefix"),
            target: [192, 0, 2, 1].into(),
            limit: InboundLimit::Unanswered,
            kinds: vec![ProbeKind::Syn],
            shape: ScanShape::Vertical,
            contacts: 5,
            answered: 0,
            failed: 5,
            ports: vec![21, 22, 23, 25, 80],
            milliseconds: 12,
            proven: false,
            decoys: false,
            sources: None,
            interface: None,
        }
    }

    fn found(verdict: InboundVerdict, seconds: u64, evidence: InboundEvidence) -> InboundFinding {
        let event = InboundEvent {
            boot_ns: 7,
            verdict,
            device: 2,
            banned_ns: seconds * 1_000_000_000,
            evidence,
        };
        let context = InboundContext {
            interface: Some("eth0"),
            never: Some("it is this host's gateway"),
            mode: Mode::Enforce,
        };
        inbound(event, context)
    }

    #[test]
    fn a_finding_is_a_sentence_that_is_read_at_night() {
        let found = found(InboundVerdict::SoftBanned, 60, seen());
        assert_eq!(
            found.detail,
            "203.0.113.9 sent SYN to 5 ports of 192.0.2.1 in 12 ms (21, 22, 23, 25, 80), 5 failed: its first contacts are dropped for 1 min"
        );
        assert_eq!((found.action, found.boot_ns), (Action::Banned, 7));
        let evidence = found.evidence.inbound.expect("it");
        assert_eq!(evidence.interface.as_deref(), Some("eth0"));
    }

    #[test]
    fn what_was_done_is_told_with_its_reason() {
        for (verdict, action, expected) in [
            (InboundVerdict::Banned, Action::Banned, "banned for 1 h"),
            (
                InboundVerdict::Observed,
                Action::Observed,
                "renewed the lease",
            ),
            (
                InboundVerdict::Spared,
                Action::Spared,
                "for it is this host's gateway",
            ),
            (InboundVerdict::NoRoom, Action::Missed, "`most_bans`"),
            (InboundVerdict::Decoys, Action::Denied, "made up"),
        ] {
            let found = found(verdict, 3600, seen());
            assert_eq!(found.action, action);
            assert!(found.detail.contains(expected), "{}", found.detail);
        }
        let event = InboundEvent {
            boot_ns: 0,
            verdict: InboundVerdict::Observed,
            device: 2,
            banned_ns: 0,
            evidence: seen(),
        };
        let context = InboundContext {
            interface: None,
            never: None,
            mode: Mode::Observe,
        };
        let detail = inbound(event, context).detail;
        assert!(detail.ends_with("since the mode is `observe`"), "{detail}");
    }

    #[test]
    fn what_was_probed_is_told_by_its_shape() {
        for (evidence, expected) in [
            (
                InboundEvidence {
                    shape: ScanShape::Horizontal,
                    contacts: 30,
                    ports: vec![22],
                    milliseconds: 3_400,
                    ..seen()
                },
                "SYN to port 22 of 30 addresses, the last of them 192.0.2.1, in 3.4 s, 5 failed",
            ),
            (
                InboundEvidence {
                    shape: ScanShape::Block,
                    contacts: 300,
                    milliseconds: 90_000,
                    kinds: vec![ProbeKind::Syn, ProbeKind::Fin, ProbeKind::Udp],
                    ..seen()
                },
                "SYN, FIN and UDP to 300 ports of several addresses, the last of them 192.0.2.1, in 1.5 min (at last 21, ",
            ),
            (
                InboundEvidence {
                    shape: ScanShape::Horizontal,
                    kinds: vec![ProbeKind::Ping],
                    contacts: 1,
                    ports: vec![0],
                    ..seen()
                },
                "pings to 1 address, the last",
            ),
            (
                InboundEvidence {
                    sources: Some(17),
                    limit: InboundLimit::Distributed,
                    ..seen()
                },
                "17 sources together probed a hundred ports or more within ten minutes, the last at 192.0.2.1",
            ),
        ] {
            let detail = found(InboundVerdict::Observed, 0, evidence).detail;
            assert!(detail.contains(expected), "{detail}");
        }
    }

    #[test]
    fn times_are_as_people_say_them() {
        for (milliseconds, expected) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1 s"),
            (59_999, "59.9 s"),
            (60_000, "1 min"),
            (5_400_000, "1.5 h"),
            (7 * 24 * 3_600_000, "7 d"),
        ] {
            assert_eq!(duration(milliseconds), expected);
        }
    }
}
