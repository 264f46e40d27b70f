//! Running the built binary, and noting what it says.

use std::{
    fs,
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// A rule file without faults.
pub(crate) const GOOD: &str = "\
rules:
  - id: lab/miner
    banned: [\"--donate-level\", \"stratum+tcp:\"]
    allow: ['grep .*']
    reason: miners of last term
  - id: lab/tool
    executable: [badtool]
    mode: observe
    expires: 2999-01-01
";
/// The exit code of bad settings and rules.
pub(crate) const BAD_INPUT: i32 = 4;

/// A folder in which commands run, and what was run and said there.
pub(crate) struct Session {
    pub(crate) folder: TempDir,
    pub(crate) transcript: String,
}

impl Session {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a folder"),
            transcript: String::new(),
        }
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        fs::write(self.folder.path().join(name), text).expect("written");
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).expect(name)
    }

    /// Runs `hayward` and notes what it said. Returns its standard output.
    pub(crate) fn run(&mut self, code: i32, arguments: &[&str]) -> Vec<u8> {
        let output = self.quietly(code, arguments);
        let shown = String::from_utf8_lossy(&output).into_owned();
        self.transcript.push_str(&shown);
        output
    }

    /// The same, and standard output stays out of the transcript.
    pub(crate) fn quietly(&mut self, code: i32, arguments: &[&str]) -> Vec<u8> {
        let output = Command::new(env!("CARGO_BIN_EXE_hayward"))
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        let errors = self.hide_folder(&String::from_utf8_lossy(&output.stderr));
        let got = output.status.code();
        let quoted = arguments.iter().map(|text| {
            if text.is_empty() || text.contains([' ', '*']) {
                format!("'{text}'")
            } else {
                (*text).to_owned()
            }
        });
        let quoted = quoted.collect::<Vec<_>>().join(" ");
        self.transcript.push_str(&format!("$ hayward {quoted}\n"));
        if let Some(got @ 1..) = got {
            self.transcript.push_str(&format!("(exit code {got})\n"));
        }
        self.transcript.push_str(&errors);
        assert_eq!(got, Some(code), "{arguments:?}: {errors}");
        output.stdout
    }

    pub(crate) fn hide_folder(&self, text: &str) -> String {
        let path = self.folder.path().canonicalize().expect("it is there");
        text.replace(&path.display().to_string(), "FOLDER")
    }

    /// The transcript without what changes by itself: the folder, and the sizes of tables.
    pub(crate) fn said(&self) -> String {
        let mut said = self.hide_folder(&self.transcript);
        for before in ["a table of ", "\"table_bytes\": "] {
            let mut parts = said.split(before);
            let first = parts.next().unwrap_or_default().to_owned();
            said = parts.fold(first, |text, part| {
                text + before + "N" + part.trim_start_matches(|c: char| c.is_ascii_digit())
            });
        }
        said
    }
}
