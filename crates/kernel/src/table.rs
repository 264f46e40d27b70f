//! Tables as map values: the size classes, and swapping one whole.

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType, libbpf_sys};
use std::os::fd::{AsFd, AsRawFd};

use crate::error::{Doing, KernelError};

/// A map-in-map takes only inner maps of one value size, so sizes come in classes. Linux 5.10 and 5.15 have no values
/// above 4 MiB, and 6.1 has.
const SIZE_CLASSES: [usize; 4] = [256 << 10, 4 << 20, 16 << 20, 64 << 20];

/// The largest table that any kernel takes.
pub const MAX_TABLE_BYTES: usize = SIZE_CLASSES[SIZE_CLASSES.len() - 1];

/// The smallest size class that holds a table of so many bytes.
pub fn size_class(bytes: usize) -> Result<usize, KernelError> {
    SIZE_CLASSES
        .into_iter()
        .find(|class| *class >= bytes)
        .ok_or(KernelError::TableTooLarge {
            bytes,
            largest: MAX_TABLE_BYTES,
        })
}

/// An empty inner map of the class for a table of so many bytes, and the class.
pub(crate) fn template(bytes: usize) -> Result<(MapHandle, usize), KernelError> {
    let class = size_class(bytes)?;
    inner_map("template", class)
        .map(|map| (map, class))
        .map_err(|error| {
            let takes = |class: &usize| inner_map("template", *class).is_ok();
            let smaller = SIZE_CLASSES.into_iter().filter(|smaller| *smaller < class);
            match smaller.rev().find(takes) {
                Some(largest) => KernelError::TableTooLarge { bytes, largest },
                None => error,
            }
        })
}

/// An empty inner map of one value.
pub(crate) fn inner_map(name: &str, class: usize) -> Result<MapHandle, KernelError> {
    let options = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as libbpf_sys::size_t,
        ..Default::default()
    };
    let size = u32::try_from(class).unwrap_or(u32::MAX);
    MapHandle::create(MapType::Array, Some(name), 4, size, 1, &options)
        .doing(|| format!("make a map of {class} bytes for {name}"))
}

/// Puts `words` in force as the only entry of `outer`. Programs see the old table or the new one, never a mixture.
pub(crate) fn swap(
    outer: &impl MapCore,
    name: &str,
    class: usize,
    words: &[u32],
) -> Result<(), KernelError> {
    let inner = inner_map(name, class)?;
    let mut value = Vec::with_capacity(class);
    value.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    value.resize(class, 0);
    let key = 0u32.to_ne_bytes();
    inner
        .update(&key, &value, MapFlags::ANY)
        .doing(|| format!("fill the map for {name} ({class} bytes)"))?;
    let descriptor = inner.as_fd().as_raw_fd().to_ne_bytes();
    outer
        .update(&key, &descriptor, MapFlags::ANY)
        .doing(|| format!("put {name} in force"))
}
