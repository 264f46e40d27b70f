//! Rules and command lines to measure with: made from a fixed seed, the same on every machine.

use hayward_model::Mode;
use hayward_rules::{Origin, Rule, table::CommandTable};

/// A table of so many banned strings of 8 to 20 letters and digits.
pub(crate) fn table(strings: usize) -> CommandTable {
    let mut seed = 0x1234_5678_9abc_def1u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let alphabet = b"abcdefghijklmnopqrstuvwxyz0123456789-.";
    let banned = (0..strings)
        .map(|_| {
            let length = 8 + next() % 13;
            (0..length)
                .map(|_| alphabet[usize::try_from(next() % 38).unwrap_or_default()])
                .collect()
        })
        .collect();
    let rule = Rule {
        id: "bench".to_owned(),
        banned,
        executable: vec![
            "xmrig".to_owned(),
            "minerd".to_owned(),
            "xmr-stak*".to_owned(),
        ],
        allow: Vec::new(),
        mode: Mode::Enforce,
        response: None,
        reason: None,
        source: None,
        expires: None,
        secret: false,
        origin: Origin {
            file: "bench".to_owned(),
            line: 1,
        },
    };
    let mut strings_only = rule.clone();
    strings_only.executable.clear();
    let mut executables_only = rule;
    executables_only.id = "bench-executables".to_owned();
    executables_only.banned.clear();
    CommandTable::compile(vec![strings_only, executables_only], 1, |_| 0)
        .unwrap_or_else(|error| panic!("the benchmark's own rules are bad: {error}"))
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
