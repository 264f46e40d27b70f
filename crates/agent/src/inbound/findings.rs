//! What becomes of the kernel's findings: a record each, of some of them.

use std::time::Instant;

use hayward_detect::InboundContext;
use hayward_model::{Guard, InboundEvent, Record, Response};
use hayward_record::id;

use super::{never, state::lock};
use crate::{clock, ledger::Ban, pipeline::Pipeline};

/// Why somebody is never banned whom settings and the host know nothing of.
const ALLOWED: &str = "operators allow it (`hayward bans allow list`)";

impl Pipeline {
    /// Takes what the kernel says of somebody who probes this host, and has done about it.
    pub(crate) fn take_inbound(&self, mut event: InboundEvent) {
        let policy = self.policy();
        let time = clock::timestamp(event.boot_ns);
        let record = id::next(time);
        match self.ledger.found(&policy.inbound, &event, &record) {
            // Whoever does so again is banned for longer than the kernel knew.
            Ok(Some(ban)) => event.banned_ns = banned_ns(&ban, event.banned_ns),
            Ok(None) => {}
            Err(error) => tracing::error!("{error}"),
        }
        let (source, verdict) = (event.evidence.source, event.verdict);
        let most = policy.inbound.ban_rate;
        if !lock(&self.inbound.recorded).admits(source, verdict, most, Instant::now()) {
            return;
        }
        let (mode, _) = policy.guard_mode(Guard::Inbound);
        let interface = self.inbound.interface(event.device);
        let never = self.inbound.never();
        let allowed = || self.ledger.allows(source).then_some(ALLOWED);
        let context = InboundContext {
            interface: interface.as_deref(),
            never: never::why(&never, source).or_else(allowed),
            mode,
        };
        let found = hayward_detect::inbound(event, context);
        self.recorder.record(&Record {
            guard: Some(Guard::Inbound),
            mode: Some(mode),
            response: Some(Response::Deny),
            evidence: Some(found.evidence),
            detail: Some(found.detail),
            ..Record::new(record, time, found.action)
        });
    }
}

/// How long a ban holds from now on.
fn banned_ns(ban: &Ban, otherwise: u64) -> u64 {
    let until = ban.until.map(|until| until.duration_since(ban.made));
    let ns = until.and_then(|time| u64::try_from(time.as_nanos()).ok());
    ns.unwrap_or(otherwise)
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, path::Path};

    use hayward_model::{
        Action, InboundEvidence, InboundLimit, InboundVerdict, ProbeKind, ScanShape,
    };
    use hayward_record::Query;
    use ipnet::IpNet;

    use super::*;
    use crate::{
        api::tests::agent,
        inbound::links::{Link, Links},
    };

    fn event(last: u8, verdict: InboundVerdict) -> InboundEvent {
        InboundEvent {
            boot_ns: 1,
            verdict,
            device: 2,
            banned_ns: 60_000_000_000,
            evidence: InboundEvidence {
                source: IpNet::V4(Ipv4Addr::new(203, 0, 113, last).into()),
                target: [192, 0, 2, 1].into(),
                limit: InboundLimit::Failures,
                kinds: vec![ProbeKind::Syn],
                shape: ScanShape::Vertical,
                contacts: 3,
                answered: 0,
                failed: 3,
                ports: vec![21, 22, 23],
                milliseconds: 12,
                proven: false,
                decoys: false,
                sources: None,
                interface: None,
            },
        }
    }

    fn records(folder: &Path, events: Vec<InboundEvent>) -> Vec<Record> {
        let agent = agent(folder);
        let eth0 = Link {
            name: "eth0".to_owned(),
            ethernet: true,
            up: true,
        };
        agent.pipeline.inbound.set_links(Links::from([(2, eth0)]));
        for event in events {
            agent.pipeline.take(hayward_model::Event::Inbound(event));
        }
        let reader = agent.pipeline.recorder.reader();
        let records = reader.query(Query::default()).expect("a journal");
        records.collect::<Result<_, _>>().expect("records")
    }

    #[test]
    fn a_finding_is_recorded_once_with_its_source_and_its_interface() {
        let folder = tempfile::tempdir().expect("a folder");
        let soft = InboundVerdict::SoftBanned;
        let events = vec![
            event(1, soft),
            event(1, soft),
            event(2, InboundVerdict::NoRoom),
        ];
        let records = records(folder.path(), events);
        let [banned, missed] = records.as_slice() else {
            panic!("{records:?}");
        };
        assert_eq!(
            (banned.action, missed.action),
            (Action::Banned, Action::Missed)
        );
        assert_eq!(banned.guard, Some(Guard::Inbound));
        assert_eq!(banned.source().as_deref(), Some("203.0.113.1"));
        let evidence = banned
            .evidence
            .as_ref()
            .and_then(|all| all.inbound.as_ref());
        let interface = evidence.and_then(|seen| seen.interface.as_deref());
        assert_eq!(interface, Some("eth0"));
        let detail = banned.detail_after_source().expect("a sentence");
        assert!(
            detail.starts_with("sent SYN to 3 ports of 192.0.2.1"),
            "{detail}"
        );
        assert!(
            detail.ends_with("first contacts are dropped for 1 min"),
            "{detail}"
        );
    }
}
