//! The rule that cryptnono goes by, in its detector of Monero miners.

use std::collections::HashMap;

use hayward_model::RoundingEvent;

/// More of these, and the process is killed.
const MOST: u32 = 64;

/// How often each process was seen in another mode than to nearest. It never forgets.
#[derive(Debug, Default)]
pub(crate) struct Rule(HashMap<u32, u32>);

impl Rule {
    /// Takes what was seen of a thread; says when its process was seen once too often, in ns since boot.
    pub(crate) fn take(&mut self, event: &RoundingEvent) -> Option<u64> {
        let seen = self.0.entry(event.pid).or_default();
        let mut decided = None;
        for sample in event.samples.iter().filter(|sample| sample.mode != 0) {
            *seen += 1;
            if *seen > MOST {
                decided = decided.or(Some(sample.boot_ns));
            }
        }
        decided
    }
}

#[cfg(test)]
mod tests {
    use hayward_model::RoundingSample;

    use super::*;

    #[test]
    fn the_sixty_fifth_sample_that_is_not_to_nearest_decides() {
        let sample = |boot_ns, mode| RoundingSample {
            boot_ns,
            ran_ns: boot_ns,
            mode,
            flush: false,
        };
        let event = |pid, samples| RoundingEvent {
            thread: pid,
            thread_start_boot_ns: 0,
            pid,
            parent_pid: 1,
            start_boot_ns: 0,
            uid: 0,
            cgroup_id: 1,
            comm: String::new(),
            samples,
        };
        let mut rule = Rule::default();
        for boot_ns in 0..64 {
            let samples = vec![sample(boot_ns, 1), sample(boot_ns, 0)];
            assert_eq!(rule.take(&event(7, samples)), None);
        }
        assert_eq!(rule.take(&event(8, vec![sample(100, 2)])), None);
        let samples = vec![sample(200, 0), sample(201, 3), sample(202, 3)];
        assert_eq!(rule.take(&event(7, samples)), Some(201));
    }
}
