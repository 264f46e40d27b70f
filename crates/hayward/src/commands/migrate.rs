//! `hayward migrate cryptnono`: settings and rules from those of cryptnono.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    cli::MigrateCommand,
    failure::{self, Failure, bad_file},
    show,
};

const SETTINGS: &str = "# Written by `hayward migrate cryptnono`.\n\
mode: enforce\n\
scope: { include: [containers] }\n\
guards:\n  command: { response: kill, rules: [builtin, RULES] }\n\
\u{20} randomx: { response: kill }   # in the place of its Monero detector\n\
compat: [cryptnono]   # its log lines, so that alerts go on\n";

const FLOWS: &str = "\u{20} outbound: { profile: flowkiller, unique_destinations: UNIQUE, lookback: LOOKBACK }   # in the place of its flowkiller\n";

const FLOWS_NOTE: &str = "the guard `outbound` has limits of its own beside `unique_destinations`: whoever scans makes no first contacts for a while, also where it would not have been killed; docs/outbound.md says what is not counted";

/// What `unique_destinations` may be.
const MOST_UNIQUE: u64 = 63;

const BANS: &str =
    "\u{20} egress: { policy: open, ban_lists: LISTS }   # in the place of its banned addresses\n";

const LISTS_NOTE: &str = "who wants to reach a banned address is refused that, and not killed; the paths of `ban_lists` are those in cryptnono's container: put the files on this host and correct them";

pub(crate) fn migrate(command: &MigrateCommand, json: bool) -> Result<(), Failure> {
    let MigrateCommand::Cryptnono { files, output } = command;
    let mut found = Found::default();
    for file in files {
        let text = String::from_utf8(failure::read(file)?)
            .map_err(|error| bad_file(file, error.to_string(), "save it as UTF-8"))?;
        let value: Value = hayward_yaml::parse(&file.display().to_string(), &text)
            .map_err(|problem| Failure::BadInput(problem.to_string()))?;
        let before = found.allowed.len();
        found.collect(&value);
        refuse_unusable(file, &found.allowed[before..])?;
    }
    let Found {
        banned,
        allowed,
        lists,
        flows,
    } = found;
    if banned.is_empty() && lists.is_empty() && flows.is_none() {
        let names: Vec<_> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        return Err(Failure::BadInput(format!(
            "{}: neither a list `bannedCommandStrings`, nor `FlowKiller` with its settings, nor `banned_ipv4_file_globs` is found\n  help: name cryptnono's JSON files, or the values.yaml that holds them",
            names.join(", ")
        )));
    }
    let merged =
        serde_json::json!({"bannedCommandStrings": banned, "allowedCommandPatterns": allowed});
    fs::create_dir_all(output)?;
    let rules = fs::canonicalize(output)?.join("cryptnono.json");
    write_new(&rules, &serde_json::to_string_pretty(&merged)?)?;
    let settings = output.join("hayward.yaml");
    let mut text = SETTINGS.replace("RULES", &format!("{:?}", rules.display().to_string()));
    let mut notes = hayward_rules::compat::notes(&banned, &allowed);
    if !lists.is_empty() {
        text = text.replace(
            "compat:",
            &format!(
                "{}compat:",
                BANS.replace("LISTS", &serde_json::to_string(&lists)?)
            ),
        );
        notes.push(LISTS_NOTE.to_owned());
    }
    if let Some(flows) = flows {
        let line = FLOWS.replace("UNIQUE", &flows.unique.clamp(1, MOST_UNIQUE).to_string());
        let line = line.replace("LOOKBACK", &format!("{}s", flows.lookback));
        text = text.replace("compat:", &format!("{line}compat:"));
        notes.push(FLOWS_NOTE.to_owned());
        if flows.unique > MOST_UNIQUE {
            notes.push(format!(
                "`unique_destinations` is {MOST_UNIQUE} at most, and not {}",
                flows.unique
            ));
        }
    }
    write_new(&settings, &text)?;
    if json {
        return show::json(
            &serde_json::json!({"settings": settings, "rules": rules, "notes": notes}),
        );
    }
    show::line(&format!(
        "wrote {} and {}",
        settings.display(),
        rules.display()
    ));
    for note in notes {
        show::line(&format!("  note: {note}"));
    }
    Ok(())
}

/// A pattern that the kernel cannot judge would spare nobody: what it was to spare must not die unnoticed.
fn refuse_unusable(file: &Path, allowed: &[String]) -> Result<(), Failure> {
    for pattern in allowed {
        hayward_rules::table::check_allow(pattern).map_err(|reason| {
            let message = format!("the allow pattern {pattern} cannot be used: {reason}");
            bad_file(file, message, hayward_rules::table::ALLOW_HELP)
        })?;
    }
    Ok(())
}

/// What cryptnono's settings say.
#[derive(Debug, Default)]
struct Found {
    banned: Vec<String>,
    allowed: Vec<String>,
    /// Files of banned addresses.
    lists: Vec<String>,
    /// Flowkiller's limit, where there is any word of it.
    flows: Option<Flows>,
}

/// How many different destinations flowkiller allows, and within how many seconds.
#[derive(Debug)]
struct Flows {
    unique: u64,
    lookback: u64,
}

/// What cryptnono does where nothing is said.
impl Default for Flows {
    fn default() -> Self {
        Self {
            unique: 15,
            lookback: 30,
        }
    }
}

impl Found {
    /// The keys wherever they stand: at the top of a file, or deep in Helm values, where a file may be text.
    fn collect(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let strings = || {
                        value
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(Value::as_str)
                            .map(str::to_owned)
                    };
                    match key.as_str() {
                        "bannedCommandStrings" => self.banned.extend(strings()),
                        "allowedCommandPatterns" => self.allowed.extend(strings()),
                        "banned_ipv4_file_globs" => self.lists.extend(strings()),
                        "unique_destinations_threshold" => {
                            let flows = self.flows.get_or_insert_default();
                            flows.unique = value.as_u64().unwrap_or(flows.unique);
                        }
                        "lookback_duration_seconds" => {
                            let flows = self.flows.get_or_insert_default();
                            flows.lookback = value.as_u64().unwrap_or(flows.lookback);
                        }
                        _ => self.collect(value),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.collect(value)),
            Value::String(text)
                if [
                    "bannedCommandStrings",
                    "banned_ipv4_file_globs",
                    "unique_destinations_threshold",
                ]
                .iter()
                .any(|key| text.contains(key)) =>
            {
                if let Ok(inner) = hayward_yaml::parse::<Value>("text", text) {
                    self.collect(&inner);
                }
            }
            _ => {}
        }
    }
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let file = fs::File::options().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| {
        Failure::Other(anyhow::anyhow!(
            "cannot write {}: {error}; name another folder with --output",
            path.display()
        ))
    })?;
    Ok(file.write_all(text.as_bytes())?)
}
