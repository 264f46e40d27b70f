//! `hayward tell`: who is told of records, and whether messages arrive.

use std::path::Path;

use hayward_tell::{TargetReport, TestReport};

use crate::{client, failure::Failure, show};

pub(crate) fn tell(socket: &Path, json: bool, test: bool) -> Result<(), Failure> {
    if test {
        return try_all(socket, json);
    }
    let targets: Vec<TargetReport> = client::get(socket, "/v1/tell")?;
    if json {
        return show::json(&targets);
    }
    if targets.is_empty() {
        show::line("nobody: name commands or webhooks with `tell` in the settings");
    }
    for target in &targets {
        show::line(&in_words(target));
        if let Some(error) = &target.error {
            show::line(&format!("  fails: {}", show::printable(error)));
        }
    }
    Ok(())
}

/// A target with what became of records, in a line.
pub(crate) fn in_words(target: &TargetReport) -> String {
    let told = target.told.iter().filter(|(_, count)| **count > 0);
    let told = told.map(|(fate, count)| format!("{count} {fate}"));
    let waiting = (target.waiting > 0).then(|| format!("{} waiting", target.waiting));
    let counts: Vec<String> = told.chain(waiting).collect();
    let text = format!("{} {}  {}", target.kind, target.name, counts.join(", "));
    text.trim_end().to_owned()
}

fn try_all(socket: &Path, json: bool) -> Result<(), Failure> {
    let reports: Vec<TestReport> = client::post(socket, "/v1/tell/test", &serde_json::json!({}))?;
    if json {
        show::json(&reports)?;
    }
    for report in reports.iter().filter(|_| !json) {
        let came = match &report.error {
            None => format!("told in {} ms", report.milliseconds),
            Some(error) => format!("failed: {}", show::printable(error)),
        };
        show::line(&format!("{} {}  {came}", report.kind, report.name));
    }
    let failed = reports.iter().filter(|report| report.error.is_some());
    match failed.count() {
        0 if reports.is_empty() => Err(Failure::NotSo(
            "there is nobody to tell: name commands or webhooks with `tell` in the settings"
                .to_owned(),
        )),
        0 => Ok(()),
        failed => Err(Failure::NotSo(format!(
            "{failed} of {} were not told",
            reports.len()
        ))),
    }
}
