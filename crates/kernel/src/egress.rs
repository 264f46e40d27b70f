//! What the guard `egress` goes by: lists of what may be reached, and what was granted or taken for a time. Both are in
//! force without an agent.

use std::collections::{BTreeMap, BTreeSet};

use hayward_model::{Allowed, Destinations, MOST_RANGES, Range};
use ipnet::Ipv6Net;
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::{
    Cells, EgressNames, Pins,
    error::{Doing, KernelError},
};

/// Which list holds in a cgroup: 0 to 4,095. A scope's entry names it.
pub type ListNumber = u16;

/// A number that no list has: where a scope's entry names it, nothing may be reached.
pub const NO_LIST: ListNumber = 4_095;
/// In the number under which it is written what a list allows though it is banned.
pub(crate) const ALWAYS: ListNumber = 4_096;
/// `enum egress_verb`.
const NOTHING: u32 = 0;
const SOMETHING: u32 = 1;
const NEVER: u32 = 2;
/// Numbers of lists that grants name, past those that scopes can.
const OF_GRANTS: std::ops::Range<ListNumber> = 8_192..12_288;

/// What holds beside the list, until a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grant {
    /// Everything may be reached.
    Granted,
    /// Nothing may.
    Quarantined,
    /// What the list of this number allows may be reached too: one from [`Egress::add_grant_list`].
    List(ListNumber),
}

impl Grant {
    /// `enum egress_grant_kind`, and the list.
    const fn words(self) -> (u32, ListNumber) {
        match self {
            Self::Granted => (1, 0),
            Self::Quarantined => (2, 0),
            Self::List(list) => (3, list),
        }
    }

    fn of(kind: u32, list: u32) -> Option<Self> {
        match kind {
            1 => Some(Self::Granted),
            2 => Some(Self::Quarantined),
            3 => ListNumber::try_from(list).ok().map(Self::List),
            _ => None,
        }
    }
}

/// The pinned maps.
#[derive(Debug)]
pub struct Egress {
    lists: MapHandle,
    grants: MapHandle,
    names: EgressNames,
    cells: Cells,
}

impl Egress {
    /// Opens the maps that an agent has pinned, whether it still runs or not.
    pub fn open(pins: &Pins) -> Result<Self, KernelError> {
        Ok(Self {
            lists: pins.open("egress_lists")?,
            grants: pins.open("egress_grants")?,
            names: EgressNames::open(pins)?,
            cells: Cells::open(pins)?,
        })
    }

    /// Writes what a list says of a prefix.
    ///
    /// # Errors
    /// Where there is no room, or [`Allowed::Ranges`] holds none or more than eight.
    pub fn allow(
        &self,
        list: ListNumber,
        prefix: Ipv6Net,
        allowed: &Allowed,
    ) -> Result<(), KernelError> {
        let doing = || format!("write a prefix of list {list}");
        let bytes = bytes(allowed)
            .ok_or(std::io::Error::from(std::io::ErrorKind::InvalidInput))
            .doing(doing)?;
        self.lists
            .update(&key(list, prefix), &bytes, MapFlags::ANY)
            .doing(doing)?;
        self.cells.egress_changed()
    }

    /// The same of what may be reached though it is banned, beside what the list says itself.
    pub fn allow_always(
        &self,
        list: ListNumber,
        prefix: Ipv6Net,
        allowed: &Allowed,
    ) -> Result<(), KernelError> {
        self.allow(list | ALWAYS, prefix, allowed)
    }

    /// Numbers of scopes' lists that something is written under.
    pub fn lists(&self) -> Result<BTreeSet<ListNumber>, KernelError> {
        let numbers = self.lists.keys().filter_map(|key| number(&key));
        Ok(numbers.filter(|list| !OF_GRANTS.contains(list)).collect())
    }

    /// Removes all that scopes' lists of such numbers say, by addresses and by names.
    pub fn clear(&self, is_old: impl Fn(ListNumber) -> bool) -> Result<(), KernelError> {
        self.remove(|number| !OF_GRANTS.contains(&number) && is_old(number))
    }

    /// Writes a list that a grant is to name, and says its number. Lists that no grant names any more make room before: from
    /// here until the grant is written, nobody else may ask for one, or call [`Egress::forget_grant_lists`].
    pub fn add_grant_list(&self, granted: &Destinations) -> Result<ListNumber, KernelError> {
        self.forget_grant_lists()?;
        self.names.refuse_too_many(&granted.names)?;
        let used = self.granted_lists();
        let free = OF_GRANTS.into_iter().find(|number| !used.contains(number));
        let number = free
            .ok_or(std::io::Error::from(std::io::ErrorKind::StorageFull))
            .doing(|| "find a number for the list of a grant".to_owned())?;
        for (prefix, allowed) in &granted.list {
            self.allow(number, *prefix, allowed)?;
        }
        self.names.allow([(number, &granted.names)])?;
        Ok(number)
    }

    /// What the lists of grants say.
    pub fn grant_lists(&self) -> BTreeMap<ListNumber, Destinations> {
        let mut lists: BTreeMap<ListNumber, Destinations> = BTreeMap::new();
        for key in self.lists.keys() {
            let Some(number) = number(&key).filter(|number| OF_GRANTS.contains(number)) else {
                continue;
            };
            let value = self.lists.lookup(&key, MapFlags::ANY).ok().flatten();
            let allowed = value.and_then(|value| allowed(&value));
            if let Some((prefix, allowed)) = prefix_of(&key).zip(allowed) {
                lists
                    .entry(number)
                    .or_default()
                    .list
                    .insert(prefix, allowed);
            }
        }
        for (number, pattern, allowed) in self.names.allowed(|number| OF_GRANTS.contains(&number)) {
            lists
                .entry(number)
                .or_default()
                .names
                .insert(pattern, allowed);
        }
        lists
    }

    /// Removes the lists of grants that have run out, or are there no more.
    pub fn forget_grant_lists(&self) -> Result<(), KernelError> {
        let used = self.granted_lists();
        self.remove(|number| OF_GRANTS.contains(&number) && !used.contains(&number))
    }

    fn granted_lists(&self) -> BTreeSet<ListNumber> {
        let now = crate::boot_ns();
        let grants = self.grants().filter(|(_, _, until)| *until > now);
        let lists = grants.filter_map(|(_, grant, _)| match grant {
            Grant::List(list) => Some(list),
            Grant::Granted | Grant::Quarantined => None,
        });
        lists.collect()
    }

    fn remove(&self, is_old: impl Fn(ListNumber) -> bool) -> Result<(), KernelError> {
        self.names.clear(&is_old)?;
        let keys: Vec<Vec<u8>> = self.lists.keys().collect();
        for key in keys {
            if let Some(number) = number(&key).filter(|number| is_old(*number)) {
                let deleted = self.lists.delete(&key);
                deleted.doing(|| format!("remove list {number}"))?;
            }
        }
        self.cells.egress_changed()
    }

    /// Grants everything to a cgroup, or takes everything from it, until a time (CLOCK_BOOTTIME in ns). What is made below
    /// it from then on comes with it; what is there already does not.
    pub fn grant(&self, cgroup: u64, grant: Grant, until: u64) -> Result<(), KernelError> {
        let mut bytes = until.to_ne_bytes().to_vec();
        let (kind, list) = grant.words();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(u32::from(list).to_ne_bytes());
        self.grants
            .update(&cgroup.to_ne_bytes(), &bytes, MapFlags::ANY)
            .doing(|| format!("write the grant of the cgroup {cgroup}"))?;
        self.cells.egress_changed()
    }

    /// Has the list alone hold again.
    pub fn revoke(&self, cgroup: u64) -> Result<(), KernelError> {
        if self.granted(cgroup)?.is_none() {
            return Ok(());
        }
        self.grants
            .delete(&cgroup.to_ne_bytes())
            .doing(|| format!("remove the grant of the cgroup {cgroup}"))?;
        self.cells.egress_changed()
    }

    /// Each cgroup with a grant, also with one that has run out.
    pub fn grants(&self) -> impl Iterator<Item = (u64, Grant, u64)> {
        self.grants.keys().filter_map(|key| {
            let cgroup = u64::from_ne_bytes(key.try_into().ok()?);
            // One that has gone meanwhile has none.
            let (grant, until) = self.granted(cgroup).ok()??;
            Some((cgroup, grant, until))
        })
    }

    /// What was granted to a cgroup or taken from it, and until when (CLOCK_BOOTTIME in ns), also where it has run out.
    pub fn granted(&self, cgroup: u64) -> Result<Option<(Grant, u64)>, KernelError> {
        let value = self
            .grants
            .lookup(&cgroup.to_ne_bytes(), MapFlags::ANY)
            .doing(|| format!("read the grant of the cgroup {cgroup}"))?;
        Ok(value.and_then(|bytes| {
            let until = u64::from_ne_bytes(bytes.get(..8)?.try_into().ok()?);
            let kind = u32::from_ne_bytes(bytes.get(8..12)?.try_into().ok()?);
            let list = u32::from_ne_bytes(bytes.get(12..16)?.try_into().ok()?);
            Some((Grant::of(kind, list)?, until))
        }))
    }
}

/// The list of a `struct egress_key`.
fn number(key: &[u8]) -> Option<ListNumber> {
    let bytes = key.get(4..8)?.try_into().ok()?;
    let number = ListNumber::try_from(u32::from_be_bytes(bytes)).ok()?;
    Some(number & !ALWAYS)
}

/// `struct egress_key`.
fn key(list: ListNumber, prefix: Ipv6Net) -> Vec<u8> {
    let mut bytes = (32 + u32::from(prefix.prefix_len())).to_ne_bytes().to_vec();
    bytes.extend(u32::from(list).to_be_bytes());
    bytes.extend(prefix.addr().octets());
    bytes
}

/// The prefix of a `struct egress_key`.
fn prefix_of(key: &[u8]) -> Option<Ipv6Net> {
    let bits = u32::from_ne_bytes(key.get(..4)?.try_into().ok()?);
    let address: [u8; 16] = key.get(8..24)?.try_into().ok()?;
    Ipv6Net::new(address.into(), u8::try_from(bits.checked_sub(32)?).ok()?).ok()
}

/// What a `struct egress_allowed` says.
pub(crate) fn allowed(bytes: &[u8]) -> Option<Allowed> {
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let half = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    match word(0)? {
        NOTHING => return Some(Allowed::Nothing),
        NEVER => return Some(Allowed::Never),
        _ => {}
    }
    let count = usize::try_from(word(4)?).ok()?.min(MOST_RANGES);
    let ranges = (0..count).map(|number| {
        let at = 8 + 8 * number;
        let protocol = u8::try_from(word(at + 4)?).ok()?;
        Some(Range {
            ports: (half(at)?, half(at + 2)?),
            protocol: Some(protocol).filter(|protocol| *protocol != 0),
        })
    });
    let ranges: Vec<Range> = ranges.collect::<Option<_>>()?;
    Some(if ranges.is_empty() {
        Allowed::All
    } else {
        Allowed::Ranges(ranges)
    })
}

/// `struct egress_allowed`. None where it holds no range or too many.
pub(crate) fn bytes(allowed: &Allowed) -> Option<Vec<u8>> {
    let ranges: &[Range] = match allowed {
        Allowed::Ranges(ranges) if ranges.is_empty() || ranges.len() > MOST_RANGES => return None,
        Allowed::Ranges(ranges) => ranges,
        Allowed::All | Allowed::Nothing | Allowed::Never => &[],
    };
    let verb = match allowed {
        Allowed::Nothing => NOTHING,
        Allowed::Never => NEVER,
        Allowed::All | Allowed::Ranges(_) => SOMETHING,
    };
    let mut bytes = verb.to_ne_bytes().to_vec();
    bytes.extend(u32::try_from(ranges.len()).unwrap_or(0).to_ne_bytes());
    for range in ranges {
        bytes.extend(range.ports.0.to_ne_bytes());
        bytes.extend(range.ports.1.to_ne_bytes());
        bytes.extend(u32::from(range.protocol.unwrap_or(0)).to_ne_bytes());
    }
    bytes.resize(8 + 8 * MOST_RANGES, 0);
    Some(bytes)
}
