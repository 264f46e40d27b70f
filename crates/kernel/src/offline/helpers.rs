//! The kernel's helpers, for programs that run in this process: `native/bpf/bpf_helpers.h` declares them.
//!
//! One machine runs at a time on a thread, and belongs to that thread while it does. Whatever a program asks, it gets an
//! error or what is there: nothing panics, since no panic may cross C.

#![expect(
    unsafe_code,
    reason = "C calls these, and hands over where its keys and values lie"
)]

use std::{cell::RefCell, ffi::c_void, ptr, slice};

use super::tables::{Shape, Table, Words, place, words};

const BAD_ADDRESS: i64 = -14;
/// `BPF_SK_STORAGE_GET_F_CREATE`.
const CREATE: u64 = 1;
/// No event has more.
const MOST_RESERVED: u64 = 1 << 16;

/// `struct native_map`.
#[repr(C)]
struct NativeMap {
    identity: *const c_void,
    kind: u32,
    entries: u32,
    key_bytes: u32,
    value_bytes: u32,
}

/// What a socket keeps for programs, by the storage's identity.
#[derive(Debug, Default)]
pub(super) struct Storages(Vec<(usize, Words)>);

/// What programs run on.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub now: u64,
    pub workload: u64,
    pub packet: Vec<u8>,
    pub storages: Storages,
    pub tables: Vec<(usize, Table)>,
    pub events: Vec<Vec<u8>>,
    reserved: Option<(Words, usize)>,
    /// What the program has given up, and may still look at until it ends.
    discarded: Vec<Words>,
}

thread_local! {
    static RUNNING: RefCell<Option<Box<Machine>>> = const { RefCell::new(None) };
}

/// Has a machine run something, and gives it back.
pub(super) fn on<T>(machine: Box<Machine>, run: impl FnOnce() -> T) -> (Box<Machine>, T) {
    RUNNING.set(Some(machine));
    let result = run();
    let mut machine = RUNNING.take().unwrap_or_default();
    machine.discarded.clear();
    machine.reserved = None;
    (machine, result)
}

fn with<T>(otherwise: T, ask: impl FnOnce(&mut Machine) -> T) -> T {
    RUNNING.with_borrow_mut(|running| match running {
        Some(machine) => ask(machine),
        None => otherwise,
    })
}

impl Machine {
    fn table(&mut self, map: &NativeMap) -> &mut Table {
        let identity = map.identity.addr();
        let known = self.tables.iter().position(|(known, _)| *known == identity);
        let at = known.unwrap_or_else(|| {
            let shape = Shape {
                kind: map.kind,
                entries: map.entries as usize,
                key_bytes: map.key_bytes as usize,
                value_bytes: map.value_bytes as usize,
            };
            self.tables.push((identity, Table::new(shape)));
            self.tables.len() - 1
        });
        &mut self.tables[at].1
    }
}

#[unsafe(no_mangle)]
extern "C" fn hayward_map_lookup(map: &NativeMap, key: *const u8) -> *mut u8 {
    with(ptr::null_mut(), |machine| {
        let table = machine.table(map);
        // SAFETY: the macro that calls this takes the key's size from the map's declaration, and so has the table; programs
        // hand over keys of the type that is declared.
        let key = unsafe { slice::from_raw_parts(key, table.shape().key_bytes) };
        table.lookup(key).map_or(ptr::null_mut(), place)
    })
}

#[unsafe(no_mangle)]
extern "C" fn hayward_map_update(
    map: &NativeMap,
    key: *const u8,
    value: *const u8,
    flags: u64,
) -> i64 {
    with(BAD_ADDRESS, |machine| {
        let table = machine.table(map);
        // SAFETY: as above.
        let key = unsafe { slice::from_raw_parts(key, table.shape().key_bytes) };
        // SAFETY: the same goes for the value. No program hands over one that lies in the table itself.
        let value = unsafe { slice::from_raw_parts(value, table.shape().value_bytes) };
        table.update(key, value, flags)
    })
}

#[unsafe(no_mangle)]
extern "C" fn hayward_storage(map: *const c_void, value_bytes: u32, flags: u64) -> *mut u8 {
    with(ptr::null_mut(), |machine| {
        let kept = &mut machine.storages.0;
        let known = kept.iter().position(|(known, _)| *known == map.addr());
        let at = match known {
            Some(at) => at,
            None if flags & CREATE == 0 => return ptr::null_mut(),
            None => {
                kept.push((map.addr(), words(value_bytes as usize)));
                kept.len() - 1
            }
        };
        place(&kept[at].1)
    })
}

#[unsafe(no_mangle)]
extern "C" fn hayward_storage_delete(map: *const c_void) -> i64 {
    with(BAD_ADDRESS, |machine| {
        let kept = &mut machine.storages.0;
        let Some(at) = kept.iter().position(|(known, _)| *known == map.addr()) else {
            return BAD_ADDRESS;
        };
        machine.discarded.push(kept.swap_remove(at).1);
        0
    })
}

#[unsafe(no_mangle)]
extern "C" fn hayward_reserve(bytes: u64) -> *mut u8 {
    with(ptr::null_mut(), |machine| {
        let Ok(size) = usize::try_from(bytes.min(MOST_RESERVED)) else {
            return ptr::null_mut();
        };
        if bytes > MOST_RESERVED || machine.reserved.is_some() {
            return ptr::null_mut();
        }
        let (words, _) = machine.reserved.insert((words(size), size));
        place(words)
    })
}

#[unsafe(no_mangle)]
extern "C" fn hayward_submit() {
    with((), |machine| {
        if let Some((words, size)) = machine.reserved.take() {
            let bytes = words.iter().flat_map(|word| word.get().to_ne_bytes());
            machine.events.push(bytes.take(size).collect());
            machine.discarded.push(words);
        }
    });
}

#[unsafe(no_mangle)]
extern "C" fn hayward_load_bytes(at: u32, to: *mut u8, bytes: u32) -> i64 {
    with(BAD_ADDRESS, |machine| {
        let (at, bytes) = (at as usize, bytes as usize);
        let Some(wanted) = at
            .checked_add(bytes)
            .and_then(|end| machine.packet.get(at..end))
        else {
            return BAD_ADDRESS;
        };
        // SAFETY: `to` is memory of the program that has room for as many bytes as it asks for, as the kernel's verifier
        // makes sure of when it loads the very same program; the packet is this side's.
        unsafe { ptr::copy_nonoverlapping(wanted.as_ptr(), to, bytes) };
        0
    })
}

#[unsafe(no_mangle)]
extern "C" fn hayward_now() -> u64 {
    with(0, |machine| machine.now)
}

#[unsafe(no_mangle)]
extern "C" fn hayward_workload() -> u64 {
    with(0, |machine| machine.workload)
}
