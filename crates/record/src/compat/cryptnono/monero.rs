//! The log line of cryptnono's Monero detector, a script of bpftrace's: plain text, one line for each kill.

use hayward_model::{Action, Record};

/// The line; none for what the script has none for: it only kills.
pub(super) fn line(record: &Record) -> Option<String> {
    let (process, evidence) = (record.process.as_ref()?, record.evidence.as_ref()?);
    let mining = evidence
        .mining
        .as_ref()
        .filter(|_| record.action == Action::Killed)?;
    // The script prints the mode of the sample at which it kills, which is never the nearest.
    let mode = (1..4).max_by_key(|mode| mining.modes[*mode])?;
    let time = record.time.strftime("%Y-%m-%dT%H:%M:%S%z");
    // As ps prints what would break the line.
    let command = process.command_line.replace(char::is_control, "?");
    let pid = process.pid;
    Some(format!(
        "[{time}] killed pid:{pid} fpcr:{mode} cmd:{command}"
    ))
}

#[cfg(test)]
mod tests {
    use hayward_model::{Evidence, Guard, MiningEvidence};

    use super::*;
    use crate::journal::samples;

    fn killed() -> Record {
        samples::killed(1, "randomx", "w")
    }

    fn mined() -> Record {
        let mut record = killed();
        record.guard = Some(Guard::Randomx);
        let mining = MiningEvidence {
            modes: [40, 30, 33, 31],
            samples: 134,
            flushed: 134,
            milliseconds: 900,
            threads: 1,
            nats: 38,
            memory_mib: Some(300),
            generated_code: Some(true),
            lacks: None,
        };
        record.evidence = Some(Evidence {
            mining: Some(mining),
            ..Evidence::default()
        });
        record
    }

    #[test]
    fn a_kill_is_one_line_as_the_script_prints_it() {
        let mut record = mined();
        let process = record.process.as_mut().expect("a process");
        process.pid = 77;
        process.command_line = "python3 -c 'a\nb'".to_owned();
        record.time = "2026-05-04T03:02:01Z".parse().expect("a time");
        assert_eq!(
            line(&record).as_deref(),
            Some("[2026-05-04T03:02:01+0000] killed pid:77 fpcr:2 cmd:python3 -c 'a?b'")
        );
    }

    #[test]
    fn nothing_else_has_a_line() {
        for action in [Action::Observed, Action::Missed] {
            let record = Record { action, ..mined() };
            assert_eq!(line(&record), None);
        }
        assert_eq!(line(&killed()), None, "another guard's");
    }
}
