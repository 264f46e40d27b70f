//! `hayward install` and `uninstall`: files on this host, pins in the kernel.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use clap_complete::Shell;
use hayward_kernel::Pins;
use hayward_policy::{DEFAULT_SETTINGS, Policy};

use crate::{
    cli::{Cli, ConfigArgument},
    failure::Failure,
    show,
};

const UNIT: &str = include_str!("../../../../packaging/hayward.service");
const BINARY: &str = "usr/local/bin/hayward";
const SETTINGS: &str = "etc/hayward/hayward.yaml";
const RULES: &str = "etc/hayward/rules.d";

/// One file of an installation, relative to its root.
struct Item {
    path: String,
    bytes: Vec<u8>,
    mode: u32,
}

/// Everything but settings and rules, which are the operator's.
fn items() -> Result<Vec<Item>, Failure> {
    let unit = UNIT.replace("/usr/bin/hayward", "/usr/local/bin/hayward");
    let mut items = vec![
        Item {
            path: BINARY.to_owned(),
            bytes: fs::read("/proc/self/exe")?,
            mode: 0o755,
        },
        text("etc/systemd/system/hayward.service", unit.into_bytes()),
    ];
    let completions = [
        (Shell::Bash, "bash-completion/completions/hayward"),
        (Shell::Zsh, "zsh/site-functions/_hayward"),
        (Shell::Fish, "fish/vendor_completions.d/hayward.fish"),
    ];
    for (shell, path) in completions {
        let mut bytes = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "hayward", &mut bytes);
        items.push(text(&format!("usr/local/share/{path}"), bytes));
    }
    let mut command = Cli::command();
    command.build();
    pages(&command, "hayward", &mut items)?;
    Ok(items)
}

/// A manual page for a command and for each below it.
fn pages(command: &clap::Command, name: &str, items: &mut Vec<Item>) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(name)
        .render(&mut bytes)?;
    items.push(text(&format!("usr/local/share/man/man1/{name}.1"), bytes));
    for below in command.get_subcommands() {
        if !below.is_hide_set() && below.get_name() != "help" {
            pages(below, &format!("{name}-{}", below.get_name()), items)?;
        }
    }
    Ok(())
}

fn text(path: &str, bytes: Vec<u8>) -> Item {
    Item {
        path: path.to_owned(),
        bytes,
        mode: 0o644,
    }
}

/// What was done with each file, for people as it happens and for programs at the end.
struct Report {
    json: bool,
    done: Vec<(PathBuf, &'static str)>,
}

impl Report {
    fn add(&mut self, path: PathBuf, what: &'static str) {
        if !self.json {
            show::line(&format!("{what:7} {}", path.display()));
        }
        self.done.push((path, what));
    }

    fn changed(&self, end: &str) -> bool {
        let mut done = self.done.iter();
        done.any(|(path, what)| *what == "wrote" && path.ends_with(end))
    }

    fn finish(self, next: &str) -> Result<(), Failure> {
        if !self.json {
            show::line(&format!("next: {next}"));
            return Ok(());
        }
        let files = self.done.iter().map(|(path, what)| {
            let path = path.display().to_string();
            serde_json::json!({ "path": path, "done": what })
        });
        show::json(&serde_json::json!({ "files": files.collect::<Vec<_>>(), "next": next }))
    }
}

/// Writes what differs from what is there. Settings that are there already are kept.
pub(crate) fn install(root: &Path, json: bool) -> Result<(), Failure> {
    refuse_host_in_tests(root)?;
    let mut report = Report {
        json,
        done: Vec::new(),
    };
    let first = !root.join(BINARY).exists();
    for item in items()? {
        let path = root.join(&item.path);
        let what = place(&path, &item.bytes, item.mode)?;
        report.add(path, what);
    }
    let settings = root.join(SETTINGS);
    let what = if settings.exists() {
        "kept"
    } else {
        place(&settings, DEFAULT_SETTINGS.as_bytes(), 0o644)?
    };
    report.add(settings, what);
    let rules = root.join(RULES);
    make_folder(&rules)?;
    let next = if first {
        "systemctl daemon-reload && systemctl enable --now hayward"
    } else if report.changed(BINARY) || report.changed("hayward.service") {
        "systemctl daemon-reload && systemctl restart hayward"
    } else {
        "nothing: all of it was there already"
    };
    report.finish(next)
}

/// Written beside and renamed, so that a running binary is replaced and never half written.
fn place(path: &Path, bytes: &[u8], mode: u32) -> Result<&'static str, Failure> {
    let there = fs::read(path).is_ok_and(|found| found == bytes);
    let mode_of = |path: &Path| Ok(fs::metadata(path)?.permissions().mode() & 0o7777);
    if there && mode_of(path).map_err(|error| refused(path, &error))? == mode {
        return Ok("same");
    }
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let write = || {
        fs::write(&beside, bytes)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(mode))?;
        fs::File::open(&beside)?.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| refused(path, &error))?;
    Ok("wrote")
}

/// Whatever the caller's umask is, others must be able to look into it.
fn make_folder(folder: &Path) -> Result<(), Failure> {
    let mut missing = Vec::new();
    let mut at = Some(folder);
    while let Some(path) = at.filter(|path| !path.as_os_str().is_empty() && !path.exists()) {
        missing.push(path);
        at = path.parent();
    }
    for path in missing.into_iter().rev() {
        let made = fs::DirBuilder::new().mode(0o755).create(path);
        let made = made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o755)));
        made.map_err(|error| refused(path, &error))?;
    }
    Ok(())
}

fn refused(path: &Path, error: &io::Error) -> Failure {
    let text = format!("cannot write {}: {error}", path.display());
    if error.kind() == io::ErrorKind::PermissionDenied {
        Failure::Kernel(format!("{text}; run this as root"))
    } else {
        Failure::Other(anyhow::anyhow!(text))
    }
}

/// The host's own folders are no place for tests.
fn refuse_host_in_tests(root: &Path) -> Result<(), Failure> {
    if std::env::var_os("HAYWARD_TEST").is_some() && root.parent().is_none() {
        return Err(Failure::BadInput(
            "HAYWARD_TEST is set: name a folder of the test's own with --root".to_owned(),
        ));
    }
    Ok(())
}

/// Removes what is pinned and, where a root is named, what `install` wrote there. Another root than this host's has
/// nothing to do with this host's kernel.
pub(crate) fn uninstall(
    config: &ConfigArgument,
    root: Option<&Path>,
    json: bool,
) -> Result<(), Failure> {
    let of_host = root.is_none_or(|root| root.parent().is_none());
    let pins = if of_host || config.config.is_some() {
        Some(remove_pins(config)?)
    } else {
        None
    };
    let removed = pins.as_ref().map(|(_, removed)| *removed);
    let folder = pins.as_ref().map(|(folder, _)| folder.clone());
    if !json && let (Some(removed), Some(folder)) = (removed, &folder) {
        show::line(&format!(
            "{} removed from {folder}; nothing is enforced any more",
            show::count(removed, "pin")
        ));
    }
    let Some(root) = root else {
        if json {
            return show::json(&serde_json::json!({ "pins": folder, "removed": removed }));
        }
        return Ok(());
    };
    refuse_host_in_tests(root)?;
    let mut report = Report {
        json,
        done: Vec::new(),
    };
    for item in items()? {
        remove(root.join(&item.path), &mut report)?;
    }
    let settings = root.join(SETTINGS);
    match fs::read(&settings) {
        Ok(bytes) if bytes == DEFAULT_SETTINGS.as_bytes() => remove(settings, &mut report)?,
        Ok(_) => report.add(settings, "kept"),
        Err(_) => {}
    }
    for folder in [RULES, "etc/hayward"] {
        let folder = root.join(folder);
        if fs::remove_dir(&folder).is_err() && folder.exists() {
            report.add(folder, "kept");
        }
    }
    report.finish("systemctl daemon-reload; the journal in /var/lib/hayward is left")
}

fn remove(path: PathBuf, report: &mut Report) -> Result<(), Failure> {
    match fs::remove_file(&path) {
        Ok(()) => report.add(path, "removed"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(refused(&path, &error)),
    }
    Ok(())
}

fn remove_pins(config: &ConfigArgument) -> Result<(String, usize), Failure> {
    let policy = Policy::load(config.file().as_deref())?;
    let pins = Pins::new(&policy.pins);
    let folder = pins.folder().display().to_string();
    if pins.in_use() {
        return Err(Failure::Kernel(format!(
            "an agent is running with the pins in {folder}: stop it first (systemctl stop hayward)"
        )));
    }
    let removed = hayward_kernel::uninstall(&pins)?;
    leave_firewalls(&policy)?;
    Ok((folder, removed))
}

/// What cannot be taken out of a set of the operator's is said, and ends by itself.
fn leave_firewalls(policy: &Policy) -> Result<(), Failure> {
    let left = hayward_agent::leave_firewalls(policy);
    let problems = left.map_err(|error| {
        Failure::Kernel(format!(
            "the table of nftables cannot be removed, and goes on dropping: {error}"
        ))
    })?;
    for problem in problems {
        eprintln!("{}", show::printable(&problem));
    }
    Ok(())
}
