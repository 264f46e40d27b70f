//! The programs of the guards `outbound` and `pool` in this process: the same C that the kernel runs, compiled for this
//! machine, with helpers and tables of this crate's. It needs no privileges, no kernel, and no clock.

mod helpers;
mod inbound;
mod native;
mod tables;

use std::net::Ipv6Addr;

use hayward_model::{Destination, Event, Guard, Mode, ScopePolicy, domain_hash};
use ipnet::Ipv6Net;

use crate::{
    OutboundLimits, outbound,
    wire::{self, WireError},
};
use helpers::{Machine, Storages};
pub use inbound::OfflineInbound;
use native::{NativeHeaders, Program, View};

/// Times that the programs calculate with: far from overflowing when they add to them.
const LAST_NS: u64 = 1 << 62;

/// Kinds of sockets that programs tell apart, and states of TCP: `bpf/socket.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketKind {
    /// Of TCP, while it is being connected.
    Connecting,
    /// Of TCP, otherwise.
    Connected,
    /// Of UDP.
    Datagram,
    /// What sends packets of its own making.
    Raw,
}

impl SocketKind {
    /// Type, protocol and state: `SOCK_*`, `IPPROTO_*` and `TCP_*`.
    const fn fields(self) -> (u32, u32, u32) {
        match self {
            Self::Connecting => (1, 6, 2),
            Self::Connected => (1, 6, 1),
            Self::Datagram => (2, 17, 7),
            Self::Raw => (3, 0, 7),
        }
    }
}

/// A socket: what it is, and what programs keep with it.
#[derive(Debug)]
pub struct Socket {
    /// What it is now.
    pub kind: SocketKind,
    /// Somebody mines on its connection, and nothing more of it is looked at.
    pub mines: bool,
    storages: Storages,
}

impl Socket {
    /// One of which nothing is known.
    pub fn new(kind: SocketKind) -> Self {
        Self {
            kind,
            mines: false,
            storages: Storages::default(),
        }
    }
}

/// An IP packet.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// What there is of it, from its header on.
    pub bytes: &'a [u8],
    /// How long it is.
    pub length: u32,
}

impl Packet<'_> {
    /// What a link would call it.
    fn protocol(&self) -> u32 {
        match self.bytes.first().map(|byte| byte >> 4) {
            Some(4) => 0x0800,
            Some(6) => 0x86dd,
            _ => 0,
        }
    }

    fn hand_to(&self, machine: &mut Machine) {
        machine.packet.clear();
        machine.packet.extend_from_slice(self.bytes);
    }

    fn view(&self, kind: SocketKind) -> View {
        let (socket_type, socket_protocol, socket_state) = kind.fields();
        View {
            protocol: self.protocol(),
            length: self.length,
            socket_type,
            socket_protocol,
            socket_state,
        }
    }
}

/// What a packet's headers say, as the programs read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// Where it comes from, IPv4 as `::ffff:a.b.c.d`.
    pub source: Ipv6Addr,
    /// Where it goes.
    pub target: Ipv6Addr,
    /// `IPPROTO_*`.
    pub protocol: u32,
    /// Source and destination; none of a later fragment, nor where the protocol has none.
    pub ports: Option<(u16, u16)>,
    /// Of TCP, where they can be read.
    pub flags: Option<u8>,
    /// Where the transport protocol's header begins; 0 of a later fragment.
    pub transport: u32,
}

/// What came of a packet that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// It is let in: not, where it came before its turn, or on a connection on which somebody mines.
    pub let_in: bool,
    /// It is what a contact waited for.
    pub outcome: Option<Outcome>,
}

/// What comes of a contact that does not wait in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody is there.
    Answered,
    /// Somebody is, and wants nothing of it.
    Refused,
}

/// `enum outbound_contact_state` of `bpf/contacts.h`, and one.
const OPEN: i32 = 1;
const ANSWERED: i32 = 2;
const REFUSED: i32 = 3;

impl Headers {
    /// Reads them as the programs do; none where it is no IP packet that is whole.
    pub fn read(packet: &Packet<'_>) -> Option<Self> {
        let view = packet.view(SocketKind::Raw);
        let mut read = NativeHeaders::default();
        let mut machine = Box::<Machine>::default();
        packet.hand_to(&mut machine);
        let (_, is_read) = helpers::on(machine, || native::hayward_read_headers(&view, &mut read));
        let port = |number: u32| u16::try_from(number).unwrap_or(0);
        (is_read != 0).then(|| Self {
            source: read.source.into(),
            target: read.target.into(),
            protocol: read.protocol,
            ports: (read.has_port != 0).then(|| (port(read.source_port), port(read.target_port))),
            flags: (read.flags & native::FLAGS_ARE_KNOWN != 0)
                .then_some(read.flags.to_le_bytes()[0]),
            transport: read.transport,
        })
    }
}

/// The programs, and all that they know.
#[derive(Debug)]
pub struct Offline {
    machine: Option<Box<Machine>>,
}

impl Offline {
    /// Programs that know nobody yet. As many workloads as the kernel has room for get a policy.
    pub fn new(limits: &OutboundLimits) -> Self {
        let mut offline = Self {
            machine: Some(Box::default()),
        };
        let cells = outbound::cells(limits);
        offline.on(|| {
            for (cell, value) in cells {
                native::hayward_set_cell(cell as u32, value);
            }
        });
        offline
    }

    /// Sets where contacts count twice and where once, as [`crate::Outbound::weigh`] does.
    pub fn weigh(&mut self, twice: &[Ipv6Net], once: &[Ipv6Net]) {
        let twice = twice.iter().map(|net| (net, 2));
        let all: Vec<_> = twice.chain(once.iter().map(|net| (net, 1))).collect();
        self.on(|| {
            for (net, weight) in all {
                let address = net.addr().octets();
                native::hayward_set_weight(&address, net.prefix_len().into(), weight);
            }
        });
    }

    /// Sets the domains of pools, as [`crate::PoolDomains::set`] does.
    pub fn set_domains<'a>(&mut self, domains: impl IntoIterator<Item = &'a str>) {
        let hashes: Vec<u64> = domains.into_iter().map(domain_hash).collect();
        self.on(|| {
            for hash in hashes {
                native::hayward_set_domain(hash);
            }
        });
    }

    /// Has the guards judge a workload. Says whether there is room for one more.
    ///
    /// Of the guard `outbound` it is observed what there is to see, since nothing is stopped any more. `pool` refuses, by
    /// which it tells what came before its turn.
    pub fn judge(&mut self, workload: u64) -> bool {
        let outbound = ScopePolicy::of(Guard::Outbound, Mode::Observe).bits();
        let pool = ScopePolicy::of(Guard::Pool, Mode::Enforce).bits();
        self.on(|| native::hayward_set_policy(workload, outbound | pool)) == 0
    }

    /// A packet of a workload leaves at a time. Says whether it is let out: not, where by it somebody mines.
    pub fn depart(
        &mut self,
        at: u64,
        workload: u64,
        socket: &mut Socket,
        packet: &Packet<'_>,
    ) -> bool {
        self.run(native::hayward_departure, at, workload, socket, packet);
        self.run(native::hayward_pool_packet, at, workload, socket, packet) != 0
    }

    /// A packet arrives for a workload.
    pub fn arrive(
        &mut self,
        at: u64,
        workload: u64,
        socket: &mut Socket,
        packet: &Packet<'_>,
    ) -> Arrival {
        let waits = socket.kind != SocketKind::Connected
            && self.run(native::hayward_contact_state, at, workload, socket, packet) == OPEN;
        self.run(native::hayward_outcome, at, workload, socket, packet);
        let outcome = if waits {
            match self.run(native::hayward_contact_state, at, workload, socket, packet) {
                ANSWERED => Some(Outcome::Answered),
                REFUSED => Some(Outcome::Refused),
                _ => None,
            }
        } else {
            None
        };
        Arrival {
            let_in: self.run(native::hayward_pool_arrival, at, workload, socket, packet) != 0,
            outcome,
        }
    }

    /// After `last`, nobody is answered any more: what still waits is silence.
    pub fn settle(&mut self, last: u64, workload: u64) {
        let machine = self.machine();
        machine.now = last.min(LAST_NS);
        machine.workload = workload;
        self.on(|| native::hayward_settle());
    }

    /// Whether programs have told something that was not asked for yet.
    pub fn has_told(&self) -> bool {
        let machine = self.machine.as_ref();
        machine.is_some_and(|machine| !machine.events.is_empty())
    }

    /// What programs have told since this was last asked.
    pub fn events(&mut self) -> Vec<Result<Event, WireError>> {
        let events = std::mem::take(&mut self.machine().events);
        events.iter().map(|bytes| wire::decode(bytes)).collect()
    }

    /// How many first contacts there were.
    pub fn contacts(&mut self) -> u64 {
        self.on(|| native::hayward_contacts_made())
    }

    /// Some of those who have not answered a workload.
    pub fn unanswered(&mut self, workload: u64, most: usize) -> Vec<Destination> {
        let identity = native::hayward_contacts().addr();
        let tables = self.machine().tables.iter();
        let contacts = tables.filter(|(known, _)| *known == identity);
        let all = contacts.flat_map(|(_, table)| table.entries());
        let open = all.filter(|(key, value)| {
            let state = value.get(1).map(|word| word.get());
            key.starts_with(&workload.to_ne_bytes()) && !state.is_some_and(outbound::is_answered)
        });
        let destinations = open.filter_map(|(key, _)| wire::target(key.get(8..)?).ok());
        destinations.take(most).collect()
    }

    /// How many contacts were forgotten, for others to have room.
    pub fn forgotten(&mut self) -> u64 {
        let tables = self.machine().tables.iter();
        tables.map(|(_, table)| table.evicted).sum()
    }

    fn run(
        &mut self,
        program: Program,
        at: u64,
        workload: u64,
        socket: &mut Socket,
        packet: &Packet<'_>,
    ) -> i32 {
        let machine = self.machine();
        packet.hand_to(machine);
        machine.now = at.min(LAST_NS);
        machine.workload = workload;
        std::mem::swap(&mut machine.storages, &mut socket.storages);
        let view = packet.view(socket.kind);
        let answer = self.on(|| program(&view));
        std::mem::swap(&mut self.machine().storages, &mut socket.storages);
        answer
    }

    fn machine(&mut self) -> &mut Machine {
        self.machine.get_or_insert_default()
    }

    fn on<T>(&mut self, run: impl FnOnce() -> T) -> T {
        let machine = self.machine.take().unwrap_or_default();
        let (machine, result) = helpers::on(machine, run);
        self.machine = Some(machine);
        result
    }
}
