//! Every subcommand, one file each where it is more than a call.

mod bans;
mod breaker;
mod drill;
mod events;
mod grants;
mod install;
mod judge;
mod migrate;
mod pcap;
mod probe;
mod rules;
mod run;
mod samples;
mod status;
mod strikes;
mod support;
mod switch;
mod tell;
mod trace;
mod workloads;

use clap::CommandFactory;
use hayward_agent::{Forgot, Holds};
use hayward_respond::Act;

use crate::{
    cli::{Cli, Command, GrantsCommand, ReferenceKind},
    client,
    failure::Failure,
    show,
};

/// Does what the command line says.
pub(crate) fn execute(cli: Cli) -> Result<(), Failure> {
    let (socket, json) = (cli.socket, cli.json);
    match cli.command {
        Command::Run(arguments) => run::run(&arguments, json),
        Command::Status {
            workload: Some(workload),
            ..
        } => workloads::why(&socket, json, &workload),
        Command::Status { wait, timeout, .. } => status::status(&socket, json, wait, timeout),
        Command::Probe => probe::probe(json),
        Command::Drill => drill::drill(&socket, json),
        Command::Events { filter, follow } => events::events(&socket, json, &filter, follow),
        Command::Explain { id } => events::explain(&socket, json, &id),
        Command::Trace(asked) => trace::trace(&asked, json),
        Command::Report { since } => events::report(&socket, json, since),
        Command::Check(config) => judge::check(&config, json),
        Command::Samples { pid, time } => samples::samples(&socket, pid, time),
        Command::Judge(command) => judge::judge(&command, json),
        Command::Rules(command) => rules::rules(command, json),
        Command::Reload { dry_run } => switch::reload(&socket, json, dry_run),
        Command::Off {
            guard,
            time,
            config,
        } => switch::off(&socket, json, guard, time, &config),
        Command::On { guard, config } => switch::on(&socket, json, guard, &config),
        Command::Workloads => workloads::workloads(&socket, json),
        Command::Freeze(on) => workloads::act(&socket, json, on, Act::Freeze, false),
        Command::Thaw(on) => workloads::act(&socket, json, on, Act::Thaw, false),
        Command::Throttle {
            on,
            share,
            or_freeze,
        } => workloads::act(&socket, json, on, Act::Throttle(share), or_freeze),
        Command::Release(on) => workloads::act(&socket, json, on, Act::Release, false),
        Command::KillWorkload(on) => workloads::act(&socket, json, on, Act::KillWorkload, false),
        Command::Evict { on, grace, or_kill } => {
            workloads::act(&socket, json, on, Act::Evict(grace), or_kill)
        }
        Command::Grants { command } => match command {
            GrantsCommand::List => grants::list(&socket, json),
            GrantsCommand::Add { workload, to, time } => {
                grants::set(&socket, json, workload, Holds::Granted, time, to)
            }
            GrantsCommand::Revoke { workload } => {
                grants::set(&socket, json, workload, Holds::List, None, Vec::new())
            }
        },
        Command::Bans { command } => bans::bans(&socket, json, command),
        Command::Quarantine { workload, time } => grants::set(
            &socket,
            json,
            workload,
            Holds::Quarantined,
            time,
            Vec::new(),
        ),
        Command::Strikes => strikes::strikes(&socket, json),
        Command::Forgive { workload } => strikes::forgive(&socket, json, workload),
        Command::Breaker { command } => breaker::breaker(&socket, json, command),
        Command::Tell { test } => tell::tell(&socket, json, test),
        Command::Migrate(command) => migrate::migrate(&command, json),
        Command::Forget { subject } => {
            let request = hayward_agent::ForgetRequest { subject };
            let forgot: Forgot = client::post(&socket, "/v1/forget", &request)?;
            if json {
                return show::json(&forgot);
            }
            let mut what = show::count_of(forgot.removed, "record");
            if forgot.contacts > 0 {
                what.push_str(" and ");
                what.push_str(&show::count_of(forgot.contacts, "contact"));
            }
            show::line(&format!("{what} removed"));
            Ok(())
        }
        Command::Support => support::support(&socket),
        Command::Install { root } => install::install(&root, json),
        Command::Uninstall { config, root } => install::uninstall(&config, root.as_deref(), json),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "hayward",
                &mut std::io::stdout(),
            );
            Ok(())
        }
        Command::Man => Ok(clap_mangen::Man::new(Cli::command()).render(&mut std::io::stdout())?),
        Command::Reference { what } => {
            show::line(reference(what).trim_end());
            Ok(())
        }
        Command::Canary {
            cgroup,
            descriptor,
            argument,
        } => Err(hayward_agent::launch_canary(&cgroup, &descriptor, &argument).into()),
        Command::CanarySending { cgroup } => {
            if hayward_agent::send_as_canary(&cgroup)? {
                return Ok(());
            }
            Err(Failure::NotSo("the canary's datagram left".to_owned()))
        }
        Command::CanarySubscribing { cgroup } => {
            if hayward_agent::subscribe_as_canary(&cgroup)? {
                return Ok(());
            }
            Err(Failure::NotSo(
                "the canary's subscription arrived".to_owned(),
            ))
        }
        Command::CanaryReaching { cgroup } => {
            if hayward_agent::reach_as_canary(&cgroup)? {
                return Ok(());
            }
            Err(Failure::NotSo("nothing was refused".to_owned()))
        }
        Command::CanaryScanning { cgroup } => {
            if hayward_agent::scan_as_canary(&cgroup)? {
                return Ok(());
            }
            Err(Failure::NotSo("the canary's scan went on".to_owned()))
        }
        Command::CanaryRounding { cgroup } => Ok(hayward_agent::round_as_canary(&cgroup)?),
        Command::CanaryMining => {
            hayward_agent::mine_as_canary();
            Ok(())
        }
        Command::CanarySurvived { argument } => Err(Failure::NotSo(format!(
            "the canary {argument} was not stopped"
        ))),
    }
}

fn reference(what: ReferenceKind) -> String {
    match what {
        ReferenceKind::Settings => hayward_policy::reference(),
        ReferenceKind::Metrics => hayward_record::metrics::reference(),
        ReferenceKind::Cli => {
            let mut text = "# Command line\n".to_owned();
            let mut command = Cli::command();
            command.build();
            describe(&mut command, "hayward", &mut text);
            text
        }
    }
}

/// A section for a command and for each below it.
fn describe(command: &mut clap::Command, name: &str, text: &mut String) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    text.push_str(&format!(
        "\n## {name}\n\n```text\n{}\n```\n",
        help.join("\n").trim_end()
    ));
    for below in command.get_subcommands_mut() {
        if !below.is_hide_set() && below.get_name() != "help" {
            let name = format!("{name} {}", below.get_name());
            describe(below, &name, text);
        }
    }
}
