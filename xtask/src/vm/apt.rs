//! An apt of its own: neither lists nor packages nor hooks of the host are read or written.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{architecture::Architecture, mirror::Mirror};

pub(crate) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// Makes the folder anew, and obtains the suite's lists.
    pub(crate) fn prepare(
        folder: &Path,
        suite: &str,
        architecture: Architecture,
        mirror: &Mirror,
    ) -> Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name))?;
        }
        fs::write(folder.join("status"), "")?;
        let Mirror { address, keyring } = mirror;
        let name = architecture.name();
        fs::write(
            folder.join("sources.list"),
            format!("deb [arch={name} signed-by={keyring}] {address} {suite} main\n"),
        )?;
        fs::write(folder.join("apt.conf"), configuration(folder, name)?)?;
        let apt = Self {
            folder: folder.to_owned(),
        };
        apt.run("apt-get", &["update"])?;
        Ok(apt)
    }

    /// Runs a tool of apt with this configuration alone, in the folder.
    pub(crate) fn run(&self, tool: &str, arguments: &[&str]) -> Result<String> {
        output(
            Command::new(tool)
                .args(arguments)
                .current_dir(&self.folder)
                .env("APT_CONFIG", self.folder.join("apt.conf")),
        )
    }

    /// Downloads packages, and unpacks them into one folder, which goes with this one.
    pub(crate) fn unpack(&self, packages: &[&str]) -> Result<PathBuf> {
        self.run("apt-get", &[&["download"], packages].concat())?;
        let unpacked = self.folder.join("unpacked");
        for entry in fs::read_dir(&self.folder)? {
            let archive = entry?.path();
            if archive
                .extension()
                .is_some_and(|extension| extension == "deb")
            {
                output(
                    Command::new("dpkg-deb")
                        .arg("-x")
                        .arg(&archive)
                        .arg(&unpacked),
                )?;
            }
        }
        Ok(unpacked)
    }

    pub(crate) fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(&self.folder)?)
    }
}

/// apt reads this file first, and by it no other one.
fn configuration(folder: &Path, architecture: &str) -> Result<String> {
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
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
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
