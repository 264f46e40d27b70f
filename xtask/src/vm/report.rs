//! What a machine's console says, and the table of it all.

/// A test that a script ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) name: String,
    /// Why it failed; none where it passed.
    pub(crate) failure: Option<String>,
}

/// What the markers on a console say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Markers {
    pub(crate) tests: Vec<Test>,
    /// How many tests the script says it ran, when it has ended.
    pub(crate) done: Option<usize>,
}

impl Markers {
    /// Reads `VM-TEST <name> ok`, `VM-TEST <name> FAIL <why>` and `VM-DONE <count>`. A marker begins its line. A line
    /// that has not ended yet says nothing.
    pub(crate) fn read(console: &str) -> Self {
        let mut markers = Self::default();
        for line in console.split_inclusive('\n') {
            let Some(line) = line.strip_suffix('\n') else {
                continue;
            };
            let line = line.trim();
            if let Some(rest) = line.strip_prefix("VM-TEST ") {
                markers.tests.push(test(rest));
            } else if let Some(count) = line.strip_prefix("VM-DONE ") {
                markers.done = count.parse().ok();
            }
        }
        markers
    }

    /// Why this is not a pass; none where it is one.
    pub(crate) fn problem(&self) -> Option<String> {
        let failed: Vec<_> = self
            .tests
            .iter()
            .filter(|test| test.failure.is_some())
            .map(|test| test.name.as_str())
            .collect();
        if !failed.is_empty() {
            return Some(format!("failed: {}", failed.join(", ")));
        }
        match self.done {
            None => Some("the script did not come to its end: VM-DONE is missing".to_owned()),
            Some(0) => Some("the script ran no tests".to_owned()),
            // A kernel message in the middle of a line must not hide a failure.
            Some(count) if count != self.tests.len() => Some(format!(
                "the script ran {count} tests, and the console shows {}",
                self.tests.len()
            )),
            Some(_) => None,
        }
    }
}

fn test(rest: &str) -> Test {
    let (name, result) = rest.split_once(' ').unwrap_or((rest, ""));
    let failure = match result.split_once(' ').unwrap_or((result, "")) {
        ("ok", "") => None,
        ("FAIL", why) => Some(why.to_owned()),
        _ => Some(format!("its marker cannot be read: {rest}")),
    };
    Test {
        name: name.to_owned(),
        failure,
    }
}

/// The last lines of a console, without what would move the cursor of a terminal.
pub(crate) fn tail(console: &str, lines: usize) -> String {
    let plain = console.replace(|c: char| c.is_control() && c != '\n', "");
    let all: Vec<_> = plain.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

/// A line of the table.
pub(crate) struct Row([String; 4]);

impl Row {
    /// One test of a machine.
    pub(crate) fn test(kernel: &str, script: &str, test: &Test, seconds: f64) -> Self {
        let result = test
            .failure
            .as_ref()
            .map_or("ok".to_owned(), |why| format!("FAIL {why}"));
        Self([
            kernel.to_owned(),
            format!("{script}: {}", test.name),
            result,
            format!("{seconds:.1}"),
        ])
    }

    /// The whole of a machine, boot and all.
    pub(crate) fn machine(kernel: &str, script: &str, result: &str, seconds: Option<f64>) -> Self {
        Self([
            kernel.to_owned(),
            format!("{script} in all"),
            result.to_owned(),
            seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1}")),
        ])
    }
}

/// Prints the table.
pub(crate) fn print(rows: &[&Row]) {
    let head = Row(["KERNEL", "TEST", "RESULT", "SECONDS"].map(str::to_owned));
    let rows: Vec<_> = std::iter::once(&head).chain(rows.iter().copied()).collect();
    let width = |at: usize| rows.iter().map(|row| row.0[at].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    for row in &rows {
        let [kernel, test, result, seconds] = &row.0;
        println!(
            "{kernel:0$}  {test:1$}  {result:2$}  {seconds:>3$}",
            widths[0], widths[1], widths[2], widths[3]
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(console: &str) -> Option<String> {
        Markers::read(console).problem()
    }

    #[test]
    fn a_script_that_passed_is_a_pass() {
        let console =
            "boot noise\r\nVM-TEST one ok\r\nmore noise VM-TEST\r\nVM-TEST two ok\r\nVM-DONE 2\r\n";
        assert_eq!(problem(console), None);
        let names: Vec<_> = Markers::read(console)
            .tests
            .into_iter()
            .map(|test| test.name)
            .collect();
        assert_eq!(names, ["one", "two"]);
    }

    #[test]
    fn a_failure_keeps_its_reason() {
        let markers = Markers::read("VM-TEST one ok\nVM-TEST two FAIL it lived on\nVM-DONE 2\n");
        assert_eq!(markers.tests[1].failure.as_deref(), Some("it lived on"));
        assert_eq!(markers.problem().as_deref(), Some("failed: two"));
    }

    #[test]
    fn everything_but_a_full_pass_is_a_problem() {
        for (console, part) in [
            ("", "VM-DONE"),
            ("VM-TEST one ok\n", "VM-DONE"),
            ("VM-TEST one ok\nVM-DONE\n", "VM-DONE"),
            ("VM-TEST one ok\nVM-DONE 1", "VM-DONE"),
            ("VM-DONE 0\n", "no tests"),
            ("VM-TEST one ok\nVM-DONE 2\n", "ran 2 tests"),
            (
                "VM-TEST one ok\n[ 1.0] x VM-TEST two FAIL\nVM-DONE 2\n",
                "ran 2 tests",
            ),
            ("VM-TEST one\nVM-DONE 1\n", "failed: one"),
            ("VM-TEST one okay\nVM-DONE 1\n", "failed: one"),
            ("VM-TEST one ok [ 1.0] x\nVM-DONE 1\n", "failed: one"),
            ("VM-TEST one FAIL\nVM-DONE 1\n", "failed: one"),
        ] {
            let problem = problem(console).unwrap_or_default();
            assert!(problem.contains(part), "{console:?}: {problem:?}");
        }
    }

    #[test]
    fn a_tail_is_the_last_lines() {
        assert_eq!(tail("a\r\nb\r\n\u{1b}c\r\n", 2), "b\nc");
        assert_eq!(tail("a\n", 5), "a");
    }
}
