//! Processes and their threads, in bounded memory.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Settings,
    process::{Process, ThreadId},
    thread::Thread,
};

/// Process id, and start time of the process in nanoseconds since boot.
pub(super) type ProcessId = (u32, u64);

/// When there is no room, this part of the entries is dropped at once, so that the search for them is rare.
const PART: usize = 8;
/// A thread that was not seen for so many half-lives is no loss: what is known of it no longer weighs anything.
const HALF_LIVES: u32 = 10;

/// What is known of each process.
#[derive(Debug)]
pub(super) struct Table {
    settings: Settings,
    processes: BTreeMap<ProcessId, Process>,
    threads: usize,
    evicted: u64,
}

impl Table {
    pub(super) const fn new(settings: Settings) -> Self {
        Self {
            settings,
            processes: BTreeMap::new(),
            threads: 0,
            evicted: 0,
        }
    }

    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    #[cfg(test)]
    pub(super) const fn threads(&self) -> usize {
        self.threads
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = (&ProcessId, &Process)> {
        self.processes.iter()
    }

    pub(super) fn forget(&mut self, id: ProcessId) {
        if let Some(process) = self.processes.remove(&id) {
            self.threads -= process.threads.len();
        }
    }

    /// A process, and in it room for a thread, which the caller fills.
    pub(super) fn place(&mut self, id: ProcessId, thread: ThreadId, now_ns: u64) -> &mut Process {
        let known = self.processes.get(&id);
        let begins = known.is_none_or(|process| !process.threads.contains_key(&thread));
        if known.is_none() && self.processes.len() >= self.settings.most_processes {
            self.drop_processes(now_ns);
        }
        if begins && self.threads >= self.settings.most_threads {
            self.drop_threads(now_ns);
        }
        self.threads += usize::from(begins);
        let settings = &self.settings;
        let new = || Process::new(settings);
        self.processes.entry(id).or_insert_with(new)
    }

    /// Drops the processes with the least evidence.
    fn drop_processes(&mut self, now_ns: u64) {
        let rank = |process: &Process| (process.evidence.nats(now_ns), process.evidence.last_ns());
        let mut order: Vec<_> = self
            .processes
            .iter()
            .map(|(id, of)| (*id, rank(of)))
            .collect();
        order.sort_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (id, _) in order.into_iter().take(part(self.settings.most_processes)) {
            let dropped = self.processes.remove(&id).map(|process| process.threads);
            for thread in dropped.unwrap_or_default().values() {
                self.threads -= 1;
                self.evicted += u64::from(is_loss(thread, now_ns, &self.settings));
            }
        }
    }

    /// Drops the threads that were not seen for longest. The evidence that they gave stays with their processes.
    fn drop_threads(&mut self, now_ns: u64) {
        let all = self.processes.values().flat_map(|of| of.threads.values());
        let mut seen: Vec<u64> = all.map(|thread| thread.last_ns).collect();
        let mut excess = part(self.settings.most_threads).min(seen.len());
        let Some(last) = excess.checked_sub(1) else {
            return;
        };
        let (_, oldest, _) = seen.select_nth_unstable(last);
        let oldest = *oldest;
        for process in self.processes.values_mut() {
            process.threads.retain(|_, thread| {
                let stays = excess == 0 || thread.last_ns > oldest;
                if !stays {
                    excess -= 1;
                    self.threads -= 1;
                    self.evicted += u64::from(is_loss(thread, now_ns, &self.settings));
                }
                stays
            });
        }
    }
}

fn part(most: usize) -> usize {
    (most / PART).max(1)
}

fn is_loss(thread: &Thread, now_ns: u64, settings: &Settings) -> bool {
    let idle = Duration::from_nanos(now_ns.saturating_sub(thread.last_ns));
    idle < settings.half_life.saturating_mul(HALF_LIVES)
}
