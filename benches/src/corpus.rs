//! Rules and command lines to measure with: made from a fixed seed, the same on every machine.

use hayward_rules::{Rule, table::CommandTable};

/// So many banned strings of 8 to 20 letters, digits, `-` and `.`.
pub(crate) fn strings(count: usize) -> Vec<Vec<u8>> {
    let mut seed = 0x1234_5678_9abc_def1u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789-.";
    (0..count)
        .map(|_| {
            let length = 8 + next() % 13;
            (0..length)
                .map(|_| alphabet[usize::try_from(next() % 38).unwrap_or_default()])
                .collect()
        })
        .collect()
}

/// A rule file that bans so many strings.
pub(crate) fn rule_file(count: usize) -> String {
    let mut text = "rules:\n  - id: bench\n    reason: measured\n    banned:\n".to_owned();
    for string in strings(count) {
        text.push_str("      - \"");
        text.push_str(&String::from_utf8_lossy(&string));
        text.push_str("\"\n");
    }
    text
}

/// A table of so many banned strings, and some executables.
pub(crate) fn table(count: usize) -> CommandTable {
    let mut banned = rule("bench", 1);
    banned.banned = strings(count);
    let mut executables = rule("bench-executables", 1);
    executables.executable = ["xmrig", "minerd", "xmr-stak*"].map(str::to_owned).to_vec();
    compile(vec![banned, executables])
}

/// Rules of so many files, each with a banned string and an allow pattern of its own.
pub(crate) fn rules_with_allow(files: usize) -> Vec<Rule> {
    let rules = (0..files).map(|index| {
        let mut rule = rule(&format!("file-{index}"), index);
        rule.banned = vec![format!("banned-{index}").into_bytes()];
        rule.allow = vec![format!(".*allowed-{index} .*")];
        rule
    });
    rules.collect()
}

/// A line of so many bytes that each of these rules matches and spares.
pub(crate) fn line_with_all_allowed(files: usize, bytes: usize) -> Vec<u8> {
    let mut line: Vec<u8> = (0..files)
        .flat_map(|index| format!("banned-{index}\0").into_bytes())
        .collect();
    let end: Vec<u8> = (0..files)
        .flat_map(|index| format!("allowed-{index}\0").into_bytes())
        .collect();
    line.resize(bytes - end.len(), b'x');
    line.extend(end);
    line
}

/// Compiles rules that are known to be good.
pub(crate) fn compile(rules: Vec<Rule>) -> CommandTable {
    CommandTable::compile(rules, 1, |_| 0)
        .unwrap_or_else(|error| panic!("the benchmark's own rules are bad: {error}"))
}

fn rule(id: &str, line: usize) -> Rule {
    Rule::new(id, "bench", line)
}

/// A harmless command line of exactly so many bytes, as a notebook server starts them.
pub(crate) fn line(bytes: usize) -> Vec<u8> {
    let text = b"/opt/conda/bin/python\0-m\0ipykernel_launcher\0-f\0/home/jovyan/.local/share/jupyter/runtime/kernel-3f0a9c52-7b1d-4c7e-9a57-1f1f5b7d0c11.json\0--matplotlib\0inline\0--log-level=30\0";
    let mut line: Vec<u8> = text
        .iter()
        .copied()
        .cycle()
        .take(bytes.saturating_sub(1))
        .collect();
    line.push(0);
    line
}
