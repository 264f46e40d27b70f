//! The processors that machines are made for, and what differs between them.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Context, Result, bail};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    X86_64,
    Arm64,
}

impl Architecture {
    /// What an executable was compiled for, by the field `e_machine` of its ELF header.
    pub(crate) fn of(binary: &Path) -> Result<Self> {
        let mut machine = [0; 2];
        let mut read = || {
            let mut file = File::open(binary)?;
            file.seek(SeekFrom::Start(18))?;
            file.read_exact(&mut machine)
        };
        read().with_context(|| format!("read {}", binary.display()))?;
        match u16::from_le_bytes(machine) {
            62 => Ok(Self::X86_64),
            183 => Ok(Self::Arm64),
            other => bail!(
                "{} is for a processor that no machine has: {other}",
                binary.display()
            ),
        }
    }

    /// Debian's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The C compiler, by the name that Debian has for it on every host.
    pub(crate) fn compiler(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu-gcc",
            Self::Arm64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// The folder in which Debian has this processor's libraries.
    pub(crate) fn libraries(self) -> &'static str {
        match self {
            Self::X86_64 => "lib/x86_64-linux-gnu",
            Self::Arm64 => "lib/aarch64-linux-gnu",
        }
    }

    /// The program that loads them.
    pub(crate) fn loader(self) -> &'static str {
        match self {
            Self::X86_64 => "lib64/ld-linux-x86-64.so.2",
            Self::Arm64 => "lib/ld-linux-aarch64.so.1",
        }
    }

    /// The kernel's name for the first serial line.
    pub(crate) fn console(self) -> &'static str {
        match self {
            Self::X86_64 => "ttyS0",
            Self::Arm64 => "ttyAMA0",
        }
    }

    /// The program that is the machine.
    pub(crate) fn emulator(self) -> &'static str {
        match self {
            Self::X86_64 => "qemu-system-x86_64",
            Self::Arm64 => "qemu-system-aarch64",
        }
    }

    /// Its arguments that say which machine.
    pub(crate) fn machine(self) -> [&'static str; 4] {
        match self {
            // qemu 7.2 emulates cmpxchg16b in a way that leaves garbage in the flags, of which Linux 6.12 dies every
            // few boots (in kmem_cache_alloc); without it Linux takes other instructions.
            Self::X86_64 => ["-M", "q35", "-cpu", "max,-cx16"],
            // Pointers are signed by a cipher that takes the emulator long; it has a quicker one.
            Self::Arm64 => ["-M", "virt", "-cpu", "max,pauth-impdef=on"],
        }
    }
}
