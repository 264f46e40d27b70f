//! Destinations as people write them, one by one: those of a grant.

use hayward_model::{Allowed, List, Range};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::{Between, EgressPolicy, Entry, Reach, entry::protocol_name};

/// So many destinations may be granted at once.
const MOST: usize = 64;

/// What may be reached by destinations such as `10.0.0.0/8 443/tcp`, as a list.
pub fn destinations(texts: &[String]) -> Result<List, String> {
    if texts.len() > MOST {
        return Err(format!(
            "{} destinations, and {MOST} are possible in one grant: write wider prefixes",
            texts.len()
        ));
    }
    let entries = texts.iter().map(|text| Entry::parse(text));
    let reach = Reach {
        policy: EgressPolicy::Deny,
        allow: Vec::new(),
        names: Vec::new(),
        always: entries.collect::<Result<_, _>>()?,
        never: Vec::new(),
        between: Between::Allow,
        workload_networks: Vec::new(),
    };
    Ok(reach.lists()?.always)
}

/// The same as text again.
pub fn spelled(list: &List) -> Vec<String> {
    let texts = list.iter().map(|(net, allowed)| {
        let net = spelled_net(*net);
        match allowed {
            Allowed::All => net,
            Allowed::Nothing | Allowed::Never => format!("{net} nothing"),
            Allowed::Ranges(ranges) => {
                let ranges: Vec<String> = ranges.iter().map(spelled_range).collect();
                format!("{net} {}", ranges.join(","))
            }
        }
    });
    texts.collect()
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
            (vec!["example.org"], "is no address"),
            (vec!["10.0.0.0/8 x"], "is no port"),
            (vec!["10.0.0.1"; 65], "64 are possible"),
        ] {
            let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
            let error = destinations(&texts).expect_err("wrong");
            assert!(error.contains(part), "{error}");
        }
    }
}
