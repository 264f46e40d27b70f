//! A list of addresses alone, with the line of each: what is read to be banned once, by hand.

use hayward_model::canonical;
use hayward_yaml::Problem;
use ipnet::IpNet;

use super::{
    Widest,
    file::{Line, apart, of},
};

/// However wide they are: who may not be banned is known elsewhere.
const ANY: Widest = Widest { v4: 0, v6: 0 };

/// Reads a list of addresses and prefixes as [`super::parse_bans`] does, of which every line stands by itself: what is in those that
/// are right, with their numbers, and what is wrong with the others. Names are wrong here. Never panics, whatever the bytes.
pub fn parse_sources(name: &str, bytes: &[u8]) -> (Vec<(usize, IpNet)>, Vec<Problem>) {
    let mut sources = Vec::new();
    let mut problems = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let number = number + 1;
        let line = String::from_utf8_lossy(line);
        let entry = apart(&line).0.trim();
        let (message, help) = match of(entry, ANY) {
            Ok(Line::Nothing) => continue,
            Ok(Line::Net(net)) => {
                sources.push((number, canonical(net)));
                continue;
            }
            Ok(Line::Names(_)) => (
                format!("`{entry}` is a name, and only addresses are banned"),
                "write the addresses that it has, or remove it",
            ),
            Err((message, help)) => (message, help),
        };
        problems.push(Problem {
            file: name.to_owned(),
            line: number,
            message,
            help: help.to_owned(),
        });
    }
    (sources, problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayward_fuzz::{Corpus, throw};

    #[test]
    fn addresses_keep_their_lines_and_every_bad_line_is_told() {
        let text = "# a list\r\n192.0.2.7\r\n\n198.51.100.0/24 ; SBL1 # x\n::ffff:192.0.2.8\n\
                    192.0.2.0/8\nminers.example\n2001:db8::/32\n192.0.2.9 192.0.2.10\n::ffff:192.0.2.0/120";
        let (sources, problems) = parse_sources("list", text.as_bytes());
        let sources: Vec<String> = sources
            .iter()
            .map(|(at, net)| format!("{at} {net}"))
            .collect();
        assert_eq!(
            sources,
            [
                "2 192.0.2.7/32",
                "4 198.51.100.0/24",
                "5 192.0.2.8/32",
                "8 2001:db8::/32",
                "10 192.0.2.0/24"
            ]
        );
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 3, "{told:?}");
        for (told, expected) in told.iter().zip(["list:6", "list:7", "list:9"]) {
            assert!(told.contains(expected), "{told}");
        }
        assert!(told[0].contains("write 192.0.0.0/8"), "{}", told[0]);
        assert!(told[1].contains("only addresses"), "{}", told[1]);
    }

    #[test]
    fn parsing_damaged_lists_of_sources_never_panics() {
        let corpus = Corpus::new(
            ["192.0.2.7\n2001:db8::/32 # a\n"],
            ["/", "::", "\r", "0.0.0.0 "],
        );
        throw(300, &corpus.damaged(), |input| {
            let _ = parse_sources("list", &input.0);
            Ok(())
        });
    }
}
