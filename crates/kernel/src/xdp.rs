//! Programs of XDP: they see a frame before the network stack does, in the driver or, for any driver, just behind it. A device has
//! one at a time, and that of somebody else is never replaced.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use libbpf_rs::{Link, ProgramMut, libbpf_sys};
use rustix::io::Errno;

use crate::{Hook, KernelError, error::Doing};

const SECTION: &str = "xdp";

/// Whether a program is one.
pub(crate) fn is_xdp(program: &ProgramMut<'_>) -> bool {
    program.section().to_str() == Some(SECTION)
}

/// Puts a program on a device by `hook`, and pins the link.
pub(crate) fn attach(
    program: &ProgramMut<'_>,
    device: u32,
    hook: Hook,
    pin: &Path,
) -> Result<(), KernelError> {
    let flags = match hook {
        Hook::Native => libbpf_sys::XDP_FLAGS_DRV_MODE,
        Hook::Generic | Hook::Tc => libbpf_sys::XDP_FLAGS_SKB_MODE,
    };
    let options = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as libbpf_sys::size_t,
        flags,
        ..libbpf_sys::bpf_link_create_opts::default()
    };
    #[expect(
        unsafe_code,
        reason = "libbpf-rs lets nobody choose how XDP is attached"
    )]
    // SAFETY: the program is loaded and outlives the call, the options are of the size that they say, and what is returned is a
    // descriptor that nobody else owns, or an error.
    let link = unsafe {
        let descriptor = libbpf_sys::bpf_link_create(
            program.as_fd().as_raw_fd(),
            device.cast_signed(),
            libbpf_sys::BPF_XDP,
            &raw const options,
        );
        (descriptor >= 0).then(|| OwnedFd::from_raw_fd(descriptor))
    };
    let link = link.ok_or_else(io::Error::last_os_error);
    let taken = [Errno::BUSY, Errno::EXIST].map(|errno| Some(errno.raw_os_error()));
    if matches!(&link, Err(error) if taken.contains(&error.raw_os_error())) {
        return Err(KernelError::XdpTaken);
    }
    // Drivers have many reasons: they carry none, the MTU is too large, there are too few queues.
    let is_of_no_driver = |error: &io::Error| {
        let others = [Errno::NODEV, Errno::PERM].map(|errno| Some(errno.raw_os_error()));
        others.contains(&error.raw_os_error())
    };
    let link = link.map_err(|source| match hook {
        Hook::Native if !is_of_no_driver(&source) => KernelError::XdpRefused { source },
        _ => KernelError::Io {
            what: format!("attach XDP to the network device {device}"),
            source,
        },
    })?;
    pin_link(&link, pin)
}

fn pin_link(link: &OwnedFd, pin: &Path) -> Result<(), KernelError> {
    let doing = || format!("pin the link {}", pin.display());
    let path = CString::new(pin.as_os_str().as_bytes())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
        .doing(doing)?;
    #[expect(
        unsafe_code,
        reason = "libbpf-rs pins no link that it has not attached"
    )]
    // SAFETY: the descriptor is open and the path ends with NUL; both are only read.
    let pinned = unsafe { libbpf_sys::bpf_obj_pin(link.as_raw_fd(), path.as_ptr()) };
    let pinned = if pinned == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    };
    pinned.doing(doing)
}

/// Has another program take the place of one of ours, in one step, and its pin another name.
pub(crate) fn replace(
    program: &ProgramMut<'_>,
    former: &Path,
    pin: &Path,
) -> Result<(), KernelError> {
    let doing = || format!("have the program take over {}", former.display());
    let mut link = Link::open(former).doing(doing)?;
    let updated = update(&mut link, program);
    updated.doing(doing)?;
    std::fs::rename(former, pin).doing(|| format!("rename {}", former.display()))
}

fn update(link: &mut Link, program: &ProgramMut<'_>) -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "libbpf-rs updates links by programs of its own alone"
    )]
    // SAFETY: both descriptors are open, and no options are given.
    let updated = unsafe {
        libbpf_sys::bpf_link_update(
            link.as_fd().as_raw_fd(),
            program.as_fd().as_raw_fd(),
            std::ptr::null(),
        )
    };
    if updated == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
