//! Ban lists: files of addresses that nobody is to reach, as others publish them.

mod file;
mod header;
mod sources;

use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

use hayward_model::{domain_hash, prefix};
use hayward_yaml::Problem;
use ipnet::{IpNet, Ipv6Net};
use jiff::Timestamp;

use crate::{RulesError, load::expand};

pub use sources::parse_sources;

/// Lists at most: each is counted by itself in the kernel.
pub const MOST_BAN_LISTS: usize = 64;
/// Prefixes at most, and names, of all lists together: what the kernel has room for.
pub const MOST_BANS: usize = 262_144;
/// A file of so many bytes is no list that anybody meant.
pub const MOST_BAN_BYTES: u64 = 64 << 20;

/// The widest prefixes that a list may ban.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widest {
    /// Bits of an IPv4 prefix.
    pub v4: u8,
    /// Bits of an IPv6 prefix.
    pub v6: u8,
}

/// One list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanList {
    /// The file's path.
    pub name: String,
    /// Where it came from, as its comments say.
    pub source: Option<String>,
    /// Of when it is, as its comments say, or when the file was last written.
    pub date: Option<Timestamp>,
    /// What it bans: IPv4 addresses are those of `::ffff:0:0/96`.
    pub nets: Vec<Ipv6Net>,
    /// Names that it bans with all below them, by their [`domain_hash`].
    pub names: Vec<u64>,
}

impl BanList {
    /// The same without what it bans.
    #[must_use]
    pub fn empty(&self) -> Self {
        Self {
            name: self.name.clone(),
            source: self.source.clone(),
            date: self.date,
            nets: Vec::new(),
            names: Vec::new(),
        }
    }
}

/// What may not be reached, by prefix: the number of the list that says so. None is an exception within a wider prefix.
/// Of the prefixes that hold an address, the longest decides.
pub type Bans = BTreeMap<Ipv6Net, Option<u8>>;

/// Reads the files of these paths and globs. What is wrong in any of them is told at once.
pub fn load_bans(sources: &[String], widest: Widest) -> Result<Vec<BanList>, RulesError> {
    let mut lists: Vec<BanList> = Vec::new();
    let mut problems = Vec::new();
    for source in sources {
        let paths = expand(source).unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        });
        for path in paths {
            let name = path.display().to_string();
            if lists.iter().any(|list| list.name == name) {
                continue;
            }
            match read(&path, &name).and_then(|(bytes, written)| {
                let list = file::parse(&name, &bytes, widest)?;
                Ok(BanList {
                    date: list.date.or(written),
                    ..list
                })
            }) {
                Ok(list) => lists.push(list),
                Err(more) => problems.extend(more),
            }
        }
    }
    let too_many = |what: String, help: &str| Problem {
        file: sources.join(", "),
        line: 0,
        message: what,
        help: help.to_owned(),
    };
    if lists.len() > MOST_BAN_LISTS {
        let what = format!("{} lists, and {MOST_BAN_LISTS} are possible", lists.len());
        problems.push(too_many(what, "join some of them into one file"));
    }
    let all = lists.iter().map(|list| list.nets.len()).sum::<usize>();
    if all > MOST_BANS {
        let what = format!("{all} prefixes in all lists, and {MOST_BANS} are possible");
        problems.push(too_many(what, "leave out a list, or join prefixes"));
    }
    let all = lists.iter().map(|list| list.names.len()).sum::<usize>();
    if all > MOST_BANS {
        let what = format!("{all} names in all lists, and {MOST_BANS} are possible");
        problems.push(too_many(
            what,
            "leave out a list, or ban what names are below",
        ));
    }
    if problems.is_empty() {
        Ok(lists)
    } else {
        Err(RulesError { problems })
    }
}

/// Parses a list's bytes, as [`load_bans`] does. Never panics, whatever the bytes.
pub fn parse_bans(name: &str, bytes: &[u8], widest: Widest) -> Result<BanList, RulesError> {
    file::parse(name, bytes, widest).map_err(|problems| RulesError { problems })
}

/// What lists ban together, but for exceptions. `number` is what a list is called in the result.
pub fn bans(lists: &[BanList], exceptions: &[IpNet], number: impl Fn(&str) -> Option<u8>) -> Bans {
    let exceptions: Vec<Ipv6Net> = exceptions.iter().copied().map(prefix).collect();
    let mut bans = Bans::new();
    for list in lists {
        let Some(number) = number(&list.name) else {
            continue;
        };
        for net in &list.nets {
            if !exceptions.iter().any(|exception| exception.contains(net)) {
                // What is in two lists is the first one's.
                bans.entry(*net).or_insert(Some(number));
            }
        }
    }
    // Nobody asks for an exception from what is not banned.
    let within = |exception: &Ipv6Net| bans.keys().any(|net| net.contains(exception));
    let within: Vec<Ipv6Net> = exceptions.into_iter().filter(within).collect();
    bans.extend(within.into_iter().map(|exception| (exception, None)));
    bans
}

/// Names that may not be asked for, by their hash: the number of the list that says so, or none for an exception. Of a name and
/// those above it, the longest decides.
pub fn banned_names(
    lists: &[BanList],
    exceptions: &[String],
    number: impl Fn(&str) -> Option<u8>,
) -> BTreeMap<u64, Option<u8>> {
    let mut banned = BTreeMap::new();
    for list in lists {
        let Some(number) = number(&list.name) else {
            continue;
        };
        for name in &list.names {
            // What is in two lists is the first one's.
            banned.entry(*name).or_insert(Some(number));
        }
    }
    // Nobody asks for an exception from what is not banned.
    if !banned.is_empty() {
        banned.extend(exceptions.iter().map(|name| (domain_hash(name), None)));
    }
    banned
}

/// A file's bytes, and when it was written.
fn read(path: &Path, name: &str) -> Result<(Vec<u8>, Option<Timestamp>), Vec<Problem>> {
    let problem = |message: String, help: &str| {
        vec![Problem {
            file: name.to_owned(),
            line: 0,
            message,
            help: help.to_owned(),
        }]
    };
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| {
        let written = file.metadata()?.modified().ok();
        file.take(MOST_BAN_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(written.and_then(|written| Timestamp::try_from(written).ok()))
    });
    let written = read.map_err(|error| {
        let help = "check the path and its permissions";
        problem(format!("cannot be read: {error}"), help)
    })?;
    if bytes.len() as u64 > MOST_BAN_BYTES {
        let message = format!("is larger than {} MiB", MOST_BAN_BYTES >> 20);
        return Err(problem(message, "name a list of addresses"));
    }
    Ok((bytes, written))
}

#[cfg(test)]
mod tests;
