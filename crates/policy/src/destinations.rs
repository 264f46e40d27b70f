//! Destinations as people write them, one by one: those of a grant.

use hayward_model::{Allowed, Destinations, Range};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::entry::{Entries, entry_or_name, protocol_name};

/// So many destinations may be granted at once.
const MOST: usize = 64;

/// What may be reached by destinations such as `10.0.0.0/8 443/tcp` and `pypi.org`.
pub fn destinations(texts: &[String]) -> Result<Destinations, String> {
    if texts.len() > MOST {
        return Err(format!(
            "{} destinations, and {MOST} are possible in one grant: write wider prefixes",
            texts.len()
        ));
    }
    let entries = texts.iter().map(|text| entry_or_name(text));
    Entries::of(entries.collect::<Result<_, _>>()?).destinations()
}

/// The same as text again.
pub fn spelled(destinations: &Destinations) -> Vec<String> {
    let nets = destinations.list.iter();
    let nets = nets.map(|(net, allowed)| spelled_place(spelled_net(*net), allowed));
    let names = destinations.names.iter();
    let names = names.map(|(pattern, allowed)| spelled_place(pattern.clone(), allowed));
    nets.chain(names).collect()
}

fn spelled_place(place: String, allowed: &Allowed) -> String {
    match allowed {
        Allowed::All => place,
        Allowed::Nothing | Allowed::Never => format!("{place} nothing"),
        Allowed::Ranges(ranges) => {
            let ranges: Vec<String> = ranges.iter().map(spelled_range).collect();
            format!("{place} {}", ranges.join(","))
        }
    }
}

fn spelled_net(net: Ipv6Net) -> String {
    let v4 = net.addr().to_ipv4_mapped();
    let bits = net.prefix_len().checked_sub(96);
    let v4 = v4
        .zip(bits)
        .and_then(|(address, bits)| Ipv4Net::new(address, bits).ok());
    let net = v4.map_or(IpNet::V6(net), IpNet::V4);
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}

fn spelled_range(range: &Range) -> String {
    let (first, last) = range.ports;
    let protocol = range.protocol.map(protocol_name);
    let ports = if first == last {
        first.to_string()
    } else {
        format!("{first}-{last}")
    };
    match (protocol, range.ports) {
        (Some(protocol), (0, u16::MAX)) => protocol,
        (Some(protocol), _) => format!("{ports}/{protocol}"),
        (None, _) => ports,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_spelled_as_they_were_written() {
        let texts = [
            "10.0.0.0/8 443/tcp,8000-8999/tcp",
            "192.0.2.7",
            "198.51.100.0/24 53",
            "2001:db8::/32 icmpv6",
            "2001:db8::1 icmpv6,22/tcp",
            "*.pythonhosted.org",
            "pypi.org 80/tcp,443/tcp",
        ];
        let mut texts = texts.map(str::to_owned);
        texts.sort_unstable();
        let list = destinations(&texts).expect("good destinations");
        let mut again = spelled(&list);
        again.sort_unstable();
        assert_eq!(again, texts);
        assert_eq!(destinations(&again), Ok(list));
    }

    #[test]
    fn what_is_wrong_says_what_to_write() {
        for (texts, part) in [
            (vec!["example"], "or a name such as"),
            (vec!["*.*.org"], "or a name such as"),
            (vec!["10.0.0.0/8 x"], "is no port"),
            (vec!["10.0.0.1"; 65], "64 are possible"),
        ] {
            let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            let error = destinations(&texts).expect_err("wrong");
            assert!(error.contains(part), "{error}");
        }
    }
}
