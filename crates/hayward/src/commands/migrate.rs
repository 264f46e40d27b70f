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

pub(crate) fn migrate(command: &MigrateCommand, json: bool) -> Result<(), Failure> {
    let MigrateCommand::Cryptnono { files, output } = command;
    let mut banned = Vec::new();
    let mut allowed = Vec::new();
    for file in files {
        let text = String::from_utf8(failure::read(file)?)
            .map_err(|error| bad_file(file, error.to_string(), "save it as UTF-8"))?;
        let value: Value = hayward_yaml::parse(&file.display().to_string(), &text)
            .map_err(|problem| Failure::BadInput(problem.to_string()))?;
        let before = allowed.len();
        collect(&value, &mut banned, &mut allowed);
        refuse_unusable(file, &allowed[before..])?;
    }
    if banned.is_empty() {
        let names: Vec<_> = files
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        return Err(Failure::BadInput(format!(
            "{}: no list `bannedCommandStrings` is found\n  help: name cryptnono's JSON rule file, or the values.yaml that holds it",
            names.join(", ")
        )));
    }
    let merged =
        serde_json::json!({"bannedCommandStrings": banned, "allowedCommandPatterns": allowed});
    fs::create_dir_all(output)?;
    let rules = fs::canonicalize(output)?.join("cryptnono.json");
    write_new(&rules, &serde_json::to_string_pretty(&merged)?)?;
    let settings = output.join("hayward.yaml");
    write_new(
        &settings,
        &SETTINGS.replace("RULES", &format!("{:?}", rules.display().to_string())),
    )?;
    let notes = hayward_rules::compat::notes(&banned, &allowed);
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

/// The two keys wherever they stand: at the top of a rule file, or deep in Helm values, where a file may be text.
fn collect(value: &Value, banned: &mut Vec<String>, allowed: &mut Vec<String>) {
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
                    "bannedCommandStrings" => banned.extend(strings()),
                    "allowedCommandPatterns" => allowed.extend(strings()),
                    _ => collect(value, banned, allowed),
                }
            }
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect(value, banned, allowed)),
        Value::String(text) if text.contains("bannedCommandStrings") => {
            if let Ok(inner) = hayward_yaml::parse::<Value>("text", text) {
                collect(&inner, banned, allowed);
            }
        }
        _ => {}
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
