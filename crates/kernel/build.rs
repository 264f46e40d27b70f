//! Compiles the kernel programs with clang. The node needs neither clang nor kernel headers: what is built here is
//! embedded in the binary and relocated when it is loaded.

use std::{env, path::PathBuf, process::Command};

const OBJECTS: [&str; 3] = ["command", "randomx", "scope"];
/// Each object is there for kernels with bpf_loop and, by the define of bpf/repeat.h, for those without.
const VARIANTS: [(&str, &[&str]); 2] = [
    ("bpf.o", &[]),
    ("without-bpf-loop.bpf.o", &["-DWITHOUT_BPF_LOOP"]),
];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let headers = PathBuf::from(
        env::var_os("DEP_BPF_INCLUDE").expect("libbpf-sys says where its headers are"),
    );
    let clang = find_clang();
    println!("cargo::rerun-if-changed=bpf");
    println!("cargo::rerun-if-env-changed=CLANG");
    let target = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("aarch64") => "-D__TARGET_ARCH_arm64",
        _ => "-D__TARGET_ARCH_x86",
    };
    let both = |object| VARIANTS.map(|(suffix, defines)| (object, suffix, defines));
    for (object, suffix, defines) in OBJECTS.into_iter().flat_map(both) {
        let status = Command::new(&clang)
            .args([
                "-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror",
            ])
            .arg(target)
            .args(defines)
            .arg("-I")
            .arg(&headers)
            .arg("-Ibpf")
            .arg("-c")
            .arg(format!("bpf/{object}.bpf.c"))
            .arg("-o")
            .arg(out.join(format!("{object}.{suffix}")))
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{clang} did not compile bpf/{object}.bpf.c (install it with tools/install-build-deps, or name another in $CLANG)"
        );
    }
}

/// `$CLANG`, or the newest clang that is installed under a name of Debian's or Ubuntu's.
fn find_clang() -> String {
    if let Ok(clang) = env::var("CLANG") {
        return clang;
    }
    [
        "clang-19", "clang-20", "clang-18", "clang-17", "clang-16", "clang",
    ]
    .into_iter()
    .find(|name| Command::new(name).arg("--version").output().is_ok())
    .unwrap_or("clang-19")
    .to_owned()
}
