//! Giving up privileges, for what speaks to the network and starts commands.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_no_new_privs,
};

/// Leaves the calling thread without capabilities, for good. What it starts has none either, although it runs as root:
/// with `no_new_privs`, a program gets no more at its start than who started it had.
pub(crate) fn give_up_privileges() -> io::Result<()> {
    set_no_new_privs(true)?;
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?;
    Ok(())
}
