//! `hayward rules`: working on rule files.

use std::{fs, io::Write, path::Path};

use hayward_rules::{Rule, RuleSet, diff, generate, load, render, secret, table::CommandTable};

use crate::{
    cli::{Keys, RulesCommand},
    failure::Failure,
    show,
};

pub(crate) fn rules(command: RulesCommand, json: bool) -> Result<(), Failure> {
    match command {
        RulesCommand::List { files, keys } => {
            let files = if files.is_empty() {
                vec!["builtin".to_owned()]
            } else {
                files
            };
            list(&read(&files, &keys)?.rules, json)
        }
        RulesCommand::Test { files, keys } => test(read(&files, &keys)?, json),
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
            write(&secret::encrypt(&fs::read(file)?, &recipients)?)
        }
        RulesCommand::Decrypt { file, keys } => write(&decrypted(&file, &keys)?),
        RulesCommand::Generate { recipe, keys } => {
            let encrypted = recipe
                .extension()
                .is_some_and(|extension| extension == "age");
            let bytes = if encrypted {
                decrypted(&recipe, &keys)?
            } else {
                fs::read(&recipe)?
            };
            let text = String::from_utf8(bytes)?;
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
            write(&secret::encrypt(text.as_bytes(), &recipients)?)
        }
    }
}

fn read(files: &[String], keys: &Keys) -> Result<RuleSet, Failure> {
    Ok(load(files, keys.identity.as_deref())?)
}

fn decrypted(file: &Path, keys: &Keys) -> Result<Vec<u8>, Failure> {
    let identity = keys.identity.as_deref().ok_or_else(|| {
        Failure::BadInput(format!(
            "{}: is encrypted: name your keys with --identity FILE",
            file.display()
        ))
    })?;
    Ok(secret::decrypt(&fs::read(file)?, identity)?)
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
        "{rules} rules of {files} files are good; a table of {} KiB",
        bytes >> 10
    ));
    for notice in notices {
        show::line(&format!("  note: {notice}"));
    }
    Ok(())
}
