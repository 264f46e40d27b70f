//! Containers that were asked for: each once, however many findings there are about it.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{broadcast, watch};

/// Requests that wait for a runtime. Where more come, the oldest get no answer.
pub(super) const MOST_WAITING: usize = 64;
/// Requests that are remembered.
const MOST: usize = 1_024;
/// How long a container that no runtime knew is not asked for again.
const PAUSE: Duration = Duration::from_secs(10);

/// A request. Each runtime gets one and lets go of it when it has answered: when all have, whoever asked is told.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The container's id: 64 hexadecimal digits.
    pub(crate) id: Arc<str>,
    answers: watch::Sender<()>,
}

impl Wanted {
    /// The container is known now: nobody needs to wait for what others say.
    pub(crate) fn found(&self) {
        self.answers.send_replace(());
    }
}

/// What was asked for lately.
#[derive(Debug, Default)]
pub(super) struct Asked {
    requests: HashMap<Arc<str>, (Instant, watch::Receiver<()>)>,
}

impl Asked {
    /// Whatever was asked for is asked for again.
    pub(super) fn forget(&mut self) {
        self.requests.clear();
    }

    /// Asks the runtimes that are connected, unless that was done within the last seconds, and hands over what changes when
    /// one has found it and fails when all have answered. None where this cannot be a runtime's container, or where too
    /// much was asked for.
    pub(super) fn ask(
        &mut self,
        id: &str,
        runtimes: &broadcast::Sender<Wanted>,
        now: Instant,
    ) -> Option<watch::Receiver<()>> {
        if id.len() != 64 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let is_fresh = |at: Instant| now.saturating_duration_since(at) < PAUSE;
        if let Some((at, answers)) = self.requests.get(id)
            && is_fresh(*at)
        {
            return Some(answers.clone());
        }
        if self.requests.len() >= MOST {
            self.requests.retain(|_, (at, _)| is_fresh(*at));
        }
        if self.requests.len() >= MOST {
            return None;
        }
        let id: Arc<str> = id.into();
        let (sender, answers) = watch::channel(());
        self.requests
            .insert(Arc::clone(&id), (now, answers.clone()));
        // With no runtime connected it comes back, and all have answered.
        let _ = runtimes.send(Wanted {
            id,
            answers: sender,
        });
        Some(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> String {
        format!("{number:064x}")
    }

    #[test]
    fn a_container_is_asked_for_once_in_a_while() {
        let runtimes = broadcast::Sender::new(MOST_WAITING);
        let mut runtime = runtimes.subscribe();
        let mut asked = Asked::default();
        let now = Instant::now();
        for _ in 0..3 {
            assert!(asked.ask(&id(1), &runtimes, now).is_some());
        }
        assert_eq!(&*runtime.try_recv().expect("a request").id, id(1));
        assert!(runtime.try_recv().is_err());
        assert!(asked.ask(&id(1), &runtimes, now + PAUSE).is_some());
        assert!(runtime.try_recv().is_ok());
    }

    #[test]
    fn what_was_forgotten_is_asked_for_at_once() {
        let runtimes = broadcast::Sender::new(MOST_WAITING);
        let mut asked = Asked::default();
        let now = Instant::now();
        assert!(asked.ask(&id(1), &runtimes, now).is_some());
        let mut runtime = runtimes.subscribe();
        asked.forget();
        assert!(asked.ask(&id(1), &runtimes, now).is_some());
        assert!(runtime.try_recv().is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten() {
        let runtimes = broadcast::Sender::new(MOST_WAITING);
        let mut asked = Asked::default();
        let now = Instant::now();
        for number in 0..MOST {
            assert!(asked.ask(&id(number), &runtimes, now).is_some());
        }
        assert!(asked.ask(&id(MOST), &runtimes, now).is_none());
        assert!(asked.ask(&id(MOST), &runtimes, now + PAUSE).is_some());
        assert_eq!(asked.requests.len(), 1);
    }

    #[test]
    fn what_is_no_id_is_not_asked_for() {
        let runtimes = broadcast::Sender::new(MOST_WAITING);
        let mut asked = Asked::default();
        for id in ["", "web", "../../info", &"g".repeat(64), &"0".repeat(65)] {
            assert!(asked.ask(id, &runtimes, Instant::now()).is_none(), "{id}");
        }
    }
}
