//! What the sensor of the guard `randomx` sees, on its way to clients that ask for it: JSON lines, as it is seen.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::stream::unfold;
use hayward_model::RoundingEvent;
use tokio::sync::broadcast::{self, error::RecvError};

/// So many events are kept for a client that reads slowly. Nobody waits for it: older ones are lost to it.
const KEPT: usize = 1_024;

/// The end that sends.
pub(crate) fn channel() -> broadcast::Sender<Arc<RoundingEvent>> {
    broadcast::Sender::new(KEPT)
}

/// An event a line, and `{"lost":N}` where the client was too slow for N of them.
pub(crate) fn lines(sightings: broadcast::Receiver<Arc<RoundingEvent>>) -> Body {
    Body::from_stream(unfold(sightings, async |mut sightings| {
        let line = match sightings.recv().await {
            Ok(event) => serde_json::to_string(&*event),
            Err(RecvError::Lagged(lost)) => Ok(serde_json::json!({ "lost": lost }).to_string()),
            Err(RecvError::Closed) => return None,
        };
        let line = line.map(|line| Bytes::from(line + "\n"));
        Some((line, sightings))
    }))
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[test]
    fn a_slow_client_is_told_what_it_lost() {
        let sender = channel();
        let receiver = sender.subscribe();
        for pid in 0..1_030 {
            let event = RoundingEvent {
                thread: 1,
                thread_start_boot_ns: 2,
                pid,
                parent_pid: 3,
                start_boot_ns: 4,
                uid: 5,
                cgroup_id: 6,
                comm: "a\nb".to_owned(),
                samples: Vec::new(),
            };
            sender.send(Arc::new(event)).expect("somebody receives");
        }
        drop(sender);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let chunks = runtime.block_on(lines(receiver).into_data_stream().collect::<Vec<_>>());
        let text: Vec<u8> = chunks
            .into_iter()
            .flat_map(|chunk| chunk.expect("bytes"))
            .collect();
        let text = String::from_utf8(text).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (1 + KEPT, r#"{"lost":6}"#));
        let first: RoundingEvent = serde_json::from_str(lines[1]).expect("an event");
        assert_eq!((first.pid, first.comm.as_str()), (6, "a\nb"));
    }
}
