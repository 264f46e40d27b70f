//! What is kept of containers and pods, and for how long.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use hayward_model::Runtime;

use super::{
    Named, Owner, Pod,
    strings::{Labels, Strings},
};

/// Containers of the host, and pods.
const MOST: usize = 16_384;
/// Containers of one user, whose runtime may say what it likes.
const MOST_OF_A_USER: usize = 128;
/// Users with containers.
const MOST_USERS: usize = 64;
/// How long an ended container is kept.
const KEPT: Duration = Duration::from_secs(600);
/// Bytes of an id. Runtimes make them of 64.
const LONGEST_ID: usize = 128;

/// A container.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) image: Arc<str>,
    pub(super) labels: Labels,
    pub(super) pod: Option<Arc<KeptPod>>,
    pub(super) runtime: Option<Runtime>,
    source: u32,
    /// When it was first told of, since it last began to run.
    since: Instant,
    ended: Option<Instant>,
}

/// A pod.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct KeptPod {
    pub(super) uid: Arc<str>,
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) labels: Labels,
}

/// All that is known.
#[derive(Debug, Default)]
pub(super) struct Store {
    owners: HashMap<Owner, Containers>,
    pods: HashMap<Arc<str>, Arc<KeptPod>>,
    strings: Strings,
}

impl Store {
    /// A container: the host's, or one of the user in whose slice it is.
    pub(super) fn container(&self, id: &str, uid: Option<u32>) -> Option<&Entry> {
        let of = |owner| self.owners.get(&owner)?.entries.get(id);
        of(Owner::Host).or_else(|| of(Owner::User(uid?)))
    }

    pub(super) fn pod(&self, uid: &str) -> Option<&KeptPod> {
        self.pods.get(uid).map(Arc::as_ref)
    }

    pub(super) fn knows(&self, id: &str) -> bool {
        self.owners
            .values()
            .any(|containers| containers.entries.contains_key(id))
    }

    /// Ids of the host's containers that were told of so long ago and have not ended.
    pub(super) fn running(&self, age: Duration, now: Instant) -> HashSet<String> {
        let host = self.owners.get(&Owner::Host);
        let entries = host.into_iter().flat_map(|containers| &containers.entries);
        let running = entries.filter(|(_, entry)| {
            entry.ended.is_none() && now.saturating_duration_since(entry.since) >= age
        });
        running.map(|(id, _)| id.to_string()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.owners
            .values()
            .map(|containers| containers.entries.len())
            .sum()
    }

    pub(super) fn learn(&mut self, source: u32, owner: Owner, named: &Named, now: Instant) {
        if named.id.is_empty() || named.id.len() > LONGEST_ID {
            return;
        }
        self.owners.retain(|_, containers| {
            containers.expire(now);
            !containers.entries.is_empty()
        });
        let is_new = !self.owners.contains_key(&owner);
        if is_new && owner != Owner::Host && self.owners.len() > MOST_USERS {
            return;
        }
        // Pods are what root's runtimes say: a user's could claim to be in any.
        let pod = match (owner, &named.pod) {
            (Owner::Host, Some(pod)) => self.learn_pod(pod),
            _ => None,
        };
        let Self {
            owners, strings, ..
        } = self;
        let containers = owners
            .entry(owner)
            .or_insert_with(|| Containers::holding(owner));
        if let Some(known) = containers.entries.get(named.id.as_str())
            && known.pod.is_some()
            && pod.is_none()
        {
            // A runtime below the one that made the pod, such as Docker below cri-dockerd, knows less of it.
            return;
        }
        if !containers.make_room_for(&named.id) {
            return;
        }
        let known = containers.entries.get(named.id.as_str());
        let since = known.filter(|known| known.ended.is_none());
        let since = since.map_or(now, |known| known.since);
        let entry = Entry {
            name: strings.share(&named.name),
            image: strings.share(&named.image),
            labels: strings.share_labels(&named.labels),
            pod,
            runtime: named.runtime,
            source,
            since,
            ended: None,
        };
        containers.entries.insert(named.id.as_str().into(), entry);
        if !named.running {
            containers.end(&named.id, now);
        }
    }

    /// The pod as it is kept. None where it cannot be kept.
    pub(super) fn learn_pod(&mut self, pod: &Pod) -> Option<Arc<KeptPod>> {
        if pod.uid.is_empty() || pod.uid.len() > LONGEST_ID {
            return None;
        }
        let new = KeptPod {
            uid: self.strings.share(&pod.uid),
            namespace: self.strings.share(&pod.namespace),
            name: self.strings.share(&pod.name),
            labels: self.strings.share_labels(&pod.labels),
        };
        match self.pods.get(&new.uid) {
            Some(known) if **known == new => return Some(Arc::clone(known)),
            None if self.pods.len() >= MOST => return None,
            _ => {}
        }
        let new = Arc::new(new);
        self.pods.insert(Arc::clone(&new.uid), Arc::clone(&new));
        Some(new)
    }

    pub(super) fn keep_pods(&mut self, uids: &HashSet<&str>) {
        self.pods
            .retain(|uid, pod| uids.contains(&**uid) || Arc::strong_count(pod) > 1);
    }

    pub(super) fn end(&mut self, owner: Owner, id: &str, now: Instant) {
        if let Some(containers) = self.owners.get_mut(&owner) {
            containers.end(id, now);
        }
    }

    pub(super) fn end_all_but(
        &mut self,
        source: u32,
        owner: Owner,
        running: &HashSet<&str>,
        now: Instant,
    ) {
        let Some(containers) = self.owners.get_mut(&owner) else {
            return;
        };
        let gone: Vec<Arc<str>> = containers
            .entries
            .iter()
            .filter(|(id, entry)| entry.source == source && !running.contains(&***id))
            .map(|(id, _)| Arc::clone(id))
            .collect();
        for id in gone {
            containers.end(&id, now);
        }
        containers.expire(now);
    }
}

/// The containers of one owner.
#[derive(Debug)]
struct Containers {
    most: usize,
    entries: HashMap<Arc<str>, Entry>,
    /// When which ended, the first one first. A container that runs again stays here, and does not count.
    ended: VecDeque<(Instant, Arc<str>)>,
}

impl Containers {
    fn holding(owner: Owner) -> Self {
        Self {
            most: match owner {
                Owner::Host => MOST,
                Owner::User(_) => MOST_OF_A_USER,
            },
            entries: HashMap::new(),
            ended: VecDeque::new(),
        }
    }

    fn end(&mut self, id: &str, now: Instant) {
        let Some((id, _)) = self.entries.get_key_value(id) else {
            return;
        };
        let id = Arc::clone(id);
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if entry.ended.is_some() {
            return;
        }
        entry.ended = Some(now);
        self.ended.push_back((now, id));
        // One that starts and ends all the time is here each time.
        if self.ended.len() > 2 * self.most {
            let entries = &self.entries;
            self.ended.retain(|(at, id)| is_ended(entries, id, *at));
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some((at, _)) = self.ended.front()
            && now.saturating_duration_since(*at) >= KEPT
        {
            self.drop_ended();
        }
    }

    /// Whether there is room for a container. Those that have ended make room, running ones never.
    fn make_room_for(&mut self, id: &str) -> bool {
        while self.entries.len() >= self.most && !self.entries.contains_key(id) {
            if !self.drop_ended() {
                return false;
            }
        }
        true
    }

    /// Takes out the one that ended first, unless it runs again. Says whether there was any.
    fn drop_ended(&mut self) -> bool {
        let Some((at, id)) = self.ended.pop_front() else {
            return false;
        };
        if is_ended(&self.entries, &id, at) {
            self.entries.remove(&id);
        }
        true
    }
}

fn is_ended(entries: &HashMap<Arc<str>, Entry>, id: &str, at: Instant) -> bool {
    entries.get(id).is_some_and(|entry| entry.ended == Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(id: impl ToString) -> Named {
        Named {
            id: id.to_string(),
            name: "name".to_owned(),
            running: true,
            ..Named::default()
        }
    }

    fn learn(store: &mut Store, id: impl ToString, now: Instant) {
        store.learn(0, Owner::Host, &named(id), now);
    }

    #[test]
    fn an_ended_container_is_kept_for_a_while() {
        let (mut store, now) = (Store::default(), Instant::now());
        learn(&mut store, "a", now);
        store.end(Owner::Host, "a", now);
        learn(&mut store, "b", now + KEPT / 2);
        assert!(store.knows("a"));
        learn(&mut store, "c", now + KEPT);
        assert!(!store.knows("a"));
        assert!(store.knows("b"));
    }

    #[test]
    fn a_container_that_runs_again_stays() {
        let (mut store, now) = (Store::default(), Instant::now());
        learn(&mut store, "a", now);
        store.end(Owner::Host, "a", now);
        learn(&mut store, "a", now);
        learn(&mut store, "b", now + 2 * KEPT);
        assert!(store.knows("a"));
    }

    #[test]
    fn ended_containers_make_room_and_running_ones_do_not() {
        let (mut store, now) = (Store::default(), Instant::now());
        for id in 0..MOST {
            learn(&mut store, id, now);
        }
        learn(&mut store, "new", now);
        assert!(!store.knows("new"));
        store.end(Owner::Host, "77", now);
        learn(&mut store, "new", now);
        assert!(store.knows("new") && !store.knows("77"));
        assert_eq!(store.len(), MOST);
    }

    #[test]
    fn one_that_starts_and_ends_all_the_time_takes_no_room() {
        let (mut store, mut now) = (Store::default(), Instant::now());
        for _ in 0..100_000 {
            now += Duration::from_micros(1);
            learn(&mut store, "a", now);
            store.end(Owner::Host, "a", now);
        }
        assert!(store.owners[&Owner::Host].ended.len() <= 2 * MOST + 1);
        assert_eq!(store.len(), 1);
    }

    #[test]
    fn users_have_room_of_their_own() {
        let (mut store, now) = (Store::default(), Instant::now());
        for uid in 0..1_000 {
            for id in 0..200 {
                store.learn(0, Owner::User(uid), &named(format!("{uid}-{id}")), now);
            }
        }
        learn(&mut store, "host", now);
        assert!(store.len() <= (MOST_USERS + 1) * MOST_OF_A_USER + 1);
        assert!(store.knows("host"), "users leave the host its place");
    }

    #[test]
    fn pods_go_when_nothing_of_them_is_left() {
        let (mut store, now) = (Store::default(), Instant::now());
        let pod = |uid: &str| Pod {
            uid: uid.to_owned(),
            ..Pod::default()
        };
        let mut container = named("a");
        container.pod = Some(Arc::new(pod("used")));
        store.learn(0, Owner::Host, &container, now);
        store.learn_pod(&pod("there"));
        store.learn_pod(&pod("gone"));
        store.keep_pods(&HashSet::from(["there"]));
        assert!(store.pod("used").is_some() && store.pod("there").is_some());
        assert!(store.pod("gone").is_none());
    }

    #[test]
    fn what_a_runtime_lists_no_more_has_ended() {
        let (mut store, now) = (Store::default(), Instant::now());
        learn(&mut store, "a", now);
        learn(&mut store, "b", now);
        store.learn(1, Owner::Host, &named("other"), now);
        store.end_all_but(0, Owner::Host, &HashSet::from(["b"]), now);
        let ended = |id| store.container(id, None).expect("kept").ended.is_some();
        assert!(ended("a"));
        assert!(!ended("b") && !ended("other"));
    }
}
