//! Container runtimes of a test's own, in a [`Place`] that ends with the test.

mod containerd;
mod daemon;
mod dockerd;
mod image;
mod nested;
mod place;
mod podman;
mod pods;

pub use containerd::Containerd;
pub(crate) use daemon::Daemon;
pub use dockerd::Dockerd;
pub use image::IMAGE;
pub(crate) use image::archive;
pub use nested::NestedDockerd;
pub use place::Place;
pub use podman::Podman;
pub use pods::{Pods, Started};

use std::time::{Duration, Instant};

/// How long anything of a runtime may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until there is something, and hands it over.
///
/// # Panics
///
/// When it takes more than half a minute.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
