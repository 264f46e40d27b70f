//! The programs judge in this process as they do in the kernel: whatever is sent and whatever comes back, they note the same
//! contacts and tell the same.

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "other tests have this file too")]
mod packet;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hayward_fuzz::throw;
    use hayward_kernel::{
        Offline, OutboundLimits, Packet, PacketTrial, Socket, SocketKind, boot_ns,
    };
    use hayward_model::{Event, Guard, Mode, ScanEvidence, ScopePolicy};
    use proptest::{collection::vec, prelude::*, sample::select};

    use crate::packet::{OTHER, TCP, UDP, ipv4, own_cgroup, tcp, udp};

    const LIMITS: OutboundLimits = OutboundLimits {
        in_flight: 16,
        failed: 12,
        rate: 40,
        ..OutboundLimits::DEFAULT
    };
    const ICMP: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const ACK: u8 = 16;

    /// What is sent or comes: from the workload, or to it.
    #[derive(Debug, Clone)]
    struct Step {
        leaves: bool,
        host: u8,
        protocol: u8,
        flags: u8,
    }

    /// Somebody is asked, who says one thing or another, or nothing; now and then somebody says something who was not asked.
    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let protocol = select(vec![TCP, TCP, TCP, UDP, ICMP, 47]);
        let flags = select(vec![SYN | ACK, RST | ACK, RST, ACK, 0]);
        let exchange = (1_u8..60, protocol, any::<u8>(), flags);
        let exchange = exchange.prop_map(|(host, protocol, which, flags)| {
            let step = |leaves, flags| Step {
                leaves,
                host,
                protocol,
                flags,
            };
            match which % 8 {
                0 => vec![step(false, flags)],
                1 | 2 => vec![step(true, SYN)],
                _ => vec![step(true, SYN), step(false, flags)],
            }
        });
        vec(exchange, 1..60).prop_map(|all| all.concat())
    }

    fn frame(step: &Step) -> Vec<u8> {
        let data = match step.protocol {
            TCP => tcp(step.flags, b""),
            UDP => udp(4000, 443, b"x"),
            // A question, or an answer.
            ICMP => vec![if step.leaves { 8 } else { step.flags & 3 }, 0, 0, 0],
            _ => vec![0; 8],
        };
        let mut frame = ipv4(step.protocol, 0, b"", &data);
        // The other end is one of many, and in answers it is the source.
        frame[14 + 19] = step.host;
        if !step.leaves {
            let (own, other) = (14 + 12..14 + 16, 14 + 16..14 + 20);
            let addresses = [&frame[other], &frame[own.clone()]].concat();
            frame[own.start..own.start + 8].copy_from_slice(&addresses);
            if step.protocol == TCP || step.protocol == UDP {
                let ports = [&frame[36..38], &frame[34..36]].concat();
                frame[34..38].copy_from_slice(&ports);
            }
        }
        frame
    }

    fn scans(events: impl IntoIterator<Item = Event>) -> Vec<(String, ScanEvidence)> {
        let scans = events.into_iter().map(|event| match event {
            Event::Outbound(event) => (event.sender.destination.to_string(), event.scan),
            other => panic!("no scan: {other:?}"),
        });
        scans.collect()
    }

    /// Those of a map of contacts who have not answered: see `struct outbound_target` and `struct outbound_contact`.
    fn unanswered(trial: &PacketTrial) -> BTreeSet<(u8, u32, u32)> {
        let number = |key: &[u8], at: usize| {
            u32::from_ne_bytes(key[at..at + 4].try_into().expect("4 bytes"))
        };
        let entries = trial.take("outbound_contacts").expect("a map");
        let open = entries.iter().filter(|(_, value)| number(value, 8) != 1);
        open.map(|(key, _)| (key[23], number(key, 24), number(key, 28)))
            .collect()
    }

    #[test]
    fn the_same_packets_lead_to_the_same_contacts_and_findings() {
        let trial = PacketTrial::new(Guard::Outbound, &LIMITS).expect("the programs load");
        let workload = own_cgroup();
        let policy = ScopePolicy::of(Guard::Outbound, Mode::Observe);
        trial.judge(workload, policy).expect("room");
        // Some of the hosts count twice.
        let twice = format!("::ffff:{}.{}.{}.32/123", OTHER[0], OTHER[1], OTHER[2]);
        let twice: ipnet::Ipv6Net = twice.parse().expect("a prefix");
        let key = [&123_u32.to_ne_bytes()[..], &twice.addr().octets()].concat();
        trial
            .put("outbound_weights", &key, &2_u32.to_ne_bytes())
            .expect("room");
        let trial = std::cell::RefCell::new(trial);
        let found = std::cell::Cell::new(0);
        throw(300, &steps(), |steps| {
            let mut trial = trial.borrow_mut();
            let before = trial.counters().expect("counters").outbound_contacts;
            let mut offline = Offline::new(&LIMITS);
            offline.weigh(&[twice], &[]);
            prop_assert!(offline.judge(workload));
            let mut socket = Socket::new(SocketKind::Datagram);
            for step in &steps {
                let frame = frame(step);
                let packet = Packet {
                    bytes: &frame[14..],
                    length: u32::try_from(frame.len() - 14).expect("it fits"),
                };
                let (name, at) = if step.leaves {
                    offline.depart(boot_ns(), workload, &mut socket, &packet);
                    ("on_departure", boot_ns())
                } else {
                    offline.arrive(boot_ns(), workload, &mut socket, &packet);
                    ("on_outcome", boot_ns())
                };
                prop_assert_eq!(trial.run(name, &frame).expect("it runs"), 1, "at {}", at);
            }
            let told = scans(
                offline
                    .events()
                    .into_iter()
                    .map(|event| event.expect("an event")),
            );
            found.set(found.get() + told.len());
            prop_assert_eq!(&told, &scans(trial.events().expect("a ring")));
            let contacts = trial.counters().expect("counters").outbound_contacts - before;
            prop_assert_eq!(offline.contacts(), contacts);
            let open = offline.unanswered(workload, usize::MAX);
            let kernel = unanswered(&trial);
            prop_assert_eq!(open.len(), kernel.len());
            for destination in open {
                let host = match destination.address {
                    std::net::IpAddr::V4(address) => address.octets()[3],
                    std::net::IpAddr::V6(_) => panic!("there are none"),
                };
                let protocol = match destination.protocol.as_str() {
                    "tcp" => 6,
                    "udp" => 17,
                    "icmp" => 1,
                    other => other.parse().expect("a number"),
                };
                let key = (host, destination.port.unwrap_or(0).into(), protocol);
                prop_assert!(kernel.contains(&key), "{:?}", key);
            }
            trial.take("outbound_states").expect("a map");
            Ok(())
        });
        assert!(found.get() > 30, "{found:?}");
    }
}
