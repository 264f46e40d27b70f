//! scanblocker's lines and its counter: what it tells of each connection attempt, and of each scan.

use std::{
    cell::RefCell,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};

use axum::Router;
use hayward_kernel::wire;
use hayward_model::{Event, InboundContact, ProbeKind, Record};
use hayward_record::compat::scanblocker::{contact_line, render_metrics, scan_lines};

use super::text;
use crate::{AgentError, agent::Agent, clock};

/// How often the ring is looked at. Nobody is woken for a contact.
const WAIT: Duration = Duration::from_millis(200);
/// Contacts that are taken before they are written. What comes meanwhile waits in the ring, and is lost where that is full.
const MOST_TAKEN: usize = 512;

/// What scanblocker counts.
#[derive(Debug, Default)]
pub(crate) struct Scanblocker {
    attempts: AtomicU64,
}

impl Scanblocker {
    fn take(&self, bytes: &[u8], lines: &mut String) {
        match wire::decode(bytes) {
            Ok(Event::InboundContact(contact)) => self.count(&contact, lines),
            Ok(_) => {}
            Err(error) => tracing::error!("an event of the kernel cannot be read: {error}"),
        }
    }

    /// Counts a first contact, and writes its line behind others. scanblocker sees those of TCP alone, where connections begin.
    fn count(&self, contact: &InboundContact, lines: &mut String) {
        if contact.kind == ProbeKind::Syn {
            self.attempts.fetch_add(1, Relaxed);
            let time = clock::timestamp(contact.boot_ns);
            lines.push_str(&contact_line(time, contact));
            lines.push('\n');
        }
    }
}

/// Writes scanblocker's line of a scan, where it would have one for the record.
pub(crate) fn tell_scan(record: &Record) {
    if let Some(lines) = scan_lines(record) {
        print(&format!("{lines}\n"));
    }
}

/// Where scanblocker writes it. Nobody may be reading, which is no reason to stop.
fn print(lines: &str) {
    let _ = std::io::stdout().lock().write_all(lines.as_bytes());
}

/// Its metric, on any path.
pub(super) fn pages(counter: Arc<Scanblocker>) -> Router {
    Router::new().fallback(move || {
        let page = render_metrics(counter.attempts.load(Relaxed));
        async move { text(page) }
    })
}

/// Starts the thread that tells of contacts. It ends when `stop` is set.
pub(crate) fn start(
    agent: Arc<Agent>,
    scanblocker: Arc<Scanblocker>,
    stop: Arc<AtomicBool>,
) -> Result<JoinHandle<()>, AgentError> {
    let body = move || {
        let lines = RefCell::new(String::new());
        let take = |bytes: &[u8]| scanblocker.take(bytes, &mut lines.borrow_mut());
        let stream = match agent.with_kernel(|kernel| kernel.inbound_contacts(take)) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::error!("scanblocker's lines are not written: {error}");
                return;
            }
        };
        while !stop.load(Relaxed) {
            let taken = stream.drain(MOST_TAKEN).unwrap_or_else(|error| {
                tracing::error!("{error}");
                0
            });
            print(&lines.take());
            if taken < MOST_TAKEN {
                std::thread::park_timeout(WAIT);
            }
        }
    };
    let thread = std::thread::Builder::new().name("attempts".to_owned());
    thread
        .spawn(body)
        .map_err(|source| AgentError::Thread { source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_connections_begin_is_there_a_line_and_a_count() {
        let scanblocker = Scanblocker::default();
        let mut lines = String::new();
        for kind in ProbeKind::ALL {
            let contact = InboundContact {
                boot_ns: 1,
                source: [192, 0, 2, 7].into(),
                source_port: 40_000,
                target: [192, 0, 2, 1].into(),
                port: 22,
                kind,
                device: 2,
            };
            scanblocker.count(&contact, &mut lines);
        }
        assert_eq!(scanblocker.attempts.load(Relaxed), 1);
        assert!(lines.ends_with(": New connection: 192.0.2.7:40000 -> 192.0.2.1:22\n"));
        assert_eq!(lines.lines().count(), 1);
    }
}
