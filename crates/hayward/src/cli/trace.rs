//! `hayward trace`.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use clap::Args;
use hayward_model::Destination;
use ipnet::IpNet;

use super::{
    ConfigArgument,
    values::{duration, since},
};

const EXAMPLES: &str = "Examples: hayward trace --to 192.0.2.1:22 --at 2026-11-01T12:00:00+01:00; hayward trace --to \"[2001:db8::1]:443\"; \
hayward trace --to 192.0.2.0/24 --at 3h --window 1h

A contact is logged once for each workload, and again when it has been forgotten: the guard `outbound` knows the last 65,536. So what a \
letter is about may have begun long before its time. Where nothing lies around that time, the latest contact before it is shown, of \
each workload.";

/// Whom a letter is about, and when.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TraceArguments {
    /// The address that a letter names, with its port where it names one, or a prefix.
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    pub(crate) to: Sought,
    /// When it happened: an instant (2026-11-01T12:00:00Z) or how long ago (2h); without, all that is kept.
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) at: Option<jiff::Timestamp>,
    /// How far from that time, before it and after it.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration, requires = "at")]
    pub(crate) window: Duration,
    #[command(flatten)]
    pub(crate) config: ConfigArgument,
}

/// Destinations that are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sought {
    addresses: IpNet,
    port: Option<u16>,
}

impl Sought {
    /// Whether this is one of them.
    pub(crate) fn holds(&self, destination: &Destination) -> bool {
        self.addresses.contains(&destination.address)
            && self.port.is_none_or(|port| destination.port == Some(port))
    }
}

impl FromStr for Sought {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let of = |address: IpAddr, port| Self {
            // As the log has it.
            addresses: address.to_canonical().into(),
            port,
        };
        let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let address = bare.unwrap_or(text).parse().map(|it| of(it, None));
        let with_port = || {
            text.parse::<SocketAddr>()
                .map(|it| of(it.ip(), Some(it.port())))
        };
        let prefix = || {
            text.parse().map(|addresses| Self {
                addresses,
                port: None,
            })
        };
        address
            .or_else(|_| with_port())
            .or_else(|_| prefix())
            .map_err(|_: ipnet::AddrParseError| {
                "write 192.0.2.1, 192.0.2.1:22, 2001:db8::1, [2001:db8::1]:22 or 192.0.2.0/24"
                    .to_owned()
            })
    }
}

impl fmt::Display for Sought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_one = self.addresses.prefix_len() == self.addresses.max_prefix_len();
        match (is_one, self.port) {
            (true, Some(port)) => SocketAddr::from((self.addresses.addr(), port)).fmt(f),
            (true, None) => self.addresses.addr().fmt(f),
            (false, _) => self.addresses.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(address: &str, port: Option<u16>) -> Destination {
        Destination {
            address: address.parse().expect("an address"),
            port,
            protocol: "tcp".to_owned(),
        }
    }

    #[test]
    fn addresses_ports_and_prefixes_are_read_and_hold_what_they_name() {
        for (text, inside, outside) in [
            (
                "192.0.2.1",
                to("192.0.2.1", Some(22)),
                to("192.0.2.2", Some(22)),
            ),
            ("192.0.2.1", to("192.0.2.1", None), to("2001:db8::1", None)),
            (
                "192.0.2.1:22",
                to("192.0.2.1", Some(22)),
                to("192.0.2.1", Some(23)),
            ),
            (
                "192.0.2.1:22",
                to("192.0.2.1", Some(22)),
                to("192.0.2.1", None),
            ),
            (
                "2001:db8::1",
                to("2001:db8::1", Some(22)),
                to("2001:db8::2", Some(22)),
            ),
            (
                "2001:db8::1:22",
                to("2001:db8::1:22", None),
                to("2001:db8::1", Some(22)),
            ),
            (
                "[2001:db8::1]",
                to("2001:db8::1", Some(22)),
                to("2001:db8::2", None),
            ),
            (
                "[2001:db8::1]:22",
                to("2001:db8::1", Some(22)),
                to("2001:db8::1", Some(23)),
            ),
            (
                "192.0.2.0/24",
                to("192.0.2.9", Some(22)),
                to("192.0.3.9", Some(22)),
            ),
            (
                "2001:db8::/32",
                to("2001:db8:1::9", None),
                to("2001:db9::", None),
            ),
            (
                "::ffff:192.0.2.1",
                to("192.0.2.1", Some(22)),
                to("192.0.2.2", None),
            ),
        ] {
            let sought: Sought = text.parse().expect(text);
            assert!(sought.holds(&inside), "{text}");
            assert!(!sought.holds(&outside), "{text}");
            assert_eq!(sought.to_string().parse(), Ok(sought), "{text}");
        }
        for text in [
            "",
            "example.org",
            "192.0.2.1:",
            "192.0.2.1:99999",
            "192.0.2.0/33",
            "[192.0.2.1",
        ] {
            let error = text.parse::<Sought>().expect_err(text);
            assert!(error.contains("[2001:db8::1]:22"), "{error}");
        }
    }
}
