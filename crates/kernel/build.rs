//! Compiles the kernel programs with clang. The node needs neither clang nor kernel headers: what is built here is
//! embedded in the binary, packed, and relocated when it is loaded. Those that judge captures, too, are compiled once more
//! for the target itself.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use miniz_oxide::deflate;
use object::{
    build::elf::{Builder, SectionData},
    elf,
};

const OBJECTS: [&str; 8] = [
    "command",
    "egress",
    "inbound",
    "outbound",
    "packet_socket",
    "pool",
    "randomx",
    "scope",
];
/// These repeat nothing, so one variant does for all kernels.
const ONCE: [&str; 5] = ["egress", "inbound", "outbound", "packet_socket", "pool"];
/// Each object is there for kernels with bpf_loop and, by the define of bpf/repeat.h, for those without.
const VARIANTS: [(&str, &[&str]); 2] = [
    ("bpf.o", &[]),
    ("without-bpf-loop.bpf.o", &["-DWITHOUT_BPF_LOOP"]),
];

/// How hard it is tried to make them small.
const BEST: u8 = 10;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let headers = PathBuf::from(
        env::var_os("DEP_BPF_INCLUDE").expect("libbpf-sys says where its headers are"),
    );
    let clang = find_clang();
    println!("cargo::rerun-if-changed=bpf");
    println!("cargo::rerun-if-changed=native");
    println!("cargo::rerun-if-env-changed=CLANG");
    let target = match env::var("CARGO_CFG_TARGET_ARCH").as_deref() {
        Ok("aarch64") => "-D__TARGET_ARCH_arm64",
        _ => "-D__TARGET_ARCH_x86",
    };
    let both = |object| VARIANTS.map(|(suffix, defines)| (object, suffix, defines));
    let all = OBJECTS.into_iter().flat_map(both);
    for (object, suffix, defines) in all.filter(|it| !ONCE.contains(&it.0) || it.2.is_empty()) {
        let compiled = out.join(format!("{object}.{suffix}"));
        let status = Command::new(&clang)
            .args([
                "-g",
                "-O2",
                "-target",
                "bpf",
                "-mcpu=v3",
                "-Wall",
                "-Werror",
                // A section that nobody here needs, and `stripped` does not know.
                "-fno-addrsig",
            ])
            .arg(target)
            .args(defines)
            .arg("-I")
            .arg(&headers)
            .arg("-Ibpf")
            .arg("-c")
            .arg(format!("bpf/{object}.bpf.c"))
            .arg("-o")
            .arg(&compiled)
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{clang} did not compile bpf/{object}.bpf.c (install it with tools/install-build-deps, or name another in $CLANG)"
        );
        let packed = deflate::compress_to_vec(&stripped(&compiled), BEST);
        fs::write(&compiled, packed).expect("cargo's own folder can be written to");
    }
    compile_natively(&clang);
}

/// The programs that run in the binary itself. They include nothing but what is here, so no target's headers are needed.
fn compile_natively(clang: &str) {
    let mut native = cc::Build::new();
    native
        .compiler(clang)
        .std("gnu17")
        .includes(["native", "bpf"])
        .files(["native/inbound.c", "native/outbound.c", "native/pool.c"])
        .warnings_into_errors(true)
        // What the kernel's side alone knows of or calls.
        .flag("-Wno-unknown-attributes")
        .flag("-Wno-unused-function")
        .flag("-ffreestanding");
    // Where Rust checks for overflows, undefined behaviour ends the process.
    if env::var_os("CARGO_CFG_DEBUG_ASSERTIONS").is_some() {
        native
            .flag("-fsanitize=undefined,local-bounds")
            .flag("-fsanitize-trap=all");
    }
    // libFuzzer goes by what its input makes these do, too.
    if env::var_os("CARGO_CFG_FUZZING").is_some() {
        native.flag("-fsanitize=fuzzer-no-link,address");
    }
    native.compile("hayward-programs");
}

/// What describes types (BTF) comes with -g alone; what comes with it for debuggers and linkers is three quarters of an
/// object.
fn stripped(path: &Path) -> Vec<u8> {
    let compiled = fs::read(path).expect("clang has written it");
    let mut builder = Builder::read(compiled.as_slice()).expect("an ELF file");
    for section in builder.sections.iter_mut() {
        let name = section.name.as_slice();
        section.delete = [&b".debug"[..], b".rel.debug", b".rel.BTF"]
            .iter()
            .any(|unwanted| name.starts_with(unwanted));
    }
    builder.delete_orphans();
    // Clang writes the sections' names among those of the symbols.
    let names = builder.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    builder.write(&mut stripped).expect("into memory");
    stripped
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
