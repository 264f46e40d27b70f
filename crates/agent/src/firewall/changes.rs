//! What changes of the bans that are obeyed, for the thread that tells the firewall: nobody waits for it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::Thread,
    time::{Duration, Instant},
};

use hayward_kernel::{KernelBan, KernelError};
use hayward_model::BanStrength;
use ipnet::IpNet;

use crate::ledger::BanMap;

/// So many changes wait. With one more, all bans are looked at anew instead.
const MOST_WAITING: usize = 4096;

/// A ban, as a firewall has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Obeyed {
    /// None for ever.
    pub(crate) until: Option<Instant>,
    pub(crate) strength: BanStrength,
}

impl Obeyed {
    pub(crate) fn new(time: Option<Duration>, strength: BanStrength) -> Self {
        let until = time.and_then(|time| Instant::now().checked_add(time));
        Self { until, strength }
    }
}

/// What waits: the last change of each source; none where it is banned no more.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) changes: BTreeMap<IpNet, Option<Obeyed>>,
    /// There were too many: all bans are to be looked at.
    pub(crate) anew: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Waiting,
    /// Who is woken.
    thread: Option<Thread>,
}

/// Changes that wait to be told.
#[derive(Debug, Default, Clone)]
pub(crate) struct Changes(Arc<Mutex<Shared>>);

impl Changes {
    pub(crate) fn wake(&self, thread: Thread) {
        self.lock().thread = Some(thread);
    }

    pub(crate) fn take(&self) -> Waiting {
        std::mem::take(&mut self.lock().waiting)
    }

    fn push(&self, net: IpNet, change: Option<Obeyed>) {
        let mut shared = self.lock();
        let waiting = &mut shared.waiting;
        if !waiting.anew {
            waiting.changes.insert(net, change);
            if waiting.changes.len() > MOST_WAITING {
                waiting.changes.clear();
                waiting.anew = true;
            }
        }
        if let Some(thread) = &shared.thread {
            thread.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A map of bans whose changes are noted.
#[derive(Debug)]
pub(crate) struct Followed<M> {
    pub(crate) map: M,
    pub(crate) changes: Changes,
}

impl<M: BanMap> BanMap for Followed<M> {
    fn put(
        &mut self,
        net: IpNet,
        time: Option<Duration>,
        strength: BanStrength,
    ) -> Result<(), KernelError> {
        self.map.put(net, time, strength)?;
        self.changes.push(net, Some(Obeyed::new(time, strength)));
        Ok(())
    }

    fn remove(&mut self, net: IpNet) -> Result<bool, KernelError> {
        let removed = self.map.remove(net)?;
        self.changes.push(net, None);
        Ok(removed)
    }

    fn get(&self, net: IpNet) -> Result<Option<KernelBan>, KernelError> {
        self.map.get(net)
    }

    fn all(&self) -> Vec<KernelBan> {
        self.map.all()
    }

    fn noticed(&mut self, net: IpNet, time: Duration, strength: BanStrength) {
        self.changes
            .push(net, Some(Obeyed::new(Some(time), strength)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::fake::FakeMap;

    #[test]
    fn the_last_change_of_each_source_is_told() {
        let changes = Changes::default();
        let mut map = Followed {
            map: FakeMap::default(),
            changes: changes.clone(),
        };
        let net: IpNet = "192.0.2.7/32".parse().expect("a prefix");
        map.put(net, None, BanStrength::Full).expect("room");
        let waiting = changes.take();
        assert_eq!(waiting.changes[&net].map(|it| it.until), Some(None));
        map.put(net, None, BanStrength::Full).expect("room");
        map.remove(net).expect("it is there");
        assert_eq!(changes.take().changes[&net], None);
        assert!(changes.take().changes.is_empty());
    }

    #[test]
    fn too_many_changes_are_not_lost_but_all_is_looked_at_anew() {
        let changes = Changes::default();
        for number in 0..=u32::try_from(MOST_WAITING).expect("few") {
            let net = IpNet::V4(std::net::Ipv4Addr::from_bits(number).into());
            changes.push(net, None);
        }
        let waiting = changes.take();
        assert!(waiting.anew && waiting.changes.is_empty());
        assert!(!changes.take().anew);
    }
}
