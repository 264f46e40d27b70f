//! Draws docs/session.svg: a terminal session of the built binary, as it really went, in a place of its own.
//!
//! `cargo run -p hayward-tests --example picture` as root. What differs on an installed agent is put as it is there:
//! paths of the temporary folder, the cgroup that stands for
//! the whole machine, and the port of the metrics.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use hayward_tests::{Host, Start};

/// Columns that the picture shows; longer lines go on below.
const COLUMNS: usize = 120;
const CHARACTER: f64 = 7.8;
const LINE: usize = 19;
const MARGIN: usize = 18;
const BAR: usize = 34;

/// A container's cgroup, as Docker with systemd names it.
const CONTAINER: &str =
    "docker-4f1c0de5a7b34c0f9d2e6b8a1c3d5e7f90a1b2c3d4e5f60718293a4b5c6d7e8f.scope";

/// The folder that a user of the container works in.
const HOME: &str = "/home/jovyan";

/// What the session consists of.
enum Line {
    Prompt { at: &'static str, command: String },
    Output(String),
    Blank,
}

fn main() {
    let host = Host::new().start(&Start::default());
    let container = host.cgroup.join(CONTAINER);
    fs::create_dir(&container).expect("a cgroup below the picture's own");
    // Harmless: it would do nothing at all.
    fs::copy("/bin/true", host.path("xmrig")).expect("a copy of true");

    let mut session = Session {
        host,
        lines: Vec::new(),
    };
    session.hayward(&["status"]);
    session.in_container(
        &container,
        "./xmrig -o pool.example:3333 --password=hunter2hunter2",
    );
    session.in_container(&container, "python3 -c 'print(\"work goes on\")'");
    let record = session.host.wait_for_records("killed", 1).remove(0);
    session.hayward(&["events", "--rule", "builtin/xmrig"]);
    session.hayward(&["explain", record["id"].as_str().expect("an id")]);
    let svg = draw(&session.lines);
    fs::remove_dir(&container).expect("an empty cgroup");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/session.svg");
    fs::write(&path, svg).expect("docs/session.svg");
}

struct Session {
    host: Host,
    lines: Vec<Line>,
}

impl Session {
    fn hayward(&mut self, arguments: &[&str]) {
        let answer = self.host.hayward(arguments).ok();
        self.prompt("host", format!("hayward {}", arguments.join(" ")));
        self.output(&answer.out);
    }

    /// A line given to a shell that runs in the container's cgroup.
    fn in_container(&mut self, cgroup: &Path, line: &str) {
        let mut shell = Command::new("bash")
            .arg("-s")
            .current_dir(self.host.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bash");
        let procs: PathBuf = cgroup.join("cgroup.procs");
        fs::write(procs, shell.id().to_string()).expect("a shell in the container");
        let mut input = shell.stdin.take().expect("a pipe");
        writeln!(input, "{line}").expect("a shell that reads");
        drop(input);
        let output = shell.wait_with_output().expect("bash");
        self.prompt("container", line.to_owned());
        // A shell that is not interactive names itself, its line and the pid before what it says.
        let said = String::from_utf8_lossy(&output.stderr);
        for said in said.lines() {
            let killed = said.contains("Killed");
            self.output(if killed { "Killed" } else { said });
        }
        self.output(&String::from_utf8_lossy(&output.stdout));
    }

    fn prompt(&mut self, at: &'static str, command: String) {
        if !self.lines.is_empty() {
            self.lines.push(Line::Blank);
        }
        self.lines.push(Line::Prompt { at, command });
    }

    fn output(&mut self, text: &str) {
        let folder = self.host.folder.path().display().to_string();
        let cgroup = self.host.cgroup.file_name().expect("a name");
        let cgroup = cgroup.to_string_lossy();
        let status = self.host.status();
        let listen = status["metrics"]["listen"].as_str().expect("a port");
        let text = text
            .replace(&format!("{folder}/journal"), "/var/lib/hayward/journal")
            .replace(&folder, HOME)
            .replace(
                &format!("/{cgroup}/{CONTAINER}"),
                &format!("/system.slice/{CONTAINER}"),
            )
            .replace(&format!("cgroup root /{cgroup}"), "cgroup root /")
            .replace(listen, "127.0.0.1:9752");
        for line in text.lines() {
            self.lines.push(Line::Output(line.to_owned()));
        }
    }
}

/// Splits a line into rows of the terminal's width.
fn rows(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters
        .chunks(COLUMNS)
        .map(|row| row.iter().collect())
        .collect()
}

fn draw(lines: &[Line]) -> String {
    let mut body = String::new();
    let mut row = 0usize;
    let mut put = |class: &str, content: String| {
        let y = BAR + MARGIN + row * LINE + LINE / 2;
        row += 1;
        if !content.is_empty() {
            let _ = writeln!(
                body,
                r#"<text class="{class}" x="{MARGIN}" y="{y}" xml:space="preserve">{content}</text>"#
            );
        }
    };
    for line in lines {
        match line {
            Line::Blank => put("", String::new()),
            Line::Prompt { at, command } => put(
                "command",
                format!(r#"<tspan class="{at}">{at}$</tspan> {}"#, escaped(command)),
            ),
            Line::Output(text) => {
                for row in rows(text) {
                    put("output", coloured(&escaped(&row)));
                }
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a hundred columns")]
    let width = 2.0 * MARGIN as f64 + COLUMNS as f64 * CHARACTER;
    let height = BAR + 2 * MARGIN + row * LINE;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height}" role="img" aria-label="A terminal session: status, a miner killed in a container, its record">
<style>
.back {{ fill: #ffffff; stroke: #d0d7de; }}
text {{ font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #1f2328; }}
.title {{ fill: #656d76; }}
.command {{ font-weight: 600; }}
.host {{ fill: #0969da; }}
.container {{ fill: #8250df; }}
.good {{ fill: #1a7f37; }}
.bad {{ fill: #cf222e; }}
@media (prefers-color-scheme: dark) {{
.back {{ fill: #0d1117; stroke: #30363d; }}
text {{ fill: #e6edf3; }}
.title {{ fill: #8d96a0; }}
.host {{ fill: #4493f8; }}
.container {{ fill: #ab7df8; }}
.good {{ fill: #3fb950; }}
.bad {{ fill: #f85149; }}
}}
</style>
<rect class="back" x="0.5" y="0.5" width="{inner:.0}" height="{bottom}" rx="8"/>
<text class="title" x="{MARGIN}" y="22">hayward</text>
{body}</svg>
"#,
        inner = width - 1.0,
        bottom = height - 1,
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The words that a terminal shows in colour.
fn coloured(text: &str) -> String {
    let mut text = text.to_owned();
    for (word, class) in [("enforcing", "good"), ("Killed", "bad"), ("killed ", "bad")] {
        let span = format!(r#"<tspan class="{class}">{word}</tspan>"#);
        text = text.replacen(word, &span, 1);
    }
    text
}
