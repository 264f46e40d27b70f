//! A table that forgets what was not asked for lately.

use std::{collections::HashMap, hash::Hash, mem};

/// The table. What is asked for moves to the younger half; where that is full, the older one is forgotten.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
    /// How many were forgotten.
    pub(crate) forgotten: u64,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            half: (most / 2).max(1),
            forgotten: 0,
        }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        if !self.young.contains_key(key) {
            let value = self.old.remove(key)?;
            self.put(key.clone(), value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        self.old.remove(&key);
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            let old = mem::replace(&mut self.old, mem::take(&mut self.young));
            self.forgotten += u64::try_from(old.len()).unwrap_or(u64::MAX);
        }
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_no_more_is_kept_than_there_is_room_for() {
        let mut recent = Recent::new(8);
        for number in 0..100 {
            recent.put(number, number);
            assert_eq!(recent.get(&0), Some(&mut 0), "after {number}");
            assert!(recent.young.len() + recent.old.len() <= 8);
        }
        let kept = (1..100).filter(|number| recent.get(number).is_some());
        assert!(kept.count() >= 3);
        assert!(recent.forgotten >= 90);
        assert_eq!(recent.remove(&0), Some(0));
        assert_eq!(recent.get(&0), None);
    }
}
