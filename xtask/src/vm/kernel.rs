//! Debian's kernels and one of Ubuntu's: which there are, and how to obtain them without touching the host's apt.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result};

use super::{
    apt::Apt,
    architecture::Architecture,
    mirror::{Archive, Mirror},
    say,
};

/// A kernel that is tested, and what is tested on it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernel {
    /// What `--only` takes; the name of the machine's folder too.
    pub(crate) name: &'static str,
    archive: Archive,
    suite: &'static str,
    pub(crate) architecture: Architecture,
    /// The script in tests/vm.
    pub(crate) script: &'static str,
    /// Arguments of the kernel beyond those that all have.
    pub(crate) arguments: &'static str,
    /// The machine's, in MiB.
    pub(crate) memory: &'static str,
}

impl Kernel {
    /// A kernel that carries the guards.
    const fn carries(suite: &'static str, archive: Archive) -> Self {
        Self {
            name: suite,
            archive,
            suite,
            architecture: Architecture::X86_64,
            script: "command",
            arguments: "",
            memory: "1024",
        }
    }

    /// The same kernel, with what wants to wear the guard `randomx` out.
    const fn besieged(self, name: &'static str) -> Self {
        Self {
            name,
            script: "randomx",
            memory: "2048",
            ..self
        }
    }

    /// The same kernel, with what operators do to whole workloads.
    const fn acted_on(self, name: &'static str) -> Self {
        Self {
            name,
            script: "workloads",
            ..self
        }
    }

    /// The same suite's kernel for arm64.
    const fn on_arm64(self, name: &'static str) -> Self {
        Self {
            name,
            architecture: Architecture::Arm64,
            ..self
        }
    }
}

/// The slowest first, so that two at a time end together.
pub(crate) const KERNELS: [Kernel; 12] = [
    Kernel::carries("jammy-updates", Archive::Ubuntu),
    // One keeps what it saw of threads with them, the other in a table.
    Kernel::carries("bookworm-backports", Archive::Main).besieged("bookworm-backports-randomx"),
    Kernel::carries("bookworm", Archive::Main).besieged("bookworm-randomx"),
    Kernel::carries("bookworm-backports", Archive::Main),
    Kernel::carries("bookworm-backports", Archive::Main).on_arm64("bookworm-backports-arm64"),
    Kernel::carries("bookworm", Archive::Main).on_arm64("bookworm-arm64"),
    Kernel::carries("bullseye-security", Archive::Security),
    Kernel::carries("bookworm", Archive::Main),
    // One ends processes one by one, the other a whole cgroup in one step.
    Kernel::carries("bullseye-security", Archive::Security).acted_on("bullseye-workloads"),
    Kernel::carries("bookworm-backports", Archive::Main).acted_on("bookworm-backports-workloads"),
    // Locked down, the kernel gives programs none of its memory to read.
    Kernel {
        name: "bookworm-lockdown",
        script: "absent",
        arguments: "lockdown=confidentiality",
        ..Kernel::carries("bookworm", Archive::Main)
    },
    // The last list of modules is the one that counts: programs of BPF LSM attach here, and are not called.
    Kernel {
        name: "bookworm-without-lsm",
        script: "unrefused",
        arguments: "lsm=landlock,lockdown,yama",
        ..Kernel::carries("bookworm", Archive::Main)
    },
];

/// An obtained kernel.
pub(crate) struct Image {
    pub(crate) file: PathBuf,
    pub(crate) version: String,
}

impl Kernel {
    /// Depends on the suite's newest kernel for clouds, which has all that is needed here built in.
    fn metapackage(&self) -> String {
        match self.archive {
            Archive::Main | Archive::Security => {
                format!("linux-image-cloud-{}", self.architecture.name())
            }
            Archive::Ubuntu => "linux-image-virtual".to_owned(),
        }
    }

    /// The kernel from the cache in `machines`, or from the mirror. A cached one is kept until its folder is removed.
    pub(crate) fn obtain(&self, machines: &Path) -> Result<Image> {
        // Two machines may have one kernel.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = &machines.join(format!("{}-{}", self.suite, self.architecture.name()));
        let image = folder.join("vmlinuz");
        let note = folder.join("version");
        if !image.exists() || !note.exists() {
            let mirror = self.archive.mirror();
            say(self.name, &format!("fetches from {}", mirror.address));
            fs::create_dir_all(folder)?;
            let version = self.fetch(&mirror, folder, &image).with_context(|| {
                format!(
                    "cannot have the kernel of {} from {}",
                    self.suite, mirror.address
                )
            })?;
            // Written last: with it, the cache is whole.
            fs::write(&note, version)?;
        }
        Ok(Image {
            version: fs::read_to_string(&note)?,
            file: image,
        })
    }

    /// Downloads and unpacks in a folder that is removed again, and returns the kernel's version.
    fn fetch(&self, mirror: &Mirror, folder: &Path, image: &Path) -> Result<String> {
        let apt = Apt::prepare(&folder.join("apt"), self.suite, self.architecture, mirror)?;
        let metapackage = self.metapackage();
        let dependencies = apt.run("apt-cache", &["depends", "--important", &metapackage])?;
        let package = dependencies
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))
            .map(|rest| format!("linux-image-{rest}"))
            .with_context(|| format!("{metapackage} depends on no kernel:\n{dependencies}"))?;
        say(self.name, &format!("downloads {package}"));
        let unpacked = apt.unpack(&[&package])?;
        let version = package.trim_start_matches("linux-image-").to_owned();
        fs::rename(unpacked.join(format!("boot/vmlinuz-{version}")), image)
            .with_context(|| format!("no kernel in {package}"))?;
        apt.remove()?;
        Ok(version)
    }
}
