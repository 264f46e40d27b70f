//! The guard `outbound` in the agent: where contacts count twice, and the findings of the kernel.

use std::{fs, time::Duration};

use hayward_kernel::{Outbound, OutboundLimits, Pins};
use hayward_model::{Action, Finding, Guard, OutboundEvent, Response, prefix};
use hayward_policy::{OutboundSettings, PacketSockets};
use ipnet::{IpNet, Ipv6Net};

use crate::{
    agent::Agent,
    network::{admits, is_canary},
    packet_sockets::{kill_where_wanted, of_socket},
    pipeline::Pipeline,
    routes::routes,
};

/// Destinations that a record names.
const MOST_DESTINATIONS: usize = 8;

/// Where nobody is that the default route leads to: private, shared, reserved, of documentation and of benchmarks (RFC
/// 6890, RFC 8190).
const NOBODY: [&str; 12] = [
    "10.0.0.0/8",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.2.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "fc00::/7",
    "2001:db8::/32",
];

/// What settings say, for the kernel.
pub fn outbound_limits(settings: &OutboundSettings) -> OutboundLimits {
    OutboundLimits {
        in_flight: settings.in_flight,
        failed: settings.failures,
        per: settings.window,
        rate: settings.rate,
        block: settings.block,
        deny_packet_sockets: settings.packet_sockets != PacketSockets::Observe,
        log: settings.log.enabled,
        unique: settings.destinations.map_or(0, |limit| limit.unique),
        lookback: settings
            .destinations
            .map_or(Duration::ZERO, |limit| limit.lookback),
    }
}

/// Where contacts count twice, but where a route leads there.
pub fn nobody() -> Vec<Ipv6Net> {
    let nets = NOBODY.iter().filter_map(|net| net.parse().ok());
    nets.map(prefix).collect()
}

impl Agent {
    /// Says where contacts count twice: where nobody can be but by a route of this host, and none leads there.
    pub(crate) fn weigh_contacts(&self) {
        let policy = self.policy();
        if !policy.lists(Guard::Outbound) {
            return;
        }
        let Ok(outbound) = Outbound::open(&Pins::new(&policy.pins)) else {
            return;
        };
        let ipv4 = fs::read_to_string("/proc/net/route").unwrap_or_default();
        let ipv6 = fs::read_to_string("/proc/net/ipv6_route").unwrap_or_default();
        let reachable = policy.outbound.reachable.iter().copied();
        let once = routed(&ipv4, &ipv6).chain(reachable);
        let once: Vec<Ipv6Net> = once.map(prefix).collect();
        if let Err(error) = outbound.weigh(&nobody(), &once) {
            tracing::error!("{error}");
        }
    }
}

/// Where a route leads, but for the default, and those that lead nowhere.
fn routed<'a>(ipv4: &'a str, ipv6: &'a str) -> impl Iterator<Item = IpNet> {
    let leading = routes(ipv4, ipv6).filter(|route| !route.is_default() && !route.rejects);
    leading.map(|route| route.destination)
}

impl Agent {
    /// Lets a workload that scanned make contacts again, and says whether it may not until then.
    pub(crate) fn lets_contact_again(&self, workload: u64, dry_run: bool) -> bool {
        let policy = self.policy();
        if !policy.lists(Guard::Outbound) {
            return false;
        }
        let Ok(outbound) = Outbound::open(&Pins::new(&policy.pins)) else {
            return false;
        };
        let forgotten = if dry_run {
            let blocked = outbound.blocked_until(workload);
            blocked.map(|until| until.is_some())
        } else {
            outbound.forget(workload)
        };
        forgotten.unwrap_or_else(|error| {
            tracing::error!("{error}");
            false
        })
    }
}

impl Pipeline {
    /// Takes what the kernel says of somebody who scans.
    pub(crate) fn take_outbound(&self, event: OutboundEvent) {
        if is_canary(&self.outbound_canary, event.sender.cgroup_id) {
            return;
        }
        let workload = event.workload;
        let mut finding = hayward_detect::outbound(event);
        if finding.process.pid == 0 {
            self.name_holder(&mut finding);
        }
        kill_where_wanted(&mut finding, self.policy().outbound.packet_sockets);
        // The kernel refuses the connect, and what its settings lead to is still to be done.
        if has_limit(&finding, "unique-destinations") && finding.done == Some(Action::Denied) {
            finding.done = None;
        }
        let kills = finding.response == Some(Response::Kill);
        if of_socket(&finding) && !kills && !admits(&self.refusals, finding.cgroup_id) {
            return;
        }
        if let Some(scan) = &mut finding.evidence.scan
            && let Ok(outbound) = Outbound::open(&Pins::new(&self.policy().pins))
        {
            scan.destinations = outbound.unanswered(workload, MOST_DESTINATIONS);
        }
        self.conclude_sent(finding);
    }
}

/// Whether it was found by this limit.
pub(crate) fn has_limit(finding: &Finding, limit: &str) -> bool {
    let scan = finding.evidence.scan.as_ref();
    scan.is_some_and(|scan| scan.limit == limit)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_route_that_leads_somewhere_is_counted_and_the_default_is_none() {
        let ipv4 = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        let ipv6 = "20010db8000000000000000000000000 20 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n\
            00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n\
            fd000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";
        let read: Vec<_> = routed(ipv4, ipv6).map(|net| net.to_string()).collect();
        assert_eq!(read, ["192.168.0.0/24", "2001:db8::/32"]);
    }

    #[test]
    fn where_settings_say_nothing_the_kernels_defaults_hold() {
        let policy = hayward_policy::Policy::parse("h.yaml", "").expect("good settings");
        assert_eq!(outbound_limits(&policy.outbound), OutboundLimits::DEFAULT);
    }

    #[test]
    fn every_prefix_where_nobody_is_can_be_read() {
        let read = NOBODY.iter().filter_map(|net| net.parse::<IpNet>().ok());
        assert_eq!(read.count(), NOBODY.len());
        let own: IpNet = NOBODY[0].parse().expect("a prefix");
        assert!(prefix(own).contains(&Ipv4Addr::new(10, 9, 8, 7).to_ipv6_mapped()));
    }
}
