//! `hayward bans export`: bans as others read them.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use hayward_agent::ListedBan;
use hayward_model::BanStrength;
use ipnet::IpNet;
use jiff::Timestamp;

use super::{BANS, source, until, why_text};
use crate::{cli::ExportFormat, client, failure::Failure, show};

/// The longest time that ipset takes, in seconds.
const LONGEST_IPSET: i64 = 2_147_483;
/// So many sets of ipset hold without being told.
const USUAL_IPSET: usize = 65_536;

pub(super) fn export(socket: &Path, format: ExportFormat, json: bool) -> Result<(), Failure> {
    let bans: Vec<ListedBan> = client::get(socket, BANS)?;
    if json || format == ExportFormat::Json {
        return show::json(&bans);
    }
    let kept = |ban: &&ListedBan| !ban.passing && ban.ban.strength == BanStrength::Full;
    let bans: Vec<&ListedBan> = bans.iter().filter(kept).collect();
    let text = match format {
        ExportFormat::Plain => plain(&bans),
        ExportFormat::Nft => nft(&bans, Timestamp::now()),
        ExportFormat::Ipset => ipset(&bans, Timestamp::now()),
        ExportFormat::Json => return Ok(()),
    };
    if !text.is_empty() {
        show::line(text.trim_end());
    }
    Ok(())
}

fn plain(bans: &[&ListedBan]) -> String {
    let lines = bans.iter().map(|ban| {
        format!(
            "{} # until {}: {}\n",
            source(ban.ban.net),
            until(ban.ban.until),
            why_text(ban)
        )
    });
    lines.collect()
}

/// Seconds that are left of a ban; none for ever.
fn seconds(ban: &ListedBan, now: Timestamp) -> Option<i64> {
    let until = ban.ban.until?;
    Some(until.duration_since(now).as_secs().max(1))
}

fn nft(bans: &[&ListedBan], now: Timestamp) -> String {
    // A set of intervals joins what lies within another: what is within one that lasts as long is left out.
    let by_net: BTreeMap<IpNet, &ListedBan> = bans.iter().map(|ban| (ban.ban.net, *ban)).collect();
    let adds = |ban: &&&ListedBan| {
        let net = ban.ban.net;
        let wider = (0..net.prefix_len()).filter_map(|length| {
            let wider = IpNet::new(net.addr(), length).ok()?.trunc();
            by_net.get(&wider)
        });
        let mut wider = wider.filter(|wider| wider.ban.outlasts(ban.ban.until));
        wider.next().is_none()
    };
    let bans: Vec<&ListedBan> = bans.iter().filter(adds).copied().collect();
    let mut text = "table inet hayward_bans {\n".to_owned();
    for (name, kind, is_v4) in [("ipv4", "ipv4_addr", true), ("ipv6", "ipv6_addr", false)] {
        let of_kind = bans.iter().filter(|ban| is_ipv4(ban.ban.net) == is_v4);
        let elements: Vec<String> = of_kind
            .map(|ban| {
                let time = seconds(ban, now).map(|time| format!(" timeout {time}s"));
                format!("{}{}", source(ban.ban.net), time.unwrap_or_default())
            })
            .collect();
        let _ = write!(
            text,
            "\tset {name} {{\n\t\ttype {kind}\n\t\tflags interval, timeout\n\t\tauto-merge\n"
        );
        if !elements.is_empty() {
            let elements = elements.join(",\n\t\t\t");
            let _ = write!(text, "\t\telements = {{\n\t\t\t{elements}\n\t\t}}\n");
        }
        text.push_str("\t}\n");
    }
    text.push_str(
        "\tchain input {\n\t\ttype filter hook prerouting priority raw; policy accept;\n\t\tip saddr @ipv4 drop\n\t\tip6 saddr @ipv6 drop\n\t}\n}\n",
    );
    text
}

fn ipset(bans: &[&ListedBan], now: Timestamp) -> String {
    let mut text = String::new();
    for (name, family, is_v4) in [
        ("hayward-ipv4", "inet", true),
        ("hayward-ipv6", "inet6", false),
    ] {
        let of_kind = bans.iter().filter(|ban| is_ipv4(ban.ban.net) == is_v4);
        let of_kind: Vec<&&ListedBan> = of_kind.collect();
        let most = of_kind.len().max(USUAL_IPSET);
        let _ = writeln!(
            text,
            "create -exist {name} hash:net family {family} maxelem {most} timeout 0"
        );
        for ban in of_kind {
            let time = seconds(ban, now).map_or(0, |time| time.min(LONGEST_IPSET));
            for half in halves(ban.ban.net) {
                let _ = writeln!(text, "add -exist {name} {} timeout {time}", source(half));
            }
        }
    }
    text
}

/// A set of ipset takes no prefix of no bits: its two halves.
fn halves(net: IpNet) -> Vec<IpNet> {
    match net.subnets(1) {
        Ok(halves) if net.prefix_len() == 0 => halves.collect(),
        _ => vec![net],
    }
}

const fn is_ipv4(net: IpNet) -> bool {
    matches!(net, IpNet::V4(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayward_agent::Ban;
    use hayward_model::BanOrigin;

    fn ban(net: &str, seconds: Option<i64>) -> ListedBan {
        ListedBan {
            ban: Ban {
                net: net.parse().expect("a prefix"),
                origin: BanOrigin::Operator,
                strength: BanStrength::Full,
                made: Timestamp::UNIX_EPOCH,
                until: seconds.map(|it| Timestamp::from_second(it).expect("in time")),
                times: 1,
                record: None,
                reason: Some("a\nb # c".to_owned()),
                actor: None,
            },
            dropped: None,
            passing: false,
        }
    }

    #[test]
    fn what_is_exported_is_what_others_read() {
        let bans = [
            ban("192.0.2.0/24", Some(3600)),
            ban("192.0.2.7/32", Some(60)),
            ban("192.0.2.8/32", None),
            ban("2001:db8::/32", Some(i64::from(u32::MAX))),
            ban("0.0.0.0/0", Some(5)),
        ];
        let bans: Vec<&ListedBan> = bans.iter().collect();
        let now = Timestamp::UNIX_EPOCH;
        let (sources, problems) = hayward_rules::parse_sources("list", plain(&bans).as_bytes());
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(sources.len(), bans.len());

        let nft = nft(&bans, now);
        assert!(nft.contains("192.0.2.0/24 timeout 3600s,\n"), "{nft}");
        assert!(nft.contains("192.0.2.8,\n"), "{nft}");
        assert!(!nft.contains("192.0.2.7"), "{nft}");
        assert_eq!(nft.matches('{').count(), nft.matches('}').count());

        let ipset = ipset(&bans, now);
        for line in [
            "add -exist hayward-ipv4 192.0.2.7 timeout 60",
            "add -exist hayward-ipv4 192.0.2.8 timeout 0",
            "add -exist hayward-ipv4 128.0.0.0/1 timeout 5",
            "add -exist hayward-ipv6 2001:db8::/32 timeout 2147483",
        ] {
            assert!(ipset.lines().any(|it| it == line), "{ipset}");
        }
    }
}
