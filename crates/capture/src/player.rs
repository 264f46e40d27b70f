//! Playing a capture to the programs: what each host sent leaves, what it got arrives.

use std::{
    collections::{HashMap, HashSet},
    io::Read,
    net::{IpAddr, Ipv6Addr},
};

use hayward_kernel::{
    Headers, InboundLimits, Offline, OfflineInbound, OutboundLimits, Outcome, Packet, SocketKind,
};
use hayward_model::{Event, Evidence, Guard};
use ipnet::Ipv6Net;

use crate::{
    Inside, Reader, Record, Summary, Unread,
    connections::{Connections, Flow, is_later_fragment, opens},
    link,
};

/// Destinations that a finding names.
const MOST_DESTINATIONS: usize = 8;
/// What was found lately, so that it is told once.
const MOST_TOLD: usize = 16_384;

/// Something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When, in ns since 1970.
    pub at: u64,
    /// By which guard.
    pub guard: Guard,
    /// About whom.
    pub source: IpAddr,
    /// Why.
    pub evidence: Evidence,
    /// The capture was over: what still waited for an answer then is taken for silence.
    pub at_end: bool,
}

/// What the guards go by.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Who scans from inside.
    pub outbound: OutboundLimits,
    /// Who scans what is inside.
    pub inbound: InboundLimits,
}

/// A capture that is being judged.
#[derive(Debug)]
pub struct Player {
    offline: Offline,
    inbound: OfflineInbound,
    inside: Inside,
    workloads: HashMap<Ipv6Addr, u64>,
    addresses: Vec<Ipv6Addr>,
    connections: Connections,
    told: HashSet<(Guard, IpAddr, String)>,
    summary: Summary,
    first: Option<u64>,
    now: u64,
}

impl Player {
    /// One that goes by these settings. Where contacts count `twice` they do but for addresses inside and of `once`.
    pub fn new<'a>(
        inside: Inside,
        limits: &Limits,
        domains: impl IntoIterator<Item = &'a str>,
        twice: &[Ipv6Net],
        once: &[Ipv6Net],
    ) -> Self {
        let mut offline = Offline::new(&limits.outbound);
        offline.set_domains(domains);
        let own = inside.nets();
        let is_own = |net: &Ipv6Net| own.iter().any(|own| own.contains(net));
        let twice: Vec<_> = twice.iter().filter(|net| !is_own(net)).copied().collect();
        offline.weigh(&twice, &[once, own].concat());
        Self {
            offline,
            // What has happened is observed.
            inbound: OfflineInbound::new(&InboundLimits {
                enforce: false,
                ..limits.inbound
            }),
            inside,
            workloads: HashMap::new(),
            addresses: Vec::new(),
            connections: Connections::new(),
            told: HashSet::new(),
            summary: Summary::default(),
            first: None,
            now: 0,
        }
    }

    /// Takes the next packet, and says what is found by it.
    pub fn take(&mut self, record: &Record<'_>) -> Vec<Seen> {
        self.summary.packets += 1;
        self.pass_time(record.at);
        if let Err(why) = self.play(record) {
            self.summary.count_unread(why);
        }
        self.found(false)
    }

    /// The capture is over.
    pub fn end(&mut self) -> Vec<Seen> {
        for workload in 0..self.addresses.len() {
            self.offline.settle(self.now, number(workload));
        }
        self.found(true)
    }

    /// What has been counted.
    pub fn summary(&mut self) -> Summary {
        let mut summary = self.summary.clone();
        summary.workloads = number(self.addresses.len());
        summary.flows = self.connections.made;
        summary.contacts = self.offline.contacts();
        summary.forgotten = self.connections.forgotten() + self.offline.forgotten();
        summary.lasted = self.now - self.first.unwrap_or(self.now);
        summary
    }

    fn pass_time(&mut self, at: u64) {
        self.first.get_or_insert(at);
        if at < self.now {
            self.summary.backwards += 1;
        }
        self.now = self.now.max(at);
    }

    fn play(&mut self, record: &Record<'_>) -> Result<(), Unread> {
        let packet = link::packet(record)?;
        let headers = Headers::read(&packet).ok_or(Unread::Short)?;
        if number(packet.bytes.len()) < packet.length.into() {
            self.summary.cut += 1;
        }
        // What leaves is seen before it is cut into fragments, and what arrives after it was joined.
        if is_later_fragment(&headers) {
            self.summary.fragments += 1;
            return Ok(());
        }
        let leaves = self.inside.holds(headers.source);
        let arrives = self.inside.holds(headers.target);
        if leaves {
            self.leaves(&headers, &packet);
            self.inbound.leave(self.now, &packet);
        }
        if arrives {
            self.arrives(&headers, &packet);
            self.inbound.arrive(self.now, &packet);
        }
        (leaves || arrives).then_some(()).ok_or(Unread::Outside)
    }

    fn leaves(&mut self, headers: &Headers, packet: &Packet<'_>) {
        let Some(workload) = self.workload(headers.source) else {
            return;
        };
        let flow = Flow::of_sender(headers);
        let socket = self.connections.leaves(flow, headers, packet);
        if let Some(socket) = socket.filter(|socket| !socket.mines) {
            let is_let_out = self.offline.depart(self.now, workload, socket, packet);
            socket.mines |= !is_let_out && headers.flags.is_some();
        }
    }

    fn arrives(&mut self, headers: &Headers, packet: &Packet<'_>) {
        let Some(workload) = self.workload(headers.target) else {
            return;
        };
        let flow = Flow::of_receiver(headers);
        let socket = self.connections.arrives(flow, headers);
        let Some(socket) = socket.filter(|socket| !socket.mines) else {
            return;
        };
        let arrival = self.offline.arrive(self.now, workload, socket, packet);
        // What comes before its turn is not let in either, and nothing is told of it.
        socket.mines = !arrival.let_in && self.offline.has_told();
        if socket.kind == SocketKind::Connecting && opens(headers) {
            socket.kind = SocketKind::Connected;
        }
        match arrival.outcome {
            Some(Outcome::Answered) => self.summary.answered += 1,
            Some(Outcome::Refused) => self.summary.refused += 1,
            None => {}
        }
        if arrival.let_in {
            self.let_in_held(workload, flow, headers);
        } else if !socket.mines {
            self.connections.hold(flow, packet);
        }
    }

    /// What came before its turn comes again, as TCP would have it, now that something else has come.
    fn let_in_held(&mut self, workload: u64, flow: Flow, headers: &Headers) {
        let mut held = self.connections.take_held(&flow);
        held.sort_by_key(|held| sequence(headers, &held.packet()));
        for held in held {
            let packet = held.packet();
            let Some(socket) = self.connections.arrives(flow, headers) else {
                return;
            };
            let arrival = self.offline.arrive(self.now, workload, socket, &packet);
            socket.mines = !arrival.let_in && self.offline.has_told();
            if socket.mines {
                return;
            }
            if !arrival.let_in {
                self.connections.hold(flow, &packet);
            }
        }
    }

    /// The number of whoever has an address; none where there are too many.
    fn workload(&mut self, address: Ipv6Addr) -> Option<u64> {
        if let Some(known) = self.workloads.get(&address) {
            return Some(*known);
        }
        let workload = number(self.addresses.len());
        if !self.offline.judge(workload) {
            self.summary.no_room += 1;
            return None;
        }
        self.addresses.push(address);
        self.workloads.insert(address, workload);
        Some(workload)
    }

    /// What the programs have told.
    fn found(&mut self, at_end: bool) -> Vec<Seen> {
        let events = self.offline.events();
        let mut all = self.found_inbound(at_end);
        for event in events.into_iter().filter_map(Result::ok) {
            let (workload, finding) = match event {
                Event::Pool(event) => (event.sender.cgroup_id, hayward_detect::pool(event)),
                Event::Outbound(event) => (event.workload, hayward_detect::outbound(event)),
                _ => continue,
            };
            let mut evidence = finding.evidence;
            if let Some(scan) = &mut evidence.scan {
                scan.destinations = self.offline.unanswered(workload, MOST_DESTINATIONS);
            }
            if at_end {
                // It is no packet's.
                evidence.destination = None;
            }
            let at = usize::try_from(workload).unwrap_or(usize::MAX);
            let Some(source) = self.addresses.get(at) else {
                continue;
            };
            let source = source.to_canonical();
            if self.is_told(finding.guard, source, &evidence) {
                self.summary.repeated += 1;
                continue;
            }
            self.summary.findings += 1;
            all.push(Seen {
                at: self.now,
                guard: finding.guard,
                source,
                evidence,
                at_end,
            });
        }
        all
    }

    /// Who scans what is inside.
    fn found_inbound(&mut self, at_end: bool) -> Vec<Seen> {
        let mut all = Vec::new();
        for event in self.inbound.events().into_iter().filter_map(Result::ok) {
            let Event::Inbound(event) = event else {
                continue;
            };
            let source = event.evidence.source.addr();
            self.summary.findings += 1;
            all.push(Seen {
                at: self.now,
                guard: Guard::Inbound,
                source,
                evidence: Evidence {
                    inbound: Some(event.evidence),
                    ..Evidence::default()
                },
                at_end,
            });
        }
        all
    }

    /// Whether the same has been told: of a connection, with the same end and by the same dialect; a name, however asked for.
    fn is_told(&mut self, guard: Guard, source: IpAddr, evidence: &Evidence) -> bool {
        let Some(pool) = &evidence.pool else {
            return false;
        };
        let about = if pool.dialect.is_name() {
            pool.message.clone()
        } else {
            let destination = evidence.destination.as_ref().map(ToString::to_string);
            format!("{:?} {}", pool.dialect, destination.unwrap_or_default())
        };
        if self.told.len() >= MOST_TOLD {
            self.told.clear();
        }
        !self.told.insert((guard, source, about))
    }
}

/// Whether there is a packet of an address inside. What cannot be read is the end here, and told by whoever reads it again.
pub fn any_inside<R: Read>(inside: &Inside, reader: &mut Reader<R>) -> bool {
    while let Ok(Some(record)) = reader.next() {
        let packet = link::packet(&record).ok();
        let headers = packet.and_then(|packet| Headers::read(&packet));
        if headers.is_some_and(|it| inside.holds(it.source) || inside.holds(it.target)) {
            return true;
        }
    }
    false
}

/// Where in its direction a segment lies, counted from another's.
fn sequence(headers: &Headers, packet: &Packet<'_>) -> u32 {
    let at = usize::try_from(headers.transport).unwrap_or(usize::MAX);
    let field = packet.bytes.get(at.saturating_add(4)..);
    let field = field.and_then(|rest| rest.first_chunk());
    field.map_or(0, |field| u32::from_be_bytes(*field))
}

fn number(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
