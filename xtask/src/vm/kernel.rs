//! Debian's kernels and one of Ubuntu's: which there are, and how to obtain them without touching the host's apt.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context, Result, bail};

use super::{
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
    /// The script in tests/vm.
    pub(crate) script: &'static str,
    /// Arguments of the kernel beyond those that all have.
    pub(crate) arguments: &'static str,
    /// The machine's, in MiB.
    pub(crate) memory: &'static str,
}

impl Kernel {
    /// A kernel that carries the guard.
    const fn carries(suite: &'static str, archive: Archive) -> Self {
        Self {
            name: suite,
            archive,
            suite,
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
}

/// The slowest first, so that two at a time end together.
pub(crate) const KERNELS: [Kernel; 7] = [
    Kernel::carries("jammy-updates", Archive::Ubuntu),
    // One keeps what it saw of threads with them, the other in a table.
    Kernel::carries("bookworm-backports", Archive::Main).besieged("bookworm-backports-randomx"),
    Kernel::carries("bookworm", Archive::Main).besieged("bookworm-randomx"),
    Kernel::carries("bookworm-backports", Archive::Main),
    Kernel::carries("bullseye-security", Archive::Security),
    Kernel::carries("bookworm", Archive::Main),
    // Locked down, the kernel gives programs none of its memory to read.
    Kernel {
        name: "bookworm-lockdown",
        script: "absent",
        arguments: "lockdown=confidentiality",
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
    fn metapackage(&self) -> &'static str {
        match self.archive {
            Archive::Main | Archive::Security => "linux-image-cloud-amd64",
            Archive::Ubuntu => "linux-image-virtual",
        }
    }

    /// The kernel from the cache in `machines`, or from the mirror. A cached one is kept until its folder is removed.
    pub(crate) fn obtain(&self, machines: &Path) -> Result<Image> {
        // Two machines may have one kernel.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = &machines.join(self.suite);
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
        let apt = Apt::prepare(&folder.join("apt"), self.suite, mirror)?;
        apt.run("apt-get", &["update"])?;
        let metapackage = self.metapackage();
        let dependencies = apt.run("apt-cache", &["depends", "--important", metapackage])?;
        let package = dependencies
            .lines()
            .find_map(|line| line.trim().strip_prefix("Depends: linux-image-"))
            .map(|rest| format!("linux-image-{rest}"))
            .with_context(|| format!("{metapackage} depends on no kernel:\n{dependencies}"))?;
        say(self.name, &format!("downloads {package}"));
        apt.run("apt-get", &["download", &package])?;
        let version = package.trim_start_matches("linux-image-").to_owned();
        let unpacked = apt.folder.join("unpacked");
        let archive = apt.downloaded()?;
        output(
            Command::new("dpkg-deb")
                .arg("-x")
                .arg(&archive)
                .arg(&unpacked),
        )?;
        fs::rename(unpacked.join(format!("boot/vmlinuz-{version}")), image)
            .with_context(|| format!("no kernel in {}", archive.display()))?;
        fs::remove_dir_all(&apt.folder)?;
        Ok(version)
    }
}

/// An apt of its own: neither lists nor packages nor hooks of the host are read or written.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn prepare(folder: &Path, suite: &str, mirror: &Mirror) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::write(folder.join("status"), "")?;
        let Mirror { address, keyring } = mirror;
        fs::write(
            folder.join("sources.list"),
            format!("deb [arch=amd64 signed-by={keyring}] {address} {suite} main\n"),
        )?;
        fs::write(folder.join("apt.conf"), configuration(folder)?)?;
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Runs a tool of apt with this configuration alone, in the folder.
    fn run(&self, tool: &str, arguments: &[&str]) -> Result<String> {
        output(
            Command::new(tool)
                .args(arguments)
                .current_dir(&self.folder)
                .env("APT_CONFIG", self.folder.join("apt.conf")),
        )
    }

    fn downloaded(&self) -> Result<PathBuf> {
        fs::read_dir(&self.folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt-get downloaded nothing")
    }
}

/// apt reads this file first, and by it no other one.
fn configuration(folder: &Path) -> Result<String> {
    let mut text = String::new();
    // How the host reaches its mirror (proxies, dates of snapshots) holds here too; its hooks do not.
    let host = output(Command::new("apt-config").arg("dump"))?;
    for line in host.lines().filter(|line| line.starts_with("Acquire::")) {
        text.push_str(line);
        text.push('\n');
    }
    let folder = folder.display();
    text.push_str(&format!(
        r#"Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::State "{folder}";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
APT::Architecture "amd64";
APT::Architectures "amd64";
APT::Get::List-Cleanup "false";
APT::Sandbox::User "root";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
"#
    ));
    Ok(text)
}

/// Runs a command; its standard output, or what it complained of.
fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("start {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
