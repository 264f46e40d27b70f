//! scanblocker's metric and log lines, so that whoever watches those goes on watching. The lines are written as it writes them;
//! what it sees of each connection attempt is here a first contact.

use std::net::SocketAddr;

use hayward_model::{Action, Guard, InboundContact, InboundLimit, Record};
use jiff::{Timestamp, tz::TimeZone};

/// Where scanblocker serves its metric.
pub const SCANBLOCKER_PORT: u16 = 8080;

/// Its line for a connection attempt.
pub fn contact_line(time: Timestamp, contact: &InboundContact) -> String {
    let from = SocketAddr::new(contact.source, contact.source_port);
    let to = SocketAddr::new(contact.target, contact.port);
    format!("{}: New connection: {from} -> {to}", local(time))
}

/// Its lines for a port scan, and for the ban; none for what it has no line for, such as sources of which none can be named.
pub fn scan_lines(record: &Record) -> Option<String> {
    if record.guard != Some(Guard::Inbound) {
        return None;
    }
    let seen = record.evidence.as_ref()?.inbound.as_ref()?;
    if seen.limit == InboundLimit::Distributed {
        return None;
    }
    let (source, time) = (record.source()?, local(record.time));
    let found = format!("{time}: Port scan detected: {source} -> {}", seen.target);
    Some(match record.action {
        Action::Banned => format!("{found}\nIP {source} banned."),
        _ => found,
    })
}

/// Its metric in Prometheus' text format.
pub fn render_metrics(attempts: u64) -> String {
    format!(
        "# HELP total_conns_attempts Number of attempted connections\n# TYPE total_conns_attempts counter\ntotal_conns_attempts {attempts}\n"
    )
}

/// By this host's clock, as scanblocker has it.
fn local(time: Timestamp) -> String {
    let time = time.to_zoned(TimeZone::system());
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use hayward_model::{Evidence, ProbeKind};

    use super::*;
    use crate::journal::samples;

    /// Where it is looked at, whatever this machine's clock says.
    fn after_time(line: &str) -> &str {
        let (time, rest) = line.split_at("2022-03-23 23:56:06".len());
        assert!(
            time.chars()
                .all(|it| it.is_ascii_digit() || "-: ".contains(it)),
            "{time}"
        );
        rest
    }

    #[test]
    fn a_connection_attempt_is_told_as_scanblocker_does() {
        let mut contact = InboundContact {
            boot_ns: 0,
            source: [10, 128, 0, 2].into(),
            source_port: 40_772,
            target: [10, 128, 0, 3].into(),
            port: 28_214,
            kind: ProbeKind::Syn,
            device: 2,
        };
        let line = contact_line(Timestamp::UNIX_EPOCH, &contact);
        let expected = ": New connection: 10.128.0.2:40772 -> 10.128.0.3:28214";
        assert_eq!(after_time(&line), expected);
        contact.source = "2001:db8::1".parse().unwrap();
        let line = contact_line(Timestamp::UNIX_EPOCH, &contact);
        assert!(line.contains(": [2001:db8::1]:40772 -> "), "{line}");
    }

    #[test]
    fn a_scan_is_told_with_its_ban_and_what_has_no_source_is_not() {
        let mut record = samples::killed(1, "x", "x");
        assert_eq!(scan_lines(&record), None);
        (record.guard, record.action) = (Some(Guard::Inbound), Action::Observed);
        let mut seen = samples::probing("10.128.0.2/32");
        let with = |record: &mut Record, seen| {
            record.evidence = Some(Evidence {
                inbound: Some(seen),
                ..Evidence::default()
            });
        };
        with(&mut record, seen.clone());
        let lines = scan_lines(&record).unwrap();
        let expected = ": Port scan detected: 10.128.0.2 -> 192.0.2.1";
        assert_eq!(after_time(&lines), expected);
        record.action = Action::Banned;
        let lines = scan_lines(&record).unwrap();
        assert!(
            lines.ends_with("192.0.2.1\nIP 10.128.0.2 banned."),
            "{lines}"
        );
        seen.limit = InboundLimit::Distributed;
        with(&mut record, seen);
        assert_eq!(scan_lines(&record), None);
    }

    #[test]
    fn the_metric_is_a_counter_of_its_name() {
        assert!(render_metrics(7).ends_with("counter\ntotal_conns_attempts 7\n"));
    }
}
