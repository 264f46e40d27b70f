//! Lists of whom to ban, as `hayward bans import` and the guard `egress` read them.
#![no_main]

use hayward_rules::parse_sources;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let lines = input.split(|byte| *byte == b'\n').count();
    let (sources, problems) = parse_sources("list", input);
    assert!(sources.iter().all(|(line, _)| (1..=lines).contains(line)));
    assert!(sources.len() + problems.len() <= lines);
    // What was read reads as itself.
    let text: Vec<_> = sources.iter().map(|(_, net)| net.to_string()).collect();
    let (again, problems) = parse_sources("list", text.join("\n").as_bytes());
    assert!(problems.is_empty(), "{text:?}");
    let nets = |all: &[(usize, ipnet::IpNet)]| all.iter().map(|it| it.1).collect::<Vec<_>>();
    assert_eq!(nets(&again), nets(&sources));
});
