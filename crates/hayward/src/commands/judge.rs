//! `hayward judge` and `check`: offline, with the very tables that the kernel gets.

use hayward_agent::rules_of;
use hayward_kernel::size_class;
use hayward_model::{Guard, Mode};
use hayward_policy::Policy;
use hayward_rules::table::{CommandTable, Judgement};

use crate::{
    cli::{ConfigArgument, JudgeCommand},
    commands::{pcap, samples},
    failure::Failure,
    show,
};

pub(crate) fn judge(command: &JudgeCommand, json: bool) -> Result<(), Failure> {
    match command {
        JudgeCommand::Command {
            line,
            executable,
            config,
        } => judge_command(line, executable.as_deref(), config, json),
        JudgeCommand::Pcap(arguments) => pcap::judge(arguments, json),
        JudgeCommand::Randomx { file } => samples::judge(file, json),
    }
}

fn judge_command(
    line: &str,
    executable: Option<&str>,
    config: &ConfigArgument,
    json: bool,
) -> Result<(), Failure> {
    let (policy, table, _) = compile(config)?;
    let arguments: Vec<u8> = line
        .split_ascii_whitespace()
        .flat_map(|argument| argument.bytes().chain([0]))
        .collect();
    let first = line.split_ascii_whitespace().next().unwrap_or_default();
    // A bare name stands for a file somewhere on the path.
    let executable = executable.map_or_else(
        || {
            if first.starts_with('/') {
                first.to_owned()
            } else {
                format!("/{first}")
            }
        },
        str::to_owned,
    );
    let judged = table.judge(&arguments, Some(executable.as_bytes()), 0);
    let (verdict, rule) = match judged {
        Judgement::Clean => ("clean", None),
        Judgement::Spared { rule, .. } => ("spared", Some(rule)),
        Judgement::Observed { rule, .. } => ("observed", Some(rule)),
        Judgement::Banned { rule, .. } if policy.general_mode(Guard::Command) == Mode::Observe => {
            ("observed", Some(rule))
        }
        Judgement::Banned { rule, .. } => ("banned", Some(rule)),
    };
    let rule = rule.and_then(|rule| table.rules().get(rule as usize));
    if json {
        let reason = rule
            .filter(|rule| !rule.secret)
            .and_then(|rule| rule.reason.clone());
        return show::json(&serde_json::json!({
            "verdict": verdict, "rule": rule.map(|rule| &rule.id), "reason": reason,
        }));
    }
    match rule {
        None if !policy.command.enabled => {
            show::line(&format!("{verdict}  the `command` guard is off"));
        }
        None => show::line(verdict),
        Some(rule) => {
            let reason = rule
                .reason
                .as_deref()
                .filter(|_| !rule.secret)
                .unwrap_or_default();
            show::line(format!("{verdict}  {}  {reason}", rule.id).trim_end());
        }
    }
    Ok(())
}

pub(crate) fn check(config: &ConfigArgument, json: bool) -> Result<(), Failure> {
    let (policy, table, mut notices) = compile(config)?;
    for words in [table.words(), policy.scope_rules().table().words()] {
        size_class(words.len() * 4)?;
    }
    hayward_tell::prepare(&policy.tell)?;
    let bans = hayward_agent::bans_of(&policy)?;
    notices.extend(hayward_agent::refuse_cutting_node(&policy, &bans)?);
    let told: Vec<_> = policy
        .tell
        .iter()
        .map(|told| (told.target.kind(), told.name.as_str()))
        .collect();
    if json {
        return show::json(&serde_json::json!({
            "rules": table.rules().len(), "table_bytes": table.words().len() * 4, "notices": notices,
            "bans": bans.iter().map(|list| serde_json::json!({ "name": list.name, "prefixes": list.nets.len(), "names": list.names.len() })).collect::<Vec<_>>(),
            "tell": told.iter().map(|(kind, name)| serde_json::json!({ "kind": kind, "name": name })).collect::<Vec<_>>(),
        }));
    }
    let file = config.file().map_or("default settings".to_owned(), |file| {
        file.display().to_string()
    });
    show::line(&format!(
        "{file}: good; {}, a table of {} KiB",
        show::count(table.rules().len(), "rule"),
        table.words().len() / 256
    ));
    for list in &bans {
        let names = match list.names.len() {
            0 => String::new(),
            names => format!(", {}", show::count(names, "name")),
        };
        let prefixes = list.nets.len();
        show::line(&format!(
            "  bans {prefixes} prefixes by {}{names}",
            list.name
        ));
    }
    for (kind, name) in told {
        show::line(&format!("  tells the {kind} {name}"));
    }
    for notice in notices {
        show::line(&format!("  note: {notice}"));
    }
    Ok(())
}

fn compile(config: &ConfigArgument) -> Result<(Policy, CommandTable, Vec<String>), Failure> {
    let policy = Policy::load(config.file().as_deref())?;
    let set = rules_of(&policy)?;
    let table = CommandTable::compile(set.rules, 1, |_| 0)?;
    hayward_kernel::size_class(table.words().len() * 4)?;
    let warnings = policy.warnings.iter().cloned();
    let notices = warnings.chain(set.notices).collect();
    Ok((policy, table, notices))
}
