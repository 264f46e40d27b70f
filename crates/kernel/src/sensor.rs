//! Which program of `bpf/randomx.bpf.c` is the sensor here.

use std::sync::OnceLock;

use libbpf_rs::btf::{Btf, types::Enum};

/// Called when a thread's floating-point registers have been saved, on x86-64.
const ON_SAVE: &str = "on_fpu_deactivated";
/// Called at every switch of threads: the same samples for more calls.
const ON_SWITCH: &str = "on_switch";

/// Whether a program is to be loaded: of two sensors, one.
pub(crate) fn is_wanted(program: &str) -> bool {
    let on_save = || cfg!(target_arch = "x86_64") && knows_current_task();
    match program {
        ON_SAVE => on_save(),
        ON_SWITCH => !on_save(),
        _ => true,
    }
}

/// Whether the kernel has the helper that [`ON_SAVE`] needs, `bpf_get_current_task_btf` (Linux 5.11).
fn knows_current_task() -> bool {
    static KNOWS: OnceLock<bool> = OnceLock::new();
    *KNOWS.get_or_init(|| {
        let Ok(types) = Btf::from_vmlinux() else {
            return false;
        };
        let helpers = types.type_by_name::<Enum<'_>>("bpf_func_id");
        helpers.is_some_and(|helpers| {
            helpers.iter().any(|helper| {
                helper
                    .name
                    .is_some_and(|name| name == "BPF_FUNC_get_current_task_btf")
            })
        })
    })
}
