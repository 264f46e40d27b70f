use super::*;

fn problems(text: &str) -> String {
    Policy::parse("h.yaml", text).expect_err(text).to_string()
}

#[test]
fn the_embedded_file_is_what_holds_without_one() {
    let embedded = Policy::parse("embedded", DEFAULT_SETTINGS).expect("good");
    let empty = Policy::parse("empty", "").expect("good");
    assert_eq!(format!("{embedded:?}"), format!("{empty:?}"));
    assert!(embedded.command.enabled);
    assert_eq!(embedded.lease, Duration::from_secs(86_400));
}

#[test]
fn a_guard_that_is_not_listed_is_off_and_one_word_sets_its_mode() {
    assert!(
        !Policy::parse("a", "guards: {}")
            .expect("good")
            .command
            .enabled
    );
    let short = Policy::parse("a", "guards: {command: observe}").expect("good");
    assert!(short.command.enabled);
    assert_eq!(short.command.mode, Mode::Observe);
}

#[test]
fn first_contacts_are_logged_where_the_guard_is_listed_unless_settings_say_none() {
    let log = |text: &str| {
        let policy = Policy::parse("a", text).expect("good");
        let log = policy.outbound.log;
        (
            log.enabled,
            log.keep.as_secs() / 86_400,
            log.max_bytes >> 20,
        )
    };
    assert_eq!(log(""), (false, 7, 256));
    assert_eq!(log("guards: {outbound: observe}"), (true, 7, 256));
    assert_eq!(log("guards: {outbound: {log: {}}}"), (true, 7, 256));
    let kept = "guards: {outbound: {log: {keep: 30d, max: 1GiB}}}";
    assert_eq!(log(kept), (true, 30, 1024));
    // What is there goes in time all the same.
    assert_eq!(log("guards: {outbound: {log: none}}"), (false, 7, 256));
}

#[test]
fn the_profile_of_flowkiller_has_its_limits_and_kills_unless_settings_say_otherwise() {
    let limits = |text: &str| {
        let policy = Policy::parse("a", &format!("guards: {{outbound: {text}}}")).expect("good");
        let limit = policy.outbound.destinations;
        let limit = limit.map(|limit| (limit.unique, limit.lookback.as_secs()));
        (limit, policy.outbound.response)
    };
    assert_eq!(limits("{}"), (None, Response::Deny));
    let usual = (Some((15, 30)), Response::Kill);
    assert_eq!(limits("{profile: flowkiller}"), usual);
    let own = "{profile: flowkiller, unique_destinations: 24, lookback: 1m, response: deny}";
    assert_eq!(limits(own), (Some((24, 60)), Response::Deny));
}

#[test]
fn errors_name_file_line_and_what_to_do() {
    for (text, expected) in [
        ("mode: enforce\nleese: 1h\n", "h.yaml:2: unknown field"),
        ("leese: 1h\n", "did you mean `lease`?"),
        ("lease: soon\n", "h.yaml:1: `soon` is no duration"),
        ("mode: kill\n", "known are observe, enforce"),
        (
            "guards: {inbound: observe}\n",
            "`inbound` names no interfaces",
        ),
        (
            "guards: {outbound: {in_flight: 1}}\n",
            "`in_flight: 1` is out of bounds",
        ),
        (
            "guards: {outbound: {reachable: [10.0.0.0/33]}}\n",
            "10.0.0.0/33",
        ),
        (
            "guards: {outbound: {}}\noverrides:\n- {match: /a, guards: {outbound: {rate: 9}}}\n",
            "`rate` is one for all workloads",
        ),
        (
            "guards: {outbound: {unique_destinations: 15}}\n",
            "`unique_destinations` is a setting of a profile, and none is set",
        ),
        (
            "guards: {outbound: {profile: flowkiller, unique_destinations: 64}}\n",
            "write a number from 1 to 63",
        ),
        (
            "guards: {outbound: {profile: flowkiller, lookback: 100ms}}\n",
            "write a time from 1s to 1d",
        ),
        ("guards: {outbound: {profile: flowkilla}}\n", "flowkiller"),
        (
            "guards: {outbound: {packet_sockets: drop}}\n",
            "help: known are observe, deny, kill",
        ),
        (
            "guards: {outbound: {}}\noverrides:\n- {match: /a, guards: {outbound: {packet_sockets: deny}}}\n",
            "`packet_sockets` is one for all workloads",
        ),
        (
            "guards: {outbound: {log: off}}\n",
            "expected none, or how much is kept",
        ),
        (
            "guards: {outbound: {log: {kep: 1d}}}\n",
            "did you mean `keep`?",
        ),
        (
            "guards: {outbound: {log: {max: 1MiB}}}\n",
            "`max: 1MiB` is too small",
        ),
        (
            "guards: {outbound: {}}\noverrides:\n- {match: /a, guards: {outbound: {log: none}}}\n",
            "`log` is one for all workloads",
        ),
        ("guards: {comand: observe}\n", "did you mean `command`?"),
        (
            "guards: {randomx: {evidence: all}}\n",
            "known are strict, memory, rounding",
        ),
        (
            "overrides: [{match: /a, guards: {randomx: {nudge: false}}}]\n",
            "`nudge` is one for all workloads",
        ),
        (
            "guards: {command: {}}\noverrides:\n- {match: /a, guards: {randomx: enforce}}\n",
            "h.yaml:3: the override is for the guard `randomx`, which is off",
        ),
        (
            "scope: {include: [container]}\n",
            "`container` selects nothing",
        ),
        (
            "scope: {include: [{pod: x}]}\n",
            "nothing can be selected by `pod`",
        ),
        (
            "scope:\n  include:\n  - \"/**\"\n",
            "h.yaml:3: `include: [/**]` takes in the host's own services",
        ),
        (
            "scope: {include: [{unit: \"*.service\"}]}\n",
            "takes in the host's own services",
        ),
        (
            "scope: {exclude: [{labels: \"a in (b\"}]}\n",
            "lacks a closing parenthesis",
        ),
        (
            "workloads:\n  environment:\n  - JUPYTERHUB_API_TOKEN\n",
            "h.yaml:3: `JUPYTERHUB_API_TOKEN` is a secret by its name",
        ),
        (
            "workloads: {environment: [\"A=B\"]}\n",
            "`A=B` is no name of a variable",
        ),
        (
            "workloads:\n  runtimes:\n  - auto\n  - /run/docker.sock\n",
            "h.yaml:4: `/run/docker.sock` does not say what is spoken there",
        ),
        (
            "workloads: {runtimes: [\"cri:run/containerd.sock\"]}\n",
            "`run/containerd.sock` is no path from the root",
        ),
        (
            "strikes:\n  then:\n  - {after: 3, response: kill}\n",
            "h.yaml:3: `response: kill` is nothing that is done to a workload",
        ),
        (
            "strikes: {then: [{after: 3, response: freeze}, {after: 2, response: kill-workload}]}\n",
            "is no step up from the one before",
        ),
        (
            "strikes: {then: [{after: 0, response: freeze}]}\n",
            "`after: 0` is no number of strikes",
        ),
        ("strikes: {window: 0s}\n", "no time for a second strike"),
        ("throttle: 0%\n", "`throttle: 0%` is no share"),
        (
            "notice: \"a\\e[2J\"\n",
            "`notice` holds a control character",
        ),
        (
            "guards: {command: {response: expel}}\n",
            "known are observe, deny, throttle, quarantine, freeze, kill, kill-workload, evict",
        ),
        (
            "guards:\n  randomx: {response: deny}\n",
            "h.yaml:2: `response: deny` is nothing that the guard `randomx` can do",
        ),
        ("journal: {max: 1GB}\n", "`1GB` is no size"),
        ("journal: {max: 1KiB}\n", "too small"),
        ("metrics: {listen: everywhere}\n", "no address with a port"),
        ("cgroup_root: x\n", "no path of a cgroup"),
        ("compat: [falco]\n", "no compatibility with `falco`"),
        (
            "overrides:\n  - match: /a\n    guards:\n      command:\n        mode: observe\n        rules: [x]\n",
            "h.yaml:6: `rules` is one for all workloads",
        ),
        (
            "overrides: [{match: /a, guards: {command: {scan: 1s}}}]\n",
            "h.yaml:1: `scan` is one for all workloads",
        ),
        (
            "overrides: [{match: /a, guards: {command: {fileless: kill}}}]\n",
            "an override takes `mode` and `response`",
        ),
        (
            "overrides: [{match: /a, guards: {command: {unscanned: kill}}}]\n",
            "`unscanned` is one for all workloads",
        ),
        (
            "guards: {}\noverrides:\n- {match: /a, guards: {command: enforce}}\n",
            "h.yaml:3: the override is for the guard `command`, which is off",
        ),
        ("guards: {command: {scan: soon}}\n", "`soon` is no duration"),
    ] {
        let problems = problems(text);
        assert!(problems.contains(expected), "{text}: {problems}");
    }
}

#[test]
fn more_strikes_lead_to_harder_responses() {
    let steps = "[{after: 2, response: throttle}, {after: 5, response: kill-workload}]";
    let policy = Policy::parse("h.yaml", &format!("strikes: {{then: {steps}}}\n"));
    let strikes = policy.expect("good").strikes;
    let responses = [1, 2, 4, 5, 99].map(|number| strikes.response(number));
    let (throttle, kill) = (Some(Response::Throttle), Some(Response::KillWorkload));
    assert_eq!(responses, [None, throttle, throttle, kill, kill]);
}

#[test]
fn the_host_is_taken_in_where_settings_say_that_it_is_meant() {
    for text in [
        "scope: {host: true, include: [\"/**\"]}\n",
        "scope: {include: [/system.slice/ci.service, {unit: \"ci-*\"}, {user: 1000}, \"/ci/**\"]}\n",
        "cgroup_root: /a\nscope: {include: [\"/**\"]}\n",
    ] {
        Policy::parse("h.yaml", text).expect(text);
    }
}

#[test]
fn selectors_that_decide_nothing_are_told() {
    let text = "scope:\n  include: [containers, /a]\n  exclude: [/a, {namespace: x}]\noverrides:\n\
        - {match: containers, guards: {command: observe}}\n\
        - {match: {namespace: x}, guards: {command: observe}}\n\
        - {match: containers, guards: {command: enforce}}\n";
    let policy = Policy::parse("h.yaml", text).expect("good");
    assert_eq!(
        policy.warnings,
        [
            "h.yaml:6: {namespace: x} of `overrides` decides nothing: `scope.exclude` has it in line 3, and comes first",
            "h.yaml:7: containers of `overrides` decides nothing: `overrides` has it in line 5, and comes first",
            "h.yaml:2: /a of `scope.include` decides nothing: `scope.exclude` has it in line 3, and comes first",
        ]
    );
}

#[test]
fn several_problems_are_told_at_once() {
    let problems = problems("lease: soon\ncgroup_root: x\n");
    assert!(
        problems.contains("soon") && problems.contains("cgroup_root"),
        "{problems}"
    );
}
