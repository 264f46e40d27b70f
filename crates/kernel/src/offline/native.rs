//! What `native/inbound.c`, `native/outbound.c` and `native/pool.c` have: the programs, and what the agent would write and read.

use std::ffi::c_void;

/// `struct view` of `native/run.h`.
#[repr(C)]
pub(super) struct View {
    pub protocol: u32,
    pub length: u32,
    pub socket_type: u32,
    pub socket_protocol: u32,
    pub socket_state: u32,
}

/// `struct native_headers` of `native/outbound.c`.
#[repr(C)]
#[derive(Default)]
pub(super) struct NativeHeaders {
    pub source: [u8; 16],
    pub target: [u8; 16],
    pub protocol: u32,
    pub has_port: u32,
    pub source_port: u32,
    pub target_port: u32,
    pub transport: u32,
    pub flags: u32,
}

/// `FLAGS_ARE_KNOWN` there.
pub(super) const FLAGS_ARE_KNOWN: u32 = 256;

/// A program on a packet.
pub(super) type Program = extern "C" fn(&View) -> i32;

#[expect(
    unsafe_code,
    reason = "the programs are C, so that they are the kernel's own"
)]
// SAFETY: these are functions of `native/` with these signatures, which build.rs compiles. All that they do beyond their
// own memory they do by the helpers, which take whatever they are asked; where no machine runs, these have nothing.
unsafe extern "C" {
    pub(super) safe fn hayward_departure(view: &View) -> i32;
    pub(super) safe fn hayward_outcome(view: &View) -> i32;
    pub(super) safe fn hayward_pool_packet(view: &View) -> i32;
    pub(super) safe fn hayward_pool_arrival(view: &View) -> i32;
    pub(super) safe fn hayward_read_headers(view: &View, headers: &mut NativeHeaders) -> i32;
    pub(super) safe fn hayward_contact_state(view: &View) -> i32;
    pub(super) safe fn hayward_settle();
    pub(super) safe fn hayward_set_cell(which: u32, value: u64);
    pub(super) safe fn hayward_set_policy(workload: u64, policy: u32) -> i64;
    pub(super) safe fn hayward_set_weight(address: &[u8; 16], prefix: u32, weight: u32) -> i64;
    pub(super) safe fn hayward_set_domain(hash: u64) -> i64;
    pub(super) safe fn hayward_contacts_made() -> u64;
    pub(super) safe fn hayward_contacts() -> *const c_void;
    pub(super) safe fn hayward_inbound_cell(which: u32, value: u64);
    pub(super) safe fn hayward_inbound_contacts() -> u64;
    pub(super) fn hayward_inbound_arrival(frame: *const u8, bytes: u64) -> i32;
    pub(super) fn hayward_inbound_answer(frame: *const u8, bytes: u64);
}
