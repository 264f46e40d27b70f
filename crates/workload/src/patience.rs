//! Questions that a process can hold up: what it was started with lies in its own memory, and the kernel has some of the
//! answers wait for a lock that a process holds while it starts a program. One that is throttled holds it for seconds,
//! and one whose memory a file system of its own serves answers when it pleases. Whoever asks waits no longer than this.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
        mpsc::{Sender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

/// How long an answer is waited for: a thousand times as long as one takes.
const PATIENCE: Duration = Duration::from_millis(250);
/// Threads that ask, those included that are held up. Where all are, nobody waits.
const MOST_THREADS: usize = 16;

type Deliver = Box<dyn FnOnce() + Send>;
type Question = Box<dyn FnOnce() -> Deliver + Send>;

/// Threads that ask, and those of them that have nothing to ask.
struct Askers {
    idle: Mutex<Vec<Sender<Question>>>,
    threads: AtomicUsize,
    given_up: AtomicU64,
}

static ASKERS: Askers = Askers::new();

/// What `question` returns; none where it takes too long. It goes on by itself then.
pub fn in_time<T: Send + 'static>(question: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    within(PATIENCE, question)
}

/// The same with another patience.
pub fn within<T: Send + 'static>(
    patience: Duration,
    question: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    ASKERS.ask(patience, question)
}

/// Questions that were given up so far.
pub fn given_up() -> u64 {
    ASKERS.given_up.load(Relaxed)
}

impl Askers {
    const fn new() -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            threads: AtomicUsize::new(0),
            given_up: AtomicU64::new(0),
        }
    }

    fn ask<T: Send + 'static>(
        &'static self,
        patience: Duration,
        question: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (deliver, delivered) = sync_channel(1);
        let question: Question = Box::new(move || {
            let answer = question();
            Box::new(move || {
                let _ = deliver.send(answer);
            })
        });
        let asked = self.asker().is_some_and(|it| it.send(question).is_ok());
        let answer = asked.then(|| delivered.recv_timeout(patience).ok());
        if let Some(Some(answer)) = answer {
            return Some(answer);
        }
        self.given_up.fetch_add(1, Relaxed);
        None
    }

    /// One that is idle, or a new one where there may be one more.
    fn asker(&'static self) -> Option<Sender<Question>> {
        if let Some(idle) = self.idle().pop() {
            return Some(idle);
        }
        if self.threads.fetch_add(1, Relaxed) >= MOST_THREADS {
            self.threads.fetch_sub(1, Relaxed);
            return None;
        }
        let (sender, questions) = channel::<Question>();
        let again = sender.clone();
        let body = move || {
            for question in questions {
                let deliver = question();
                // Before whoever asked goes on, who then finds it idle.
                self.idle().push(again.clone());
                deliver();
            }
        };
        let thread = thread::Builder::new().name("ask".to_owned()).spawn(body);
        if thread.is_err() {
            self.threads.fetch_sub(1, Relaxed);
        }
        thread.ok().map(|_| sender)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sender<Question>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::Receiver;

    /// More than any answer here takes that comes at all.
    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(1);

    fn hold_up(askers: &'static Askers) -> (Sender<()>, Receiver<()>) {
        let (release, released) = channel();
        let (done, ended) = channel();
        let answer = askers.ask(SHORT, move || {
            let _ = released.recv();
            let _ = done.send(());
        });
        assert_eq!(answer, None);
        (release, ended)
    }

    #[test]
    fn one_thread_asks_one_question_after_the_other() {
        static ASKERS: Askers = Askers::new();
        for number in 0..1_000 {
            assert_eq!(ASKERS.ask(LONG, move || number), Some(number));
        }
        assert_eq!(ASKERS.threads.load(Relaxed), 1);
        assert_eq!(ASKERS.given_up.load(Relaxed), 0);
    }

    #[test]
    fn who_holds_up_all_threads_holds_up_nobody_who_asks() {
        static ASKERS: Askers = Askers::new();
        let held: Vec<_> = (0..MOST_THREADS).map(|_| hold_up(&ASKERS)).collect();
        // With so much patience the test would end in its time limit.
        assert_eq!(ASKERS.ask(10 * LONG, || ()), None);
        assert_eq!(ASKERS.threads.load(Relaxed), MOST_THREADS);
        assert_eq!(ASKERS.given_up.load(Relaxed), MOST_THREADS as u64 + 1);
        let (release, ended) = &held[0];
        release.send(()).expect("it waits");
        ended.recv().expect("it was answered");
        // It becomes idle a moment after it said so.
        let answer = std::iter::repeat_with(|| ASKERS.ask(LONG, || 7));
        assert_eq!(answer.flatten().next(), Some(7));
    }
}
