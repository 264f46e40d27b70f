//! The routes of this network, as /proc/net/route and /proc/net/ipv6_route have them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Of linux/route.h: whoever takes this way is told that there is none.
const RTF_REJECT: u32 = 0x0200;

/// A way that packets take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route<'a> {
    /// The interface.
    pub(crate) interface: &'a str,
    /// Where it leads.
    pub(crate) destination: IpNet,
    /// By whom; none where everybody there is on the link.
    pub(crate) gateway: Option<IpAddr>,
    /// It leads nowhere.
    pub(crate) rejects: bool,
}

impl Route<'_> {
    /// Whether it is the way to all that no other route leads to.
    pub(crate) fn is_default(&self) -> bool {
        self.destination.prefix_len() == 0
    }
}

/// Those of both files, the first of which has a head. Lines that say something else are passed over.
pub(crate) fn routes<'a>(ipv4: &'a str, ipv6: &'a str) -> impl Iterator<Item = Route<'a>> {
    let ipv4 = ipv4.lines().skip(1).filter_map(ipv4_route);
    ipv4.chain(ipv6.lines().filter_map(ipv6_route))
}

/// Interfaces of default routes, but of those that lead nowhere, as that of `lo`.
pub(crate) fn uplinks<'a>(ipv4: &'a str, ipv6: &'a str) -> impl Iterator<Item = &'a str> {
    let leading = routes(ipv4, ipv6).filter(|route| route.is_default() && !route.rejects);
    let names = leading.map(|route| route.interface);
    names.filter(|name| *name != "lo")
}

/// Who stands at the other end of default routes.
pub(crate) fn gateways<'a>(ipv4: &'a str, ipv6: &'a str) -> impl Iterator<Item = IpAddr> {
    let all = routes(ipv4, ipv6).filter(Route::is_default);
    all.filter_map(|route| route.gateway)
}

/// Interface, destination, gateway, flags, three numbers, mask: addresses are hexadecimal, as the processor has them in memory.
fn ipv4_route(line: &str) -> Option<Route<'_>> {
    let mut fields = line.split_whitespace();
    let interface = fields.next()?;
    let address = |text: &str| {
        let number = u32::from_str_radix(text, 16).ok()?;
        Some(Ipv4Addr::from(number.to_ne_bytes()))
    };
    let destination = address(fields.next()?)?;
    let gateway = address(fields.next()?)?;
    let flags = u32::from_str_radix(fields.next()?, 16).ok()?;
    let mask = address(fields.nth(3)?)?;
    Some(Route {
        interface,
        destination: Ipv4Net::with_netmask(destination, mask).ok()?.into(),
        gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
        rejects: flags & RTF_REJECT != 0,
    })
}

/// Destination and its length, source and its length, gateway, three numbers, flags, interface: all hexadecimal, in the order of
/// the network.
fn ipv6_route(line: &str) -> Option<Route<'_>> {
    let mut fields = line.split_whitespace();
    let address = |text: &str| Some(Ipv6Addr::from(u128::from_str_radix(text, 16).ok()?));
    let destination = address(fields.next()?)?;
    let length = u8::from_str_radix(fields.next()?, 16).ok()?;
    let gateway = address(fields.nth(2)?)?;
    let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
    Some(Route {
        interface: fields.next()?,
        destination: Ipv6Net::new(destination, length).ok()?.into(),
        gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
        rejects: flags & RTF_REJECT != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const IPV4: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        veth1\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
        *\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n";
    const IPV6: &str = "20010db8000000000000000000000000 20 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001 veth1\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth1\n\
        fd000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n\
        00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n";

    // As machines of this byte order have them, and only those exist that Hayward is built for.
    #[test]
    fn routes_of_both_kinds_are_read() {
        let read: Vec<_> = routes(IPV4, IPV6)
            .map(|route| {
                let gateway = route.gateway.map(|gateway| gateway.to_string());
                let destination = route.destination.to_string();
                (route.interface, destination, gateway, route.rejects)
            })
            .collect();
        let gateway = |text: &str| Some(text.to_owned());
        let expected = [
            ("eth0", "0.0.0.0/0", gateway("192.168.0.1"), false),
            ("veth1", "192.168.0.0/24", None, false),
            ("*", "0.0.0.0/0", None, true),
            ("veth1", "2001:db8::/32", None, false),
            ("eth1", "::/0", gateway("fe80::1"), false),
            ("lo", "fd00::/8", None, true),
            ("lo", "::/0", None, true),
        ];
        let expected = expected.map(|(name, net, gateway, no)| (name, net.to_owned(), gateway, no));
        assert_eq!(read, expected);
        assert_eq!(routes("", "x y\n\n").count(), 0);
        assert_eq!(routes("Iface\neth0\t0\n", "").count(), 0);
    }

    #[test]
    fn the_device_of_a_default_route_is_an_uplink_and_its_gateway_is_known() {
        let names: Vec<_> = uplinks(IPV4, IPV6).collect();
        assert_eq!(names, ["eth0", "eth1"]);
        let gateways: Vec<_> = gateways(IPV4, IPV6).map(|it| it.to_string()).collect();
        assert_eq!(gateways, ["192.168.0.1", "fe80::1"]);
    }
}
