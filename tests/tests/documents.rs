//! The documents say what is so: links lead somewhere, commands and options exist, examples are accepted.
//!
//! A fenced block whose info string is `yaml settings`, `yaml rules`, `json rules` or `yaml recipe` is read by the code
//! that would read such a file.

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
        path::{Path, PathBuf},
        process::Command,
    };

    use hayward_policy::Policy;
    use hayward_rules::{
        generate, load, parse_bytes,
        table::{CommandTable, scope_words},
    };
    use hayward_tests::binary;

    /// Written by `make bench`, which may not have run.
    const WRITTEN_LATER: [&str; 1] = ["docs/performance.md"];

    /// Folders whose paths are checked wherever they stand in code.
    const FOLDERS: [&str; 8] = [
        "crates/",
        "docs/",
        "tests/",
        "tools/",
        "xtask/",
        "packaging/",
        "benches/",
        ".ci/",
    ];

    fn project() -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        folder.expect("a folder above this package").to_owned()
    }

    /// Every document: its path below the project, and its text.
    fn documents() -> Vec<(String, String)> {
        let root = project();
        let mut found = Vec::new();
        for folder in ["", "docs", "docs/adr"] {
            let entries = fs::read_dir(root.join(folder)).expect("a folder of documents");
            for entry in entries.filter_map(Result::ok) {
                let path = entry.path();
                if path.extension().is_some_and(|extension| extension == "md") {
                    let name = path.strip_prefix(&root).expect("below the project");
                    let text = fs::read_to_string(&path).expect("a document");
                    found.push((name.display().to_string(), text));
                }
            }
        }
        found.sort();
        assert!(found.len() > 10, "documents are missing: {found:?}");
        found
    }

    /// A fenced block: the line it begins at, its info string, its text.
    struct Block {
        line: usize,
        info: String,
        text: String,
    }

    fn blocks(text: &str) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (open.take(), fence) {
                (None, Some(info)) => {
                    open = Some(Block {
                        line: number + 1,
                        info: info.trim().to_owned(),
                        text: String::new(),
                    });
                }
                (Some(block), Some(_)) => blocks.push(block),
                (Some(mut block), None) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "a block is not closed");
        blocks
    }

    /// Lines outside blocks, with their numbers.
    fn prose(text: &str) -> Vec<(usize, &str)> {
        let mut inside = false;
        let mut lines = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
            } else if !inside {
                lines.push((number + 1, line));
            }
        }
        lines
    }

    /// Code spans of prose and lines of blocks, with their numbers.
    fn code(text: &str) -> Vec<(usize, String)> {
        let mut code = Vec::new();
        for (number, line) in prose(text) {
            let spans = line.split('`').skip(1).step_by(2);
            code.extend(spans.map(|span| (number, span.to_owned())));
        }
        for block in blocks(text) {
            let lines = block.text.lines().enumerate();
            code.extend(lines.map(|(at, line)| (block.line + 1 + at, line.to_owned())));
        }
        code
    }

    /// What a heading is called in links.
    fn anchor(heading: &str) -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars()
            .filter_map(|character| match character {
                ' ' => Some('-'),
                c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
                _ => None,
            })
            .collect()
    }

    fn anchors(text: &str) -> BTreeSet<String> {
        let headings = prose(text).into_iter().map(|(_, line)| line);
        headings
            .filter(|line| line.starts_with('#'))
            .map(anchor)
            .collect()
    }

    /// Targets of a line's links and pictures.
    fn targets(line: &str) -> Vec<&str> {
        let ends = line.split("](").skip(1);
        let mut targets: Vec<&str> = ends.filter_map(|rest| rest.split(')').next()).collect();
        for key in ["src=\"", "href=\""] {
            let ends = line.split(key).skip(1);
            targets.extend(ends.filter_map(|rest| rest.split('"').next()));
        }
        targets
    }

    fn told(wrong: &[String]) {
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }

    #[test]
    fn relative_links_lead_somewhere() {
        let root = project();
        let mut wrong = Vec::new();
        for (name, text) in documents() {
            for (number, line) in prose(&text) {
                for target in targets(line) {
                    if target.contains("://") {
                        continue;
                    }
                    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
                    let folder = Path::new(&name).parent().unwrap_or(Path::new(""));
                    let path = if file.is_empty() {
                        root.join(&name)
                    } else {
                        root.join(folder).join(file)
                    };
                    let later = WRITTEN_LATER
                        .iter()
                        .any(|later| path.canonicalize().is_err() && path.ends_with(later))
                        || name.starts_with("docs/") && file == "performance.md";
                    if later {
                        continue;
                    }
                    if !path.exists() {
                        wrong.push(format!("{name}:{number}: nothing is at {target}"));
                    } else if !anchor.is_empty() {
                        let there = fs::read_to_string(&path).unwrap_or_default();
                        if !anchors(&there).contains(anchor) {
                            wrong.push(format!("{name}:{number}: no heading for {target}"));
                        }
                    }
                }
            }
        }
        told(&wrong);
    }

    #[test]
    fn paths_of_the_project_exist() {
        let root = project();
        let mut wrong = Vec::new();
        for (name, text) in documents() {
            for (number, code) in code(&text) {
                for word in code.split_whitespace() {
                    let word = word.trim_matches(|c: char| "(),;:".contains(c));
                    let word = word.split("::").next().unwrap_or(word);
                    let ours = FOLDERS.iter().any(|folder| word.starts_with(folder));
                    let pattern = word.contains(['*', '<', '{', '$']);
                    if ours
                        && !pattern
                        && !WRITTEN_LATER.contains(&word)
                        && !root.join(word).exists()
                    {
                        wrong.push(format!("{name}:{number}: there is no {word}"));
                    }
                }
            }
        }
        told(&wrong);
    }

    /// The help of every command, by its whole name.
    fn commands() -> BTreeMap<String, String> {
        let output = Command::new(binary()).args(["reference", "cli"]).output();
        let text = String::from_utf8(output.expect("the built binary").stdout).expect("text");
        let sections = text.split("\n## ").skip(1);
        let commands: BTreeMap<String, String> = sections
            .filter_map(|section| section.split_once('\n'))
            .map(|(name, help)| (name.to_owned(), help.to_owned()))
            .collect();
        assert!(commands.contains_key("hayward rules test"), "{commands:?}");
        commands
    }

    /// What is wrong with `hayward ...` as a document has it; the words after it, up to the end of the command.
    fn judge(commands: &BTreeMap<String, String>, words: &[&str]) -> Option<String> {
        let mut name = "hayward".to_owned();
        let mut words = words.iter().copied().peekable();
        while let Some(word) = words.peek() {
            let below = format!("{name} {word}");
            let is_name = word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            if commands.contains_key(&below) {
                name = below;
                words.next();
            } else if is_name && !word.starts_with('-') && takes_a_command(&commands[&name]) {
                return Some(format!("there is no command `{below}`"));
            } else {
                break;
            }
        }
        let help = &commands[&name];
        let option = |word: &str| word.split('=').next().unwrap_or(word).to_owned();
        words
            .filter(|word| word.starts_with("--") && word.len() > 2)
            .map(option)
            .find(|option| !help.contains(option.as_str()))
            .map(|option| format!("`{name}` has no option {option}"))
    }

    /// A shell's line without what stands in single quotes.
    fn unquoted(line: &str) -> String {
        line.split('\'').step_by(2).collect()
    }

    fn takes_a_command(help: &str) -> bool {
        help.contains("<COMMAND>")
    }

    #[test]
    fn commands_and_options_exist() {
        let commands = commands();
        let mut wrong = Vec::new();
        let mut judged = 0;
        for (name, text) in documents() {
            if name == "docs/cli.md" {
                continue;
            }
            for (number, code) in code(&text) {
                for part in unquoted(&code).split(['|', ';', '&', '#']) {
                    let words: Vec<&str> = part.split_whitespace().collect();
                    let at = words.iter().position(|word| *word == "hayward");
                    let Some(words) = at.and_then(|at| words.get(at + 1..)) else {
                        continue;
                    };
                    judged += 1;
                    if let Some(problem) = judge(&commands, words) {
                        wrong.push(format!("{name}:{number}: {problem}"));
                    }
                }
            }
        }
        told(&wrong);
        assert!(judged > 30, "only {judged} commands were found");
    }

    #[test]
    fn examples_are_accepted() {
        let mut wrong = Vec::new();
        let mut read = BTreeMap::<String, usize>::new();
        for (name, text) in documents() {
            for block in blocks(&text) {
                let place = format!("{name}:{}", block.line);
                let problem = match block.info.as_str() {
                    "yaml settings" => settings(&place, &block.text).err(),
                    "yaml rules" | "json rules" => rules(&place, &block.text).err(),
                    "yaml recipe" => generate(&place, &block.text)
                        .map_err(|problem| problem.to_string())
                        .and_then(|generated| rules(&place, &generated))
                        .err(),
                    info => {
                        let known = ["", "text", "sh", "console", "promql", "json"];
                        let ours = name.starts_with("docs/settings.md");
                        (!ours && !known.contains(&info))
                            .then(|| format!("{place}: nobody reads blocks of `{info}`"))
                    }
                };
                wrong.extend(problem.map(|problem| format!("{place}: {problem}")));
                *read.entry(block.info).or_default() += 1;
            }
        }
        told(&wrong);
        for info in ["yaml settings", "yaml rules", "yaml recipe"] {
            assert!(read.contains_key(info), "no block of {info} was found");
        }
    }

    #[test]
    fn metrics_exist() {
        let output = Command::new(binary())
            .args(["reference", "metrics"])
            .output();
        let reference = String::from_utf8(output.expect("the built binary").stdout).expect("text");
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let mut wrong = Vec::new();
        for (name, text) in documents() {
            for (number, code) in code(&text) {
                for word in code.split(|c: char| !is_name(c)) {
                    if word.starts_with("hayward_") && !reference.contains(&format!("`{word}`")) {
                        wrong.push(format!("{name}:{number}: there is no metric {word}"));
                    }
                }
            }
        }
        told(&wrong);
    }

    #[test]
    fn built_in_rules_are_listed_with_their_modes() {
        let text = fs::read_to_string(project().join("docs/rules.md")).expect("docs/rules.md");
        let builtin = load(&["builtin".to_owned()], None).expect("good rules");
        let mut wrong = Vec::new();
        for rule in &builtin.rules {
            let mode = format!("{:?}", rule.mode).to_lowercase();
            let cells = format!("| `{}` | {mode} |", rule.id);
            if !text.contains(&cells) {
                wrong.push(format!("docs/rules.md: there is no {cells}"));
            }
        }
        let listed = text.matches("| `builtin/").count();
        if listed != builtin.rules.len() {
            wrong.push(format!("docs/rules.md lists {listed} built-in rules"));
        }
        told(&wrong);
    }

    /// As far as `hayward check` goes without the files that the settings name.
    fn settings(place: &str, text: &str) -> Result<(), String> {
        let policy = Policy::parse(place, text).map_err(|error| error.to_string())?;
        let words = scope_words(policy.scope_rules().patterns());
        words.map(drop).map_err(|error| error.to_string())
    }

    fn rules(place: &str, text: &str) -> Result<(), String> {
        let rules = parse_bytes(place, text.as_bytes()).map_err(|error| error.to_string())?;
        let table = CommandTable::compile(rules, 1, |_| 0);
        table.map(drop).map_err(|error| error.to_string())
    }
}
