//! Who is told of records.

use std::{path::PathBuf, time::Duration};

use hayward_model::Action;
use hayward_yaml::{Spanned, line_of};
use http::Uri;

use super::Checker;
use crate::{TellSettings, TellTarget, raw::RawTell};

/// So many may be told: each has a queue of its own.
const MOST_TARGETS: usize = 16;
/// How long one try may take.
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(300));
impl Checker {
    pub(super) fn tell(&mut self, raw: Vec<Spanned<RawTell>>) -> Vec<TellSettings> {
        if let Some(beyond) = raw.get(MOST_TARGETS) {
            let message = format!("`tell` names more than {MOST_TARGETS}");
            let help = "tell one command or webhook, and have it tell the others";
            self.problem(line_of(beyond), message, help);
        }
        let mut all: Vec<TellSettings> = Vec::new();
        for entry in raw {
            if let Some(mut settings) = self.told(entry) {
                settings.name = unused(&settings.name, &all);
                all.push(settings);
            }
        }
        all
    }

    fn told(&mut self, entry: Spanned<RawTell>) -> Option<TellSettings> {
        let line = line_of(&entry);
        let raw = entry.value;
        let target = match (raw.command, raw.webhook) {
            (Some(command), None) => {
                if let Some(headers) = &raw.headers {
                    let message = "`headers` are a webhook's, and this is a command".to_owned();
                    self.problem(line_of(headers), message, "remove `headers`");
                }
                self.program(command)
            }
            (None, Some(url)) => self.webhook(&url, raw.headers),
            (None, None) => {
                let message = "this entry of `tell` names nobody".to_owned();
                let help =
                    "write {command: [/path/of/a/program]} or {webhook: \"http://host/path\"}";
                self.problem(line, message, help);
                None
            }
            (Some(_), Some(_)) => {
                let message = "this entry of `tell` names a command and a webhook".to_owned();
                self.problem(line, message, "write an entry for each");
                None
            }
        };
        let actions = self.actions(raw.actions);
        let every = self.duration(raw.every, "1m");
        let timeout_line = raw.timeout.as_ref().map_or(0, line_of);
        let timeout = self.duration(raw.timeout, "10s");
        if timeout.is_some_and(|timeout| !(TIMEOUTS.0..=TIMEOUTS.1).contains(&timeout)) {
            let message = "`timeout` leaves no time for a try, or too much".to_owned();
            self.problem(timeout_line, message, "write 100ms to 5m, such as 10s");
        }
        let target = target?;
        Some(TellSettings {
            name: name(&target),
            target,
            actions,
            every: every?,
            timeout: timeout?,
        })
    }

    fn program(&mut self, command: Spanned<Vec<String>>) -> Option<TellTarget> {
        let line = line_of(&command);
        let Some(program) = command.value.first() else {
            let message = "`command: []` names no program".to_owned();
            self.problem(line, message, "write [/path/of/a/program, argument, ...]");
            return None;
        };
        if !program.starts_with('/') || program.ends_with('/') {
            let message = format!("`{program}` is no path of a program from the root");
            let help =
                "write the program's whole path; for a shell's command, [/bin/sh, -c, \"...\"]";
            self.problem(line, message, help);
        }
        if command.value.iter().any(|word| word.contains('\0')) {
            let message = "`command` holds a zero byte, which no program can be given".to_owned();
            self.problem(line, message, "remove it");
        }
        Some(TellTarget::Command(command.value))
    }

    /// What is told of an URL leaves out what may be secret: all but scheme and host.
    fn webhook(
        &mut self,
        url: &Spanned<String>,
        headers: Option<Spanned<PathBuf>>,
    ) -> Option<TellTarget> {
        let line = line_of(url);
        let parsed = url.value.parse::<Uri>().ok();
        let Some(uri) = parsed.filter(|uri| uri.host().is_some_and(|host| !host.is_empty())) else {
            let message = "`webhook` is no URL".to_owned();
            let help = "write one such as \"http://hooks.example:8080/hayward\"; what is no letter, digit or sign of an URL is written as %20";
            self.problem(line, message, help);
            return None;
        };
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                let message = "`webhook: https://...` cannot be told: this version speaks no TLS";
                let help = "tell a command that calls curl, such as [/usr/bin/curl, ...]; docs/operating.md has an example";
                self.problem(line, message.to_owned(), help);
            }
            _ => {
                let message = "`webhook` begins with no http://".to_owned();
                self.problem(line, message, "write \"http://host:port/path\"");
            }
        }
        if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            let message = "`webhook` holds a user or a password, which readers of this file see";
            let help = "write `Authorization: Basic ...` into a file that only root may read, and name it with `headers`";
            self.problem(line, message.to_owned(), help);
        }
        if let Some(headers) = &headers
            && !headers.value.is_absolute()
        {
            let path = headers.value.display();
            let message = format!("`headers: {path}` is no path from the root");
            self.problem(line_of(headers), message, "write the file's whole path");
        }
        Some(TellTarget::Webhook {
            url: uri,
            headers: headers.map(|headers| headers.value),
        })
    }

    fn actions(&mut self, actions: Option<Spanned<Vec<Action>>>) -> Option<Vec<Action>> {
        let actions = actions?;
        if actions.value.is_empty() {
            let message = "`actions: []` tells of nothing".to_owned();
            let help = "name some, such as [killed, frozen], or leave it out for all that was done";
            self.problem(line_of(&actions), message, help);
        }
        Some(actions.value)
    }
}

/// The program's file name, or the host with its port.
fn name(target: &TellTarget) -> String {
    let name = match target {
        TellTarget::Command(command) => command.first().and_then(|path| path.rsplit('/').next()),
        TellTarget::Webhook { url, .. } => url.authority().map(http::uri::Authority::as_str),
    };
    name.unwrap_or_default().to_owned()
}

fn unused(name: &str, taken: &[TellSettings]) -> String {
    let is_free = |name: &String| taken.iter().all(|settings| settings.name != *name);
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut names = std::iter::once(name.to_owned()).chain(numbered);
    names.find(is_free).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Policy;

    fn tell(text: &str) -> Vec<TellSettings> {
        let policy = Policy::parse("h.yaml", text).expect(text);
        policy.tell
    }

    #[test]
    fn what_is_left_out_has_the_values_that_the_reference_names() {
        let all = tell(
            "tell:\n- webhook: \"http://[::1]:8080/a?key=secret\"\n- command: [/bin/x, -y]\n  actions: [observed]\n  every: 0s\n",
        );
        assert_eq!(all[0].name, "[::1]:8080");
        assert_eq!(all[0].every, Duration::from_secs(60));
        assert_eq!(all[0].timeout, Duration::from_secs(10));
        assert_eq!(all[1].name, "x");
        assert!(all[1].tells(Action::Observed) && !all[1].tells(Action::Killed));
        assert!(all[1].every.is_zero());
        assert!(tell("").is_empty() && tell("tell: []").is_empty());
    }

    #[test]
    fn the_reference_names_what_is_told_where_settings_name_nothing() {
        let comment = crate::DEFAULT_SETTINGS.replace("\n#", "");
        let (_, list) = comment.split_once("all that was done: [").expect("it");
        let (list, _) = list.split_once(']').expect("it");
        let named = tell(&format!(
            "tell: [{{command: [/x], actions: [{list}]}}, {{command: [/y]}}]"
        ));
        let all = "killed denied observed spared missed answered cleared switched-off switched-on reloaded reload-refused \
            started stopped forgot frozen thawed throttled released workload-killed evicted refused forgiven tripped alarmed \
            breaker-reset granted revoked quarantined banned unbanned allowed disallowed";
        for action in all.split_whitespace() {
            let action = tell(&format!("tell: [{{command: [/x], actions: [{action}]}}]"))
                .remove(0)
                .actions
                .expect("named")[0];
            assert_eq!(named[0].tells(action), named[1].tells(action), "{action:?}");
        }
    }

    #[test]
    fn names_are_told_apart() {
        let all = tell(
            "tell: [{command: [/a/x]}, {webhook: \"http://h/1\"}, {command: [/b/x]}, {webhook: \"http://h/2\"}, {command: [/c/x]}]",
        );
        let names: Vec<_> = all.iter().map(|settings| settings.name.as_str()).collect();
        assert_eq!(names, ["x", "h", "x-2", "h-2", "x-3"]);
    }

    #[test]
    fn errors_name_the_line_and_what_to_do_and_no_secret() {
        for (entry, expected) in [
            ("command: []", "names no program"),
            (
                "command: [curl]",
                "`curl` is no path of a program from the root",
            ),
            ("command: [/bin/x], headers: /y", "remove `headers`"),
            ("webhook: x", "begins with no http://"),
            ("webhook: \"http://h/s e c r e t\"", "is no URL"),
            ("webhook: \"ftp://h/secret\"", "begins with no http://"),
            ("webhook: \"https://h/secret\"", "a command that calls curl"),
            ("webhook: \"http://u:secret@h/\"", "name it with `headers`"),
            (
                "webhook: \"http://h/\", headers: secret-less",
                "no path from the root",
            ),
            ("webhook: \"http://h/\", command: [/x]", "an entry for each"),
            ("every: 1m", "names nobody"),
            ("command: [/x], actions: []", "tells of nothing"),
            ("command: [/x], actions: [kiled]", "did you mean `killed`?"),
            ("command: [/x], evry: 1m", "did you mean `every`?"),
            ("command: [/x], every: often", "`often` is no duration"),
            ("command: [/x], timeout: 0s", "write 100ms to 5m"),
            ("command: [/x], timeout: 1h", "write 100ms to 5m"),
        ] {
            let text = format!("mode: observe\ntell:\n  - {{{entry}}}\n");
            let error = Policy::parse("h.yaml", &text).expect_err(entry).to_string();
            assert!(error.contains("h.yaml:3: "), "{entry}: {error}");
            assert!(error.contains(expected), "{entry}: {error}");
            assert!(
                !error.contains("secret@") && !error.contains("/secret"),
                "{error}"
            );
        }
        let many = "{command: [/x]}, ".repeat(MOST_TARGETS + 1);
        let error = Policy::parse("h", &format!("tell: [{many}]")).expect_err("too many");
        assert!(error.to_string().contains("more than 16"), "{error}");
    }
}
