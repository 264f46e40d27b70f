//! The rings of events, read by one thread.

use std::{cell::RefCell, rc::Rc, time::Duration};

use libbpf_rs::{MapHandle, RingBuffer, RingBufferBuilder};

use crate::{KernelError, error::Doing};

/// The open rings.
#[derive(Debug)]
pub struct EventStream<'a> {
    ring: RingBuffer<'a>,
    /// Their descriptors are what is waited on.
    _maps: Vec<MapHandle>,
}

impl<'a> EventStream<'a> {
    /// Opens them. `consume` gets the bytes of each event.
    pub(crate) fn open(
        maps: Vec<MapHandle>,
        consume: impl FnMut(&[u8]) + 'a,
    ) -> Result<Self, KernelError> {
        let consume = Rc::new(RefCell::new(consume));
        let doing = || "open the event rings".to_owned();
        let mut builder = RingBufferBuilder::new();
        for map in &maps {
            let consume = consume.clone();
            builder
                .add(map, move |bytes| {
                    consume.borrow_mut()(bytes);
                    0
                })
                .doing(doing)?;
        }
        let ring = builder.build().doing(doing)?;
        Ok(Self { ring, _maps: maps })
    }

    /// Waits for events up to `timeout` and hands over all that there are.
    pub fn poll(&self, timeout: Duration) -> Result<(), KernelError> {
        match self.ring.poll(timeout) {
            Err(error) if error.kind() == libbpf_rs::ErrorKind::Interrupted => Ok(()),
            result => result.doing(|| "read the event rings".to_owned()),
        }
    }

    /// Hands over what there is without waiting, at most so many. Returns how many that were.
    pub fn drain(&self, most: usize) -> Result<usize, KernelError> {
        let taken = self.ring.consume_raw_n(most);
        usize::try_from(taken)
            .map_err(|_| libbpf_rs::Error::from_raw_os_error(-taken))
            .doing(|| "read the event rings".to_owned())
    }
}
