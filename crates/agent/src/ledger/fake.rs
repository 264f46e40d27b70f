//! What stands for the kernel's maps in tests.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use hayward_kernel::{KernelBan, KernelError};
use hayward_model::BanStrength;
use ipnet::IpNet;

use super::map::{BanMap, NeverMap};

/// What a map holds of a ban.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) until: Option<Instant>,
    pub(crate) strength: BanStrength,
    pub(crate) by_kernel: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Maps {
    pub(crate) bans: BTreeMap<IpNet, Entry>,
    pub(crate) never: BTreeSet<IpNet>,
    /// Refuses more than so many, as where there are too many lengths.
    pub(crate) most: Option<usize>,
}

/// Maps that a test looks into while the ledger has them.
#[derive(Debug, Default, Clone)]
pub(crate) struct FakeMap(Arc<Mutex<Maps>>);

impl FakeMap {
    pub(crate) fn maps(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().expect("no test has panicked")
    }

    /// Bans as the kernel does by itself.
    pub(crate) fn ban_by_kernel(&self, net: &str, time: Duration, strength: BanStrength) {
        let entry = Entry {
            until: Some(Instant::now() + time),
            strength,
            by_kernel: true,
        };
        let net = net.parse().expect("a prefix");
        self.maps().bans.insert(net, entry);
    }

    pub(crate) fn nets(&self) -> Vec<String> {
        self.maps().bans.keys().map(ToString::to_string).collect()
    }

    /// For how long a source is still banned.
    pub(crate) fn left(&self, net: &str) -> Option<Duration> {
        let maps = self.maps();
        let entry = maps.bans.get(&net.parse().expect("a prefix"))?;
        Some(entry.until?.saturating_duration_since(Instant::now()))
    }
}

fn ban(net: IpNet, entry: &Entry) -> KernelBan {
    KernelBan {
        net,
        remaining: entry
            .until
            .map(|until| until.saturating_duration_since(Instant::now())),
        strength: entry.strength,
        by_kernel: entry.by_kernel,
        dropped: 7,
    }
}

impl BanMap for FakeMap {
    fn put(
        &mut self,
        net: IpNet,
        time: Option<Duration>,
        strength: BanStrength,
    ) -> Result<(), KernelError> {
        let mut maps = self.maps();
        if let Some(most) = maps.most
            && maps.bans.len() >= most
            && !maps.bans.contains_key(&net)
        {
            return Err(KernelError::TooManyLengths { most });
        }
        let until = time.and_then(|time| Instant::now().checked_add(time));
        let entry = Entry {
            until,
            strength,
            by_kernel: false,
        };
        maps.bans.insert(net, entry);
        Ok(())
    }

    fn remove(&mut self, net: IpNet) -> Result<bool, KernelError> {
        Ok(self.maps().bans.remove(&net).is_some())
    }

    fn get(&self, net: IpNet) -> Result<Option<KernelBan>, KernelError> {
        Ok(self.maps().bans.get(&net).map(|entry| ban(net, entry)))
    }

    fn all(&self) -> Vec<KernelBan> {
        let maps = self.maps();
        let bans = maps.bans.iter();
        bans.map(|(net, entry)| ban(*net, entry)).collect()
    }
}

impl NeverMap for FakeMap {
    fn set(&self, nets: &BTreeSet<IpNet>) -> Result<(), KernelError> {
        self.maps().never.clone_from(nets);
        Ok(())
    }
}
