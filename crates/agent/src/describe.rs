//! From an outcome to the journal's line.

use hayward_model::{Action, Finding, Guard, Outcome, Record, Verdict, Workload};
use hayward_record::id;
use hayward_rules::{
    Rule,
    table::{CommandTable, Cut},
};

use crate::{clock, outbound::has_limit, packet_sockets::of_socket, veil::Veil};

/// What was to be reached, by name or by address, or the banned string that was found: in the line, or where the match lies past what was kept of
/// it, in the window.
pub(crate) fn matched(finding: &Finding, table: Option<&CommandTable>) -> Option<String> {
    if let Some(pool) = &finding.evidence.pool
        && pool.dialect.is_name()
    {
        return Some(pool.message.clone());
    }
    if let Some(destination) = &finding.evidence.destination {
        return Some(destination.to_string());
    }
    let (table, rule) = table.zip(finding.rule)?;
    let end = finding.evidence.match_end.filter(|end| *end > 0)?;
    let line = finding.process.command_line.as_bytes();
    table.matched_text(rule, line, end).or_else(|| {
        let window = finding.evidence.match_window.as_ref()?.as_bytes();
        let ends = (1..=window.len()).rev();
        ends.filter_map(|end| u32::try_from(end).ok())
            .find_map(|end| table.matched_text(rule, window, end))
    })
}

/// The journal's line, but for the workload's names, which may come later. Nothing in it is of a secret rule, but its id.
pub(crate) fn describe(
    outcome: Outcome,
    rule: Option<&Rule>,
    matched: Option<String>,
    workload: Option<Workload>,
    veil: &Veil,
) -> Record {
    let setting = decided_by_setting(&outcome.verdict.finding);
    let Verdict {
        finding,
        mode,
        response,
    } = outcome.verdict;
    let Finding {
        mut process,
        mut evidence,
        ..
    } = finding;
    let secret = rule.is_some_and(|rule| rule.secret);
    veil.evidence(&mut evidence, secret);
    veil.process(
        &mut process,
        rule.is_some_and(|rule| rule.secret && !rule.executable.is_empty()),
    );
    let time = clock::timestamp(finding.boot_ns);
    Record {
        guard: Some(finding.guard),
        rule: rule
            .map(|rule| rule.id.clone())
            .or(setting.map(|(id, _)| id.to_owned())),
        reason: rule
            .filter(|_| !secret)
            .and_then(|rule| rule.reason.clone())
            .or(setting.map(|(_, reason)| reason.to_owned())),
        matched: matched
            .filter(|_| !secret)
            .map(|text| veil.text(&text, Cut::default())),
        generation: Some(finding.generation),
        mode: Some(mode),
        response: Some(response),
        process: Some(process),
        workload,
        evidence: Some(evidence),
        detail: outcome.error,
        ..Record::new(id::next(time), time, outcome.action)
    }
}

/// The setting or guard that decided where no rule did: what stands in the record as its rule and its reason.
fn decided_by_setting(finding: &Finding) -> Option<(&'static str, &'static str)> {
    if finding.guard == Guard::Randomx {
        return Some((
            "randomx",
            "its threads round as those of Monero miners do and nothing else is known to",
        ));
    }
    if finding.evidence.quarantined {
        return Some(("egress", "this workload is quarantined"));
    }
    if finding.evidence.other_workload {
        return Some(("egress", "it belongs to another workload"));
    }
    if finding.evidence.ban_list.is_some() {
        return Some(("egress", "it is on a ban list"));
    }
    if finding.guard == Guard::Egress {
        return Some(("egress", "this workload may not reach it"));
    }
    if finding.guard == Guard::Outbound {
        let reason = if has_limit(finding, "unique-destinations") {
            "it connected to more different destinations than settings allow a process"
        } else if of_socket(finding) {
            "it makes its packets itself, by a raw or packet socket"
        } else {
            "its first contacts with others are those of somebody who scans"
        };
        return Some(("outbound", reason));
    }
    if let Some(pool) = &finding.evidence.pool {
        let reason = if pool.dialect.is_name() {
            "it is the name of a mining pool"
        } else {
            "what is said on this connection is what miners and pools say"
        };
        return Some(("pool", reason));
    }
    match (finding.rule, finding.done, &finding.evidence.unscanned) {
        (None, Some(Action::Killed), Some(_)) => Some((
            "unscanned",
            "the command line could not be judged in the kernel, and `unscanned` is set to kill",
        )),
        (None, Some(Action::Killed | Action::Observed), None) if finding.evidence.fileless => {
            Some(("fileless", "the program has no name in any file system"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
