//! What /etc/hosts and /etc/resolv.conf say, as far as it concerns us: resolv.conf(5), hosts(5).

use std::{
    fs::File,
    io::Read,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Bytes of a file that are read.
const MOST_BYTES: u64 = 1 << 20;
/// Servers that are asked, and endings that are tried, as by the C library.
const MOST_SERVERS: usize = 3;
const MOST_ENDINGS: usize = 6;

/// The text of a file; empty where there is none.
pub(super) fn text(path: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        let _ = file.take(MOST_BYTES).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The addresses of a name in lower case, by the text of /etc/hosts.
pub(super) fn host(name: &str, hosts: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().filter_map(|line| {
        let line = line.split('#').next()?;
        let (address, names) = line.trim_start().split_once(char::is_whitespace)?;
        let mut names = names.split_whitespace();
        let is_named = names.any(|other| other.trim_end_matches('.').eq_ignore_ascii_case(name));
        is_named.then(|| address.parse().ok())?
    });
    lines.collect()
}

/// Whom to ask, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Servers {
    addresses: Vec<SocketAddr>,
    endings: Vec<String>,
    dots: usize,
    attempts: usize,
    pub(super) timeout: Duration,
}

impl Servers {
    /// By the text of /etc/resolv.conf.
    pub(super) fn parse(text: &str) -> Self {
        let mut servers = Self {
            addresses: Vec::new(),
            endings: Vec::new(),
            dots: 1,
            attempts: 2,
            timeout: Duration::from_secs(5),
        };
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    let address = address.map(|ip| SocketAddr::from((ip, 53)));
                    servers.addresses.extend(address);
                }
                Some("search" | "domain") => {
                    let words = words.map(|word| word.trim_matches('.').to_owned());
                    let endings = words.filter(|word| !word.is_empty());
                    servers.endings = endings.take(MOST_ENDINGS).collect();
                }
                Some("options") => words.for_each(|option| servers.set(option)),
                _ => {}
            }
        }
        servers.addresses.truncate(MOST_SERVERS);
        if servers.addresses.is_empty() {
            servers.addresses.push((Ipv4Addr::LOCALHOST, 53).into());
        }
        servers
    }

    fn set(&mut self, option: &str) {
        let Some((name, Ok(value))) = option
            .split_once(':')
            .map(|(name, value)| (name, value.parse::<u8>()))
        else {
            return;
        };
        match name {
            "ndots" => self.dots = usize::from(value.min(15)),
            "attempts" => self.attempts = usize::from(value.clamp(1, 5)),
            "timeout" => self.timeout = Duration::from_secs(value.clamp(1, 30).into()),
            _ => {}
        }
    }

    /// The names that a host may have here, in the order in which they are asked for.
    pub(super) fn names(&self, host: &str) -> Vec<String> {
        if let Some(whole) = host.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let longer = self.endings.iter().map(|ending| format!("{host}.{ending}"));
        let mut names: Vec<String> = longer.collect();
        let at = if host.matches('.').count() >= self.dots {
            0
        } else {
            names.len()
        };
        names.insert(at, host.to_owned());
        names
    }

    /// Each server, as often as it is asked.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = SocketAddr> {
        let turns = std::iter::repeat_n(&self.addresses, self.attempts);
        turns.flatten().copied()
    }
}

#[cfg(test)]
mod tests {
    use hayward_fuzz::{Corpus, throw};
    use proptest::prelude::*;

    use super::*;

    const HOSTS: &str = "127.0.0.1 localhost\n10.0.0.1\tHooks.example hooks # of the site\n::1 hooks\nx hooks\n#10.0.0.9 hooks\n";
    const CONF: &str = "# ours\nnameserver 10.0.0.2\nnameserver fd00::1 ; other\nsearch a.example b.example.\noptions ndots:2 timeout:3 attempts:1 rotate\n";

    #[test]
    fn hosts_have_the_addresses_that_the_file_says() {
        let addresses = |name| {
            host(name, HOSTS)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(addresses("hooks"), ["10.0.0.1", "::1"]);
        assert_eq!(addresses("hooks.example"), ["10.0.0.1"]);
        assert!(addresses("example").is_empty() && addresses("of").is_empty());
    }

    #[test]
    fn servers_are_asked_as_the_file_says() {
        let servers = Servers::parse(CONF);
        let asked: Vec<_> = servers.in_turn().map(|server| server.to_string()).collect();
        assert_eq!(asked, ["10.0.0.2:53", "[fd00::1]:53"]);
        assert_eq!(servers.timeout, Duration::from_secs(3));
        assert_eq!(
            servers.names("x.y"),
            ["x.y.a.example", "x.y.b.example", "x.y"]
        );
        assert_eq!(
            servers.names("x.y.z"),
            ["x.y.z", "x.y.z.a.example", "x.y.z.b.example"]
        );
        assert_eq!(servers.names("x."), ["x"]);
        let none = Servers::parse("");
        assert_eq!(none.in_turn().count(), 2);
        assert_eq!(none.names("x"), ["x"]);
    }

    #[test]
    fn parsing_the_hosts_files_never_panics() {
        let strategy =
            Corpus::new([HOSTS, CONF], ["options ", "ndots:", "999", "."]).damaged_text();
        throw(100, &strategy, |text| {
            let servers = Servers::parse(&text);
            prop_assert!((1..=15).contains(&servers.in_turn().count()));
            prop_assert!(servers.names("a.b").len() <= MOST_ENDINGS + 1);
            let _ = host("hooks", &text);
            Ok(())
        });
    }
}
