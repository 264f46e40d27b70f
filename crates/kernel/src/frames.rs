//! Programs on frames: at the host's end of pairs of veth devices, where what a packet socket sends comes out.
//!
//! Since Linux 6.6 (`tcx`) a link holds a program there; before, the device holds it as a filter. Both are pinned among the
//! links, by the device's number, so that what an earlier agent left can be found and taken off.

use std::{
    fs, io,
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    ptr::NonNull,
};

use libbpf_rs::{
    AsRawLibbpf, Link, Program, ProgramMut, TC_EGRESS, TC_INGRESS, TcAttachPoint, TcHook,
    libbpf_sys, query::LinkTypeInfo,
};

use rustix::io::Errno;

use crate::{KernelError, error::Doing, xdp};

/// Of several programs at a device, this one is the first: others may end the way of a packet.
const FIRST: u32 = 1;

/// Sections of programs on frames.
const TO_HOST: &str = "tcx/ingress";
const FROM_HOST: &str = "tcx/egress";

/// Whether a program looks at frames.
pub(crate) fn looks_at_frames(program: &ProgramMut<'_>) -> bool {
    point(program).is_some() || xdp::is_xdp(program)
}

/// Where it does: what comes from the workload arrives at the host's end.
fn point(program: &ProgramMut<'_>) -> Option<TcAttachPoint> {
    match program.section().to_str()? {
        TO_HOST => Some(TC_INGRESS),
        FROM_HOST => Some(TC_EGRESS),
        _ => None,
    }
}

/// Puts a program on a device, and pins it in the folder of links; as a filter where that is wanted or there are no links.
pub(crate) fn attach(
    program: &mut ProgramMut<'_>,
    device: u32,
    links: &Path,
    instance: u64,
    as_filter: bool,
) -> Result<(), KernelError> {
    let name = program.name().to_string_lossy().into_owned();
    let doing = || format!("attach the program {name} to the network device {device}");
    let Some(point) = point(program) else {
        return Ok(());
    };
    let link = if as_filter {
        Err(Errno::INVAL.into())
    } else {
        attach_link(program, device)
    };
    match link {
        Ok(mut link) => {
            let path = links.join(format!("{name}@{device}-{instance}"));
            link.pin(&path)
                .doing(|| format!("pin the link {}", path.display()))
        }
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
            let path = links.join(format!("{name}@{device}{FILTER}{instance}"));
            // Where this fails halfway, what is pinned says that there may be a filter.
            program
                .pin(&path)
                .doing(|| format!("pin the program {}", path.display()))?;
            let mut hook = filter(program.as_fd(), device, point, handle(&name, instance));
            hook.create().doing(doing)?;
            hook.attach().doing(doing)?;
            Ok(())
        }
        // It has gone in the meantime.
        Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Ok(()),
        Err(error) => Err(error).doing(doing),
    }
}

/// In the name of a pinned program that is a filter, before the number of its instance.
const FILTER: &str = "@filter-";

/// Set in the handles of the guard `inbound`.
const INBOUND: u32 = 1 << 30;

/// An instance's own, so that the next one is put beside it; several guards have a program each at one point.
fn handle(name: &str, instance: u64) -> u32 {
    if name.starts_with("on_inbound") {
        return INBOUND | u32::try_from(instance).unwrap_or(0);
    }
    let twice = u32::try_from(instance)
        .unwrap_or(u32::MAX)
        .saturating_mul(2);
    twice | u32::from(name.starts_with("on_outbound"))
}

fn filter(program: BorrowedFd<'_>, device: u32, point: TcAttachPoint, handle: u32) -> TcHook {
    let mut hook = TcHook::new(program);
    hook.ifindex(device.cast_signed())
        .attach_point(point)
        .handle(handle)
        .priority(FIRST);
    hook
}

fn attach_link(program: &ProgramMut<'_>, device: u32) -> io::Result<Link> {
    let options = libbpf_sys::bpf_tcx_opts {
        sz: size_of::<libbpf_sys::bpf_tcx_opts>() as libbpf_sys::size_t,
        flags: libbpf_sys::BPF_F_BEFORE,
        ..libbpf_sys::bpf_tcx_opts::default()
    };
    #[expect(unsafe_code, reason = "libbpf-rs does not attach to devices by links")]
    // SAFETY: the program is loaded and outlives the call, the options are of the size that they say, and what is
    // returned is a link that nobody else owns, or null with errno set.
    let link = unsafe {
        let link = libbpf_sys::bpf_program__attach_tcx(
            program.as_libbpf_object().as_ptr(),
            device.cast_signed(),
            &raw const options,
        );
        NonNull::new(link).map(|link| Link::from_ptr(link))
    };
    link.ok_or_else(io::Error::last_os_error)
}

/// Devices at which something is pinned, among the paths of links.
pub(crate) fn device_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?;
    let (_, rest) = name.split_once('@')?;
    rest.split(['@', '-']).next()?.parse().ok()
}

/// Removes a pin among the links; what is at a device is taken off.
pub(crate) fn remove(path: &Path) -> Result<(), KernelError> {
    if let Some((device, handle)) = filter_of(path)
        && let Ok(program) = Program::fd_from_pinned_path(path)
    {
        for point in [TC_INGRESS, TC_EGRESS] {
            // It is at one of them, or at neither where the device has gone or others removed all filters.
            let _ = filter(program.as_fd(), device, point, handle).detach();
        }
    } else if device_of(path).is_some()
        && let Ok(link) = Link::open(path)
    {
        // A pin alone lets go a little later, and until then the program cannot be put there again.
        let _ = link.detach();
    }
    fs::remove_file(path).doing(|| format!("remove {}", path.display()))
}

/// Whether what is pinned here still is where its name says: others can take it off, and tell nobody.
pub(crate) fn is_in_place(path: &Path) -> bool {
    let Some((device, handle)) = filter_of(path) else {
        let info = Link::open(path).and_then(|link| link.info());
        let at = info.ok().map(|info| match info.info {
            LinkTypeInfo::Tcx(at) => at.ifindex,
            LinkTypeInfo::Xdp(at) => at.ifindex,
            _ => 0,
        });
        return at.is_some() && at == device_of(path);
    };
    let program = Program::fd_from_pinned_path(path);
    program.is_ok_and(|program| {
        let id = Program::id_from_fd(program.as_fd()).ok();
        let mut points = [TC_INGRESS, TC_EGRESS].into_iter();
        points.any(|point| {
            let there = filter(program.as_fd(), device, point, handle).query();
            id.is_some() && there.ok() == id
        })
    })
}

/// Device and handle of a filter, by the pin of its program.
fn filter_of(path: &Path) -> Option<(u32, u32)> {
    let name = path.file_name()?.to_str()?;
    let (_, instance) = name.split_once(FILTER)?;
    Some((device_of(path)?, handle(name, instance.parse().ok()?)))
}

/// Removes what is pinned for devices that are gone.
pub(crate) fn forget(pinned: impl Iterator<Item = PathBuf>, is_there: impl Fn(u32) -> bool) {
    for path in pinned {
        if device_of(&path).is_some_and(|device| !is_there(device)) {
            // It is looked for again with the next device that comes or goes.
            let _ = remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_pins_tell_the_device_and_whether_it_is_a_filter() {
        let device = |name: &str| device_of(Path::new(name));
        assert_eq!(device("/p/links/on_packet-3"), None);
        assert_eq!(device("/p/links/on_egress_frame@17-3"), Some(17));
        assert_eq!(device("/p/links/on_egress_frame@17@filter-3"), Some(17));
        assert_eq!(filter_of(Path::new("on_egress_frame@17-3")), None);
        assert_eq!(
            filter_of(Path::new("on_egress_frame@17@filter-3")),
            Some((17, 6))
        );
        assert_eq!(
            filter_of(Path::new("on_outbound_frame@17@filter-3")),
            Some((17, 7))
        );
        for odd in ["", "@", "x@-1", "x@y-1", "x@99999999999-1"] {
            assert_eq!(device(odd), None, "{odd}");
        }
    }
}
