//! `hayward rules`: working on rule files.

use std::{io::Write, path::Path};

use hayward_agent::rules_of;
use hayward_model::{Guard, Mode, Response};
use hayward_policy::Policy;
use hayward_rules::{Rule, RuleSet, diff, generate, load, render, secret, table::CommandTable};

use crate::{
    cli::{Keys, RulesCommand},
    failure::{Failure, bad_file, read as read_file},
    show,
};

pub(crate) fn rules(command: RulesCommand, json: bool) -> Result<(), Failure> {
    match command {
        RulesCommand::List {
            files,
            keys,
            config,
        } => {
            if !files.is_empty() {
                return list(&read(&files, &keys)?.rules, json);
            }
            let mut policy = Policy::load(config.file().as_deref())?;
            policy.identity = keys.identity.or(policy.identity);
            let mut rules = rules_of(&policy)?.rules;
            for rule in &mut rules {
                let response = match rule.response {
                    Some(Response::Observe) => Mode::Observe,
                    _ => Mode::Enforce,
                };
                rule.mode = rule
                    .mode
                    .and(response)
                    .and(policy.general_mode(Guard::Command));
            }
            list(&rules, json)
        }
        RulesCommand::Test { files, keys } => {
            let set = read(&files, &keys)?;
            if set.files.is_empty() {
                let message = format!("{}: finds no file", files.join(" "));
                return Err(Failure::BadInput(message));
            }
            test(set, json)
        }
        RulesCommand::Diff { old, new, keys } => {
            let (old, new) = (read(&[old], &keys)?, read(&[new], &keys)?);
            let difference = diff(&old.rules, &new.rules);
            if json {
                return show::json(&difference);
            }
            let signs = [
                ("+", difference.added),
                ("-", difference.removed),
                ("~", difference.changed),
            ];
            for (sign, ids) in signs {
                for id in ids {
                    show::line(&format!("{sign} {id}"));
                }
            }
            Ok(())
        }
        RulesCommand::Encrypt { file, recipients } => {
            write(&encrypted(&read_file(&file)?, &recipients)?)
        }
        RulesCommand::Decrypt { file, keys } => write(&decrypted(&file, &keys)?),
        RulesCommand::Generate { recipe, keys } => {
            let is_secret = recipe
                .extension()
                .is_some_and(|extension| extension == "age");
            let bytes = if is_secret {
                decrypted(&recipe, &keys)?
            } else {
                read_file(&recipe)?
            };
            let text = String::from_utf8(bytes)
                .map_err(|error| bad_file(&recipe, error.to_string(), "save it as UTF-8"))?;
            let name = recipe.display().to_string();
            let generated =
                generate(&name, &text).map_err(|problem| Failure::BadInput(problem.to_string()))?;
            write(generated.as_bytes())
        }
        RulesCommand::Export {
            files,
            recipients,
            keys,
        } => {
            let text = render(&read(&files, &keys)?.rules)
                .map_err(|e| Failure::Other(anyhow::anyhow!(e)))?;
            write(&encrypted(text.as_bytes(), &recipients)?)
        }
    }
}

fn read(files: &[String], keys: &Keys) -> Result<RuleSet, Failure> {
    Ok(load(files, keys.identity.as_deref())?)
}

fn decrypted(file: &Path, keys: &Keys) -> Result<Vec<u8>, Failure> {
    let identity = keys.identity.as_deref().ok_or_else(|| {
        let message = "is encrypted and no identity is named".to_owned();
        bad_file(file, message, "name the file of your keys with --identity")
    })?;
    secret::decrypt(&read_file(file)?, identity).map_err(|error| {
        let help = "check --identity, and for whom the file was encrypted";
        bad_file(file, error.to_string(), help)
    })
}

fn encrypted(bytes: &[u8], recipients: &[String]) -> Result<Vec<u8>, Failure> {
    secret::encrypt(bytes, recipients).map_err(|error| Failure::BadInput(error.to_string()))
}

fn write(bytes: &[u8]) -> Result<(), Failure> {
    Ok(std::io::stdout().lock().write_all(bytes)?)
}

fn list(rules: &[Rule], json: bool) -> Result<(), Failure> {
    if json {
        let value: Vec<_> = rules
            .iter()
            .map(|rule| {
                let strings = (!rule.secret).then(|| {
                    rule.banned
                        .iter()
                        .map(|b| String::from_utf8_lossy(b).into_owned())
                        .collect::<Vec<_>>()
                });
                serde_json::json!({
                    "id": rule.id, "mode": rule.mode, "secret": rule.secret, "banned": strings,
                    "executable": (!rule.secret).then_some(&rule.executable),
                    "reason": rule.reason.as_ref().filter(|_| !rule.secret),
                    "origin": rule.origin.to_string(),
                })
            })
            .collect();
        return show::json(&value);
    }
    let rows: Vec<Vec<String>> = rules
        .iter()
        .map(|rule| {
            let mode = serde_json::to_value(rule.mode).unwrap_or_default();
            let what = if rule.secret {
                "(secret)".to_owned()
            } else {
                rule.reason.clone().unwrap_or_default()
            };
            vec![
                rule.id.clone(),
                mode.as_str().unwrap_or_default().to_owned(),
                rule.banned.len().to_string(),
                rule.executable.len().to_string(),
                what,
            ]
        })
        .collect();
    show::table(&["RULE", "MODE", "STRINGS", "EXECUTABLES", "REASON"], &rows);
    Ok(())
}

fn test(set: RuleSet, json: bool) -> Result<(), Failure> {
    let (files, notices) = (set.files.len(), set.notices);
    let table = CommandTable::compile(set.rules, 1, |_| 0)?;
    let (rules, bytes) = (table.rules().len(), table.words().len() * 4);
    hayward_kernel::size_class(bytes)?;
    if json {
        return show::json(
            &serde_json::json!({"rules": rules, "table_bytes": bytes, "notices": notices}),
        );
    }
    show::line(&format!(
        "good: {} of {}, a table of {} KiB",
        show::count(rules, "rule"),
        show::count(files, "file"),
        bytes >> 10
    ));
    for notice in notices {
        show::line(&format!("  note: {notice}"));
    }
    Ok(())
}
