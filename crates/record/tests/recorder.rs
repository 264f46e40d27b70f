//! The recorder: each record is written once to each place, and a failing journal stops nothing.

mod common;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex, PoisonError};

    use hayward_record::{Metrics, Query, Recorder};
    use tempfile::tempdir;
    use tracing_subscriber::fmt::MakeWriter;

    use super::common::{large, options, pids, record};

    /// A log of a thread's own can miss lines that another thread writes for the first time meanwhile without one:
    /// `tracing` remembers for everybody whether anybody wants a line.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Log {
        fn lines(&self) -> Vec<serde_json::Value> {
            let bytes = self.0.lock().unwrap();
            bytes
                .split(|&byte| byte == b'\n')
                .filter(|line| !line.is_empty())
                .map(|line| serde_json::from_slice(line).unwrap())
                .collect()
        }
    }

    #[test]
    fn a_record_is_one_journal_line_one_log_line_and_one_count() {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempdir().unwrap();
        let others = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&others);
        let recorder = Recorder::open(
            options(directory.path(), 4 << 20),
            Arc::new(Metrics::new("0", "0")),
        )
        .unwrap()
        .also(move |_| {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(log.clone())
            .finish();
        let written = record(7, 1000, "ann");
        tracing::subscriber::with_default(subscriber, || recorder.record(&written));

        assert_eq!(pids(directory.path(), Query::default()), (vec![7], 0));
        let lines = log.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let fields = &lines[0]["fields"];
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(
            fields["message"],
            "killed xmrig (pid 7, uid 1000) in cgroup ann: rule xmrig"
        );
        assert_eq!(fields["id"], written.id);
        assert_eq!(fields["pid"], 7);
        assert_eq!(fields["command_line"], "xmrig ünter\nline");
        assert!(fields.get("image").is_none());
        let metrics = recorder.metrics().encode();
        for line in [
            r#"hayward_verdicts_total{guard="command",action="killed"} 1"#.to_owned(),
            "hayward_journal_records_total 1".to_owned(),
            r#"hayward_journal_errors_total{cause="record"} 0"#.to_owned(),
            format!(
                "hayward_journal_bytes {}",
                recorder.journal().unwrap().bytes()
            ),
        ] {
            assert!(metrics.contains(&line), "{line}\n{metrics}");
        }
        assert_eq!(others.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_failing_journal_is_counted_and_logged_once_and_the_log_goes_on() {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempdir().unwrap();
        let recorder = Recorder::open(
            options(directory.path(), 4 << 20),
            Arc::new(Metrics::new("0", "0")),
        )
        .unwrap();
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(log.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            recorder.record(&large(1, 2 << 20));
            recorder.record(&large(2, 2 << 20));
            recorder.record(&record(3, 1, "w"));
        });
        assert_eq!(pids(directory.path(), Query::default()), (vec![3], 0));
        let metrics = recorder.metrics().encode();
        assert!(
            metrics.contains(r#"hayward_journal_errors_total{cause="record"} 2"#),
            "{metrics}"
        );
        assert!(metrics.contains(r#"action="killed"} 3"#), "{metrics}");
        let levels: Vec<_> = log
            .lines()
            .iter()
            .map(|line| line["level"].clone())
            .collect();
        assert_eq!(levels, ["WARN", "ERROR", "WARN", "WARN", "INFO"]);
    }

    #[test]
    fn a_place_that_cannot_be_written_yet_is_tried_again_and_what_is_lost_is_counted() {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempdir().unwrap();
        let path = directory.path().join("journal");
        std::fs::write(&path, "a file, no folder").unwrap();
        let metrics = Arc::new(Metrics::new("0", "0"));
        let recorder = Recorder::open(options(&path, 4 << 20), metrics).unwrap();
        assert!(recorder.losses().reason().is_some());
        recorder.record(&record(1, 1, "w"));
        let lost: Vec<_> = recorder.losses().counts().collect();
        assert_eq!(lost, [("unwritable", 1)]);
        std::fs::remove_file(&path).unwrap();
        recorder.tidy().unwrap();
        recorder.record(&record(2, 1, "w"));
        assert_eq!(pids(&path, Query::default()), (vec![2], 0));
        assert_eq!(recorder.losses().reason(), None);
    }

    #[test]
    fn another_agents_journal_is_an_error() {
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = tempdir().unwrap();
        let metrics = || Arc::new(Metrics::new("0", "0"));
        let _first = Recorder::open(options(directory.path(), 4 << 20), metrics()).unwrap();
        assert!(Recorder::open(options(directory.path(), 4 << 20), metrics()).is_err());
    }
}
