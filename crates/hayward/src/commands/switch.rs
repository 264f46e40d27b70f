//! `hayward off`, `on` and `reload`. Off and on go through the agent, which records who did it, and without one
//! through the pinned cells alone.

use std::{path::Path, time::Duration};

use hayward_agent::{OffRequest, ReloadReport, ReloadRequest, StatusReport};
use hayward_kernel::{Cells, Pins};
use hayward_model::Guard;
use hayward_policy::Policy;

use crate::{cli::ConfigArgument, client, failure::Failure, show};

pub(crate) fn off(
    socket: &Path,
    json: bool,
    guard: Option<Guard>,
    time: Option<Duration>,
    config: &ConfigArgument,
) -> Result<(), Failure> {
    let seconds = time.map(|time| time.as_secs().max(1));
    let request = OffRequest { guard, seconds };
    match client::post::<StatusReport>(socket, "/v1/off", &request) {
        Err(Failure::NoAgent(_)) => cells(config)?.off(guard, time)?,
        result => drop(result?),
    }
    let until = time.map_or("until `hayward on`".to_owned(), |time| {
        format!("for {} s", time.as_secs().max(1))
    });
    say(json, guard, "off", &until)
}

pub(crate) fn on(
    socket: &Path,
    json: bool,
    guard: Option<Guard>,
    config: &ConfigArgument,
) -> Result<(), Failure> {
    let request = OffRequest {
        guard,
        seconds: None,
    };
    match client::post::<StatusReport>(socket, "/v1/on", &request) {
        Err(Failure::NoAgent(_)) => cells(config)?.on(guard)?,
        result => drop(result?),
    }
    say(json, guard, "on", "")
}

fn cells(config: &ConfigArgument) -> Result<Cells, Failure> {
    // A settings file that has gone bad must not keep anybody from switching off: the default place is tried then.
    let pins = Policy::load(config.file().as_deref())
        .map_or_else(|_| "/sys/fs/bpf/hayward".into(), |policy| policy.pins);
    Ok(Cells::open(&Pins::new(pins))?)
}

fn say(json: bool, guard: Option<Guard>, what: &str, until: &str) -> Result<(), Failure> {
    let name = guard.map_or("all", Guard::name);
    if json {
        return show::json(&serde_json::json!({"guard": name, "switched": what}));
    }
    show::line(
        format!(
            "{} switched {what} {until}",
            if name == "all" { "everything is" } else { name }
        )
        .trim_end(),
    );
    Ok(())
}

pub(crate) fn reload(socket: &Path, json: bool, dry_run: bool) -> Result<(), Failure> {
    let report: ReloadReport = client::post(socket, "/v1/reload", &ReloadRequest { dry_run })?;
    if json {
        return show::json(&report);
    }
    let verb = if dry_run { "would be" } else { "are" };
    show::line(&format!("{} rules {verb} in force", report.rules));
    for (sign, ids) in [
        ("+", &report.added),
        ("-", &report.removed),
        ("~", &report.changed),
    ] {
        for id in ids {
            show::line(&format!("  {sign} {id}"));
        }
    }
    for key in &report.needs_restart {
        show::line(&format!("  `{key}` has changed and needs a restart"));
    }
    for (record, rule) in &report.would_stop {
        show::line(&format!("  would have stopped {record} by {rule}"));
    }
    Ok(())
}
