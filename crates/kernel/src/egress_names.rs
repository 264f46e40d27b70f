//! Names that lists allow or ban, whose answers are believed, and addresses that became known by a name.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
};

use hayward_model::{Allowed, NamedList, domain_hash, prefix};
use ipnet::IpNet;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{
    Cell, Cells, ListNumber, Pins, boot_ns,
    egress::{self, ALWAYS},
    error::{Doing, KernelError},
};

/// `EGRESS_NAME` and `EGRESS_PATTERNS` of `bpf/egress_layout.h`.
const NAME_BYTES: usize = 256;
const PATTERNS: usize = 4;

/// The pinned maps.
#[derive(Debug)]
pub struct EgressNames {
    names: MapHandle,
    named: MapHandle,
    banned: MapHandle,
    resolvers: MapHandle,
    learnt: MapHandle,
    cells: Cells,
}

impl EgressNames {
    /// Opens the maps that an agent has pinned, whether it still runs or not.
    pub fn open(pins: &Pins) -> Result<Self, KernelError> {
        Ok(Self {
            names: pins.open("egress_names")?,
            named: pins.open("egress_named")?,
            banned: pins.open("egress_banned_names")?,
            resolvers: pins.open("egress_resolvers")?,
            learnt: pins.open("egress_learnt")?,
            cells: Cells::open(pins)?,
        })
    }

    /// Says what lists allow by names, beside what other lists do.
    ///
    /// # Errors
    /// Where there is no room, or [`hayward_model::Allowed::Ranges`] holds none or more than eight.
    pub fn allow<'a>(
        &self,
        lists: impl IntoIterator<Item = (ListNumber, &'a NamedList)>,
    ) -> Result<(), KernelError> {
        let mut patterns = self.patterns();
        for (list, named) in lists {
            for (pattern, allowed) in named {
                let bytes = egress::bytes(allowed)
                    .ok_or(io::Error::from(io::ErrorKind::InvalidInput))
                    .doing(|| format!("allow {pattern}"))?;
                self.named
                    .update(&named_key(list, pattern), &bytes, MapFlags::ANY)
                    .doing(|| format!("allow {pattern}"))?;
                patterns.insert(pattern.clone());
            }
        }
        self.link(&patterns)?;
        self.changed()
    }

    /// The same of what may be reached though it is banned.
    pub fn allow_always<'a>(
        &self,
        lists: impl IntoIterator<Item = (ListNumber, &'a NamedList)>,
    ) -> Result<(), KernelError> {
        let lists = lists.into_iter();
        self.allow(lists.map(|(list, named)| (list | ALWAYS, named)))
    }

    /// Refuses names with which some name falls under more than the kernel tells apart: it would lose the widest.
    pub(crate) fn refuse_too_many(&self, named: &NamedList) -> Result<(), KernelError> {
        let mut patterns = self.patterns();
        patterns.extend(named.keys().cloned());
        for pattern in &patterns {
            let wider = wider(pattern)
                .filter(|wide| patterns.contains(wide))
                .count();
            if wider > PATTERNS {
                return Err(KernelError::TooManyNames {
                    pattern: pattern.clone(),
                    wider,
                    most: PATTERNS,
                });
            }
        }
        Ok(())
    }

    /// What such lists allow, with the number of each.
    pub(crate) fn allowed(
        &self,
        is_wanted: impl Fn(ListNumber) -> bool,
    ) -> impl Iterator<Item = (ListNumber, String, Allowed)> {
        let patterns = self.patterns().into_iter();
        let patterns: BTreeMap<u64, String> = patterns.map(|it| (domain_hash(&it), it)).collect();
        self.named.keys().filter_map(move |key| {
            let (hash, list) = pattern_and_list(&key).filter(|(_, list)| is_wanted(*list))?;
            let value = self.named.lookup(&key, MapFlags::ANY).ok()??;
            Some((list, patterns.get(&hash)?.clone(), egress::allowed(&value)?))
        })
    }

    fn patterns(&self) -> BTreeSet<String> {
        self.names.keys().filter_map(|key| text(&key)).collect()
    }

    /// Removes what lists of such numbers say, and patterns that are in no list any more.
    pub fn clear(&self, is_old: impl Fn(ListNumber) -> bool) -> Result<(), KernelError> {
        let mut used = BTreeSet::new();
        for key in self.named.keys().collect::<Vec<_>>() {
            let Some((pattern, list)) = pattern_and_list(&key) else {
                continue;
            };
            if is_old(list & !ALWAYS) {
                let deleted = self.named.delete(&key);
                deleted.doing(|| format!("remove the names of list {list}"))?;
            } else {
                used.insert(pattern);
            }
        }
        let (left, gone): (BTreeSet<String>, BTreeSet<String>) = self
            .patterns()
            .into_iter()
            .partition(|pattern| used.contains(&domain_hash(pattern)));
        for key in gone.iter().filter_map(|pattern| name_key(pattern)) {
            let deleted = self.names.delete(&key);
            deleted.doing(|| "remove a name".to_owned())?;
        }
        self.link(&left)?;
        self.changed()
    }

    /// Has these names be banned, with all below them, and no others: by hash the number of the list that bans it, or none
    /// for an exception. What is in both is there all the while.
    pub fn ban(&self, wanted: &BTreeMap<u64, Option<u8>>) -> Result<(), KernelError> {
        let key = |bytes: &[u8]| Some(u64::from_ne_bytes(bytes.try_into().ok()?));
        for old in self.banned.keys().collect::<Vec<_>>() {
            if !key(&old).is_some_and(|hash| wanted.contains_key(&hash)) {
                let deleted = self.banned.delete(&old);
                deleted.doing(|| "remove a banned name".to_owned())?;
            }
        }
        for (hash, list) in wanted {
            let number = list.map_or(0, |list| u32::from(list) + 1);
            self.banned
                .update(&hash.to_ne_bytes(), &number.to_ne_bytes(), MapFlags::ANY)
                .doing(|| "ban a name".to_owned())?;
        }
        self.changed()
    }

    /// Has the answers of these name servers be believed, and of no others.
    pub fn set_resolvers(&self, resolvers: &[IpAddr]) -> Result<(), KernelError> {
        let wanted: BTreeSet<Vec<u8>> = resolvers
            .iter()
            .map(|address| prefix(IpNet::from(*address)).addr().octets().to_vec())
            .collect();
        for old in self.resolvers.keys().collect::<Vec<_>>() {
            if !wanted.contains(&old) {
                let deleted = self.resolvers.delete(&old);
                deleted.doing(|| "remove a name server".to_owned())?;
            }
        }
        for key in wanted {
            self.resolvers
                .update(&key, &1u32.to_ne_bytes(), MapFlags::ANY)
                .doing(|| "enter a name server".to_owned())?;
        }
        Ok(())
    }

    /// Removes addresses that are not known by any name any more.
    pub fn forget_learnt(&self) -> Result<(), KernelError> {
        let now = boot_ns();
        for key in self.learnt.keys().collect::<Vec<_>>() {
            let known = self.learnt.lookup(&key, MapFlags::ANY);
            let known = known.doing(|| "read what was learnt".to_owned())?;
            // Behind as many patterns stands until when each holds.
            let is_over = known.is_none_or(|known| {
                let (_, until) = known.split_at(known.len() / 2);
                let words = until
                    .chunks_exact(8)
                    .map(|word| word.try_into().map_or(0, u64::from_ne_bytes));
                words.max().unwrap_or(0) < now
            });
            if is_over {
                // The kernel may have learnt it anew just now. Then it is asked for once more.
                let _ = self.learnt.delete(&key);
            }
        }
        Ok(())
    }

    /// Writes the patterns that are not there already, or fall under others than before. A name finds the longest that it falls
    /// under, which says under what others it does.
    fn link(&self, patterns: &BTreeSet<String>) -> Result<(), KernelError> {
        for pattern in patterns {
            let mut bytes: Vec<u8> = wider(pattern)
                .filter(|wide| patterns.contains(wide))
                .take(PATTERNS)
                .flat_map(|wide| domain_hash(&wide).to_ne_bytes())
                .collect();
            bytes.resize(8 * PATTERNS, 0);
            let doing = || format!("allow {pattern}");
            let key = name_key(pattern)
                .ok_or(io::Error::from(io::ErrorKind::InvalidInput))
                .doing(doing)?;
            // Of one that is not there, a wider one may be found, which does not begin with this one's number.
            let before = self.names.lookup(&key, MapFlags::ANY).doing(doing)?;
            if before.as_ref() != Some(&bytes) {
                self.names
                    .update(&key, &bytes, MapFlags::ANY)
                    .doing(doing)?;
            }
        }
        Ok(())
    }

    /// Questions and answers are looked at where there is anything to look for.
    fn changed(&self) -> Result<(), KernelError> {
        let any = self.names.keys().next().is_some() || self.banned.keys().next().is_some();
        self.cells.set(Cell::EgressNames, u64::from(any))?;
        self.cells.egress_changed()
    }
}

/// All that covers a pattern, itself first, and then the narrowest.
fn wider(pattern: &str) -> impl Iterator<Item = String> {
    let name = pattern.strip_prefix("*.").unwrap_or(pattern);
    let ends = name.match_indices('.').map(|(at, _)| &name[at..]);
    let above = ends.map(|end| format!("*{end}"));
    std::iter::once(pattern.to_owned()).chain(above)
}

/// `struct egress_name_key`: backwards, a zero behind a name and a dot behind what all below a name begin with.
fn name_key(pattern: &str) -> Option<Vec<u8>> {
    let (name, end) = match pattern.strip_prefix("*.") {
        Some(name) => (name, b'.'),
        None => (pattern, 0),
    };
    let mut turned: Vec<u8> = name.bytes().rev().chain([end]).collect();
    let bits = u32::try_from(8 * turned.len()).ok()?;
    if turned.len() >= NAME_BYTES {
        return None;
    }
    turned.resize(NAME_BYTES, 0);
    Some([bits.to_ne_bytes().as_slice(), &turned].concat())
}

/// The pattern of such a key.
fn text(key: &[u8]) -> Option<String> {
    let bits = u32::from_ne_bytes(key.get(..4)?.try_into().ok()?);
    let turned = key.get(4..4 + usize::try_from(bits).ok()? / 8)?;
    let (end, name) = turned.split_last()?;
    let name: Vec<u8> = name.iter().rev().copied().collect();
    let name = String::from_utf8(name).ok()?;
    Some(if *end == 0 { name } else { format!("*.{name}") })
}

/// `struct egress_named_key`.
fn named_key(list: ListNumber, pattern: &str) -> Vec<u8> {
    let words = [domain_hash(pattern), u64::from(list)];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn pattern_and_list(key: &[u8]) -> Option<(u64, ListNumber)> {
    let word = |at: usize| Some(u64::from_ne_bytes(key.get(at..at + 8)?.try_into().ok()?));
    Some((word(0)?, ListNumber::try_from(word(8)?).ok()?))
}

#[cfg(test)]
mod tests {
    use hayward_model::covers;

    use super::*;

    #[test]
    fn what_is_wider_covers_a_pattern() {
        let found: Vec<String> = wider("*.b.example.org").collect();
        assert_eq!(found, ["*.b.example.org", "*.example.org", "*.org"]);
        for pattern in ["a.b.example.org", "*.b.example.org"] {
            for wide in wider(pattern) {
                assert!(covers(&wide, pattern), "{wide} {pattern}");
            }
        }
    }

    #[test]
    fn what_the_map_has_for_a_pattern_says_which_it_is() {
        for pattern in [
            "example.org",
            "*.example.org",
            &format!("{}a", "a.".repeat(126)),
        ] {
            let key = name_key(pattern).expect(pattern);
            assert_eq!(key.len(), 4 + NAME_BYTES);
            assert_eq!(text(&key).as_deref(), Some(pattern));
        }
        assert_eq!(name_key(&"a".repeat(256)), None);
    }
}
