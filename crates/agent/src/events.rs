//! Reading the kernel's ring on a thread of its own, what an earlier agent left there first.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{AgentError, agent::Agent};

/// How long one wait lasts, so that a stop is seen.
const WAIT: Duration = Duration::from_millis(200);

/// Starts the thread. It ends when `stop` is set.
pub(crate) fn start(
    agent: Arc<Agent>,
    stop: Arc<AtomicBool>,
) -> Result<std::thread::JoinHandle<()>, AgentError> {
    let (ready, opened) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("events".to_owned())
        .spawn(move || {
            let opening =
                agent.with_kernel(|kernel| kernel.events(|bytes| agent.pipeline.take_bytes(bytes)));
            let stream = match opening {
                Ok(stream) => {
                    let _ = ready.send(Ok(()));
                    stream
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            while !stop.load(Ordering::Relaxed) {
                if let Err(error) = stream.poll(WAIT) {
                    tracing::error!("{error}");
                    std::thread::sleep(WAIT);
                }
            }
        });
    let thread = thread.map_err(|error| AgentError::Thread { source: error })?;
    opened.recv().unwrap_or(Ok(()))?;
    Ok(thread)
}
