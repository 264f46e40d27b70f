//! What a process holds in memory: the second thing that RandomX cannot hide.

use std::fs;

/// RandomX's cache. Without it there is no hash.
pub(crate) const CACHE_MIB: u64 = 256;
/// Lists of mappings are read up to here; the kernel's default limit of mappings makes some 6 MB of them.
const LONGEST_MAPS: usize = 16 << 20;

/// A process's memory, as far as it tells a miner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident, in MiB: its own, shared, and in huge pages.
    pub(crate) mib: u64,
    /// Some of it that no named file holds is executable: code was generated there.
    pub(crate) generated_code: bool,
}

/// Reads it. None where the process is gone.
pub(crate) fn read(pid: u32) -> Option<Memory> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let mut maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    maps.truncate(LONGEST_MAPS);
    Some(Memory {
        mib: resident_mib(&status)?,
        generated_code: maps.split(|byte| *byte == b'\n').any(is_generated_code),
    })
}

/// Huge pages of hugetlbfs are not in `VmRSS`.
fn resident_mib(status: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(status);
    let kib_of = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let kib = kib_of("VmRSS:")?.saturating_add(kib_of("HugetlbPages:").unwrap_or(0));
    Some(kib >> 10)
}

/// Whether a line of /proc/PID/maps is of executable memory that is no named file's. What the kernel maps into every
/// process stands in brackets.
fn is_generated_code(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let mut fields = text.split_whitespace();
    let executable = fields.nth(1).is_some_and(|access| access.contains('x'));
    let mut name = fields.skip(3);
    let first = name.next().unwrap_or("");
    executable
        && (first.is_empty()
            || first.starts_with("[anon")
            || ["[heap]", "[stack]"].contains(&first)
            || first.starts_with("/memfd:")
            || first.starts_with("/anon_hugepage")
            || first.starts_with("/dev/zero")
            || first.starts_with("/SYSV")
            || name.last() == Some("(deleted)"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hayward_fuzz::{Corpus, throw};

    const STATUS: &[u8] =
        b"Name:\tx\nVmRSS:\t  266240 kB\nRssAnon:\t 1 kB\nHugetlbPages:\t    4096 kB\n";
    const GENERATED: [&str; 5] = [
        "7f0000000000-7f0000010000 r-xp 00000000 00:00 0 ",
        "7f0000000000-7f0000010000 rwxp 00000000 00:00 0 [anon:jit code]",
        "7f0000000000-7f0000010000 r-xs 00000000 00:01 9 /memfd:jit (deleted)",
        "7f0000000000-7f0000010000 rwxp 00000000 00:00 0 [heap]",
        "7f0000000000-7f0000010000 r-xp 00000000 08:01 9 /tmp/a b (deleted)",
    ];

    #[test]
    fn memory_in_huge_pages_counts_too() {
        assert_eq!(resident_mib(STATUS), Some(264));
        assert_eq!(resident_mib(b"Name:\tkthreadd\n"), None);
    }

    #[test]
    fn executable_memory_that_no_named_file_holds_is_generated_code() {
        for line in GENERATED {
            assert!(is_generated_code(line.as_bytes()), "{line}");
        }
        for line in [
            "",
            "7f0000000000-7f0000010000 rw-p 00000000 00:00 0 ",
            "7f0000000000-7f0000010000 r-xp 00000000 08:01 9 /usr/lib/libc.so.6",
            "7f0000000000-7f0000010000 r-xp 00000000 00:00 0 [vdso]",
            "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]",
        ] {
            assert!(!is_generated_code(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn own_memory_is_read() {
        let memory = read(std::process::id()).expect("we run");
        assert!(!memory.generated_code && memory.mib < 2_000, "{memory:?}");
        assert_eq!(read(u32::MAX), None);
    }

    #[test]
    fn parsing_damaged_memory_maps_never_panics() {
        let inputs = GENERATED.map(str::as_bytes).into_iter().chain([STATUS]);
        let words = ["VmRSS:", "18446744073709551615", "x"];
        throw(500, &Corpus::new(inputs, words).damaged(), |input| {
            let _ = (resident_mib(&input.0), is_generated_code(&input.0));
            Ok(())
        });
    }
}
