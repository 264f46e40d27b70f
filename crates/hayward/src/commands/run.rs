//! `hayward run`: the agent in the foreground.

use std::{io::IsTerminal, sync::Arc};

use hayward_agent::{Agent, may_be_in_first_network, notify::notify, serve};
use hayward_model::Guard;
use hayward_policy::{InterfaceSelector, LogFormat, Policy};
use tokio::signal::unix::{SignalKind, signal};

use crate::{cli::RunArguments, failure::Failure, show};

pub(crate) fn run(arguments: &RunArguments, json: bool) -> Result<(), Failure> {
    let file = arguments.config.file();
    let device = std::env::var("SB_DEVICE").unwrap_or_default();
    let interfaces = interfaces(&arguments.interfaces, &device)?;
    let policy = Policy::load(file.as_deref())?.at_interfaces(&interfaces);
    refuse_reach_in_tests(&policy)?;
    start_log(policy.log, json);
    let running = Agent::start(policy, file)?;
    let agent = running.agent.clone();
    let (sender, receiver) = tokio::sync::watch::channel(false);
    watch_signals(agent.clone(), sender)?;
    let served = serve(&agent, || announce(&agent), receiver);
    notify("STOPPING=1");
    running.stop();
    Ok(served?)
}

/// Those of the command line; without any, that of scanblocker's variable, where it is set.
fn interfaces(
    named: &[InterfaceSelector],
    device: &str,
) -> Result<Vec<InterfaceSelector>, Failure> {
    if !named.is_empty() || device.is_empty() {
        return Ok(named.to_vec());
    }
    let device = InterfaceSelector::parse(device);
    device
        .map(|device| vec![device])
        .map_err(|problem| Failure::BadInput(format!("$SB_DEVICE: {problem}")))
}

/// A test that would reach beyond its own cgroup, or look at packets of the machine's own interfaces, is a bug that must not get
/// to act.
fn refuse_reach_in_tests(policy: &Policy) -> Result<(), Failure> {
    if std::env::var_os("HAYWARD_TEST").is_none() {
        return Ok(());
    }
    let confined =
        policy.cgroup_root != "/" && !policy.lease.is_zero() && policy.lease.as_secs() <= 60;
    if !confined {
        return Err(Failure::BadInput(
            "HAYWARD_TEST is set: set `cgroup_root` to the test's own cgroup and `lease` to at most 60s".to_owned(),
        ));
    }
    if policy.lists(Guard::Inbound) && may_be_in_first_network() {
        return Err(Failure::BadInput(
            "HAYWARD_TEST is set: run the guard `inbound` in a network namespace of the test's own (`ip netns exec`), since it would drop packets of this machine here".to_owned(),
        ));
    }
    Ok(())
}

fn start_log(format: LogFormat, json: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HAYWARD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    if json || format == LogFormat::Json || (format == LogFormat::Auto && !terminal) {
        builder.json().flatten_event(true).init();
    } else {
        builder
            .with_ansi(terminal && std::env::var_os("NO_COLOR").is_none())
            .init();
    }
}

fn announce(agent: &Arc<Agent>) {
    let status = agent.status();
    let policy = agent.policy();
    eprintln!(
        "Hayward {} guards {}",
        status.version,
        scope_in_words(&policy)
    );
    for (name, guard) in &status.guards {
        let reason = guard
            .reason
            .as_ref()
            .map(|reason| format!(" ({reason})"))
            .unwrap_or_default();
        let rules = match guard.generation {
            0 => String::new(),
            _ => format!(", {} rules", guard.rules),
        };
        eprintln!("  {name:10} {}{reason}{rules}", show::status(guard.status));
    }
    for notice in &status.notices {
        eprintln!("  note: {notice}");
    }
    if let Some(listen) = &status.metrics.listen {
        eprintln!("  metrics    http://{listen}/metrics");
    }
    eprintln!("  journal    {}", status.journal);
    eprintln!("Try it from another terminal: hayward drill; then: hayward events");
    notify("READY=1");
}

fn scope_in_words(policy: &Policy) -> String {
    let users = if policy.scope_rules().users() {
        " and users"
    } else {
        ""
    };
    format!(
        "the workloads below the cgroup {}{users}",
        policy.cgroup_root
    )
}

/// SIGHUP reloads; SIGTERM and SIGINT stop. On a thread of its own, so that a slow reload delays no answer.
fn watch_signals(agent: Arc<Agent>, stop: tokio::sync::watch::Sender<bool>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut hangup, mut terminate, mut interrupt) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::hangup())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = hangup.recv() => reload(&agent),
                        _ = terminate.recv() => break,
                        _ = interrupt.recv() => break,
                    }
                }
            });
            let _ = stop.send(true);
        })?;
    Ok(())
}

fn reload(agent: &Agent) {
    notify("RELOADING=1");
    match agent.reload(false, None) {
        Ok(report) => tracing::info!(
            "reloaded: {} rules in force for {}",
            report.rules,
            Guard::Command
        ),
        Err(error) => {
            tracing::error!("the new settings are refused, the old ones stay in force: {error}")
        }
    }
    notify("READY=1");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_comes_before_scanblockers_variable() {
        let parse = |text: &str| InterfaceSelector::parse(text).expect("a good one");
        let found = |named: &[InterfaceSelector], device: &str| {
            let found = interfaces(named, device).expect("good ones");
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            found(&[parse("eth1"), parse("en*")], "eth0"),
            ["eth1", "en*"]
        );
        assert_eq!(found(&[], "ens4"), ["ens4"]);
        assert!(found(&[], "").is_empty());
        let Err(failure) = interfaces(&[], "lo") else {
            panic!("lo is not looked at");
        };
        assert!(failure.to_string().contains("$SB_DEVICE"));
    }
}
