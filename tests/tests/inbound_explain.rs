//! What `hayward explain` says of the guard `inbound` to somebody at night: what happened, what was done, what holds now, and how
//! to undo it.

#[cfg(test)]
mod tests {
    use hayward_tests::{FRONT, Front};
    use serde_json::Value;

    const NMAP: &str = "exec nmap -n -Pn -T5 --max-retries 0 --host-timeout 10s";

    fn explained(front: &Front, record: &Value) -> String {
        let id = record["id"].as_str().expect("an id");
        front.host.hayward(&["explain", id]).ok().out
    }

    fn last(front: &Front) -> Value {
        let events = front
            .host
            .hayward(&["events", "--json", "--guard", "inbound"])
            .ok();
        events.lines().pop().expect("a record")
    }

    #[track_caller]
    fn says(text: &str, expected: &[&str]) {
        for expected in expected {
            assert!(text.contains(expected), "{expected} in {text}");
        }
    }

    fn does(front: &Front, arguments: &[&str]) -> String {
        front.host.hayward(arguments).ok();
        explained(front, &last(front))
    }

    #[test]
    fn every_kind_of_record_says_what_holds_now_and_how_to_undo_it() {
        let front = Front::guarding("ban: 1h, soft_ban: 5m");
        let scan = |from: u8| {
            front.there(&format!(
                "{NMAP} -sS -p1-100 -e out0 -S 203.0.113.{from} {FRONT}"
            ))
        };
        scan(10);
        let soft = explained(&front, &front.record_of("203.0.113.10/32"));
        says(
            &soft,
            &[
                "5 failed: its first contacts are dropped for 5 min",
                "now: 203.0.113.10 is banned until 20",
                "for another 4m 5",
                "; its first contacts are dropped, and what is open goes on",
                "to undo it: hayward bans remove 203.0.113.10\n",
                "to never ban it: hayward bans allow add 203.0.113.10\n",
                "    interface: front0",
            ],
        );
        let server = front.serve(&[8080]);
        assert!(front.reaches("203.0.113.1", 8080));
        front.there(&format!("{NMAP} -sT -p8000-8070 {FRONT}"));
        let full = explained(&front, &front.record_of("203.0.113.1/32"));
        says(
            &full,
            &[
                "now: 203.0.113.1 is banned until 20",
                "; all that it sends is dropped",
            ],
        );
        let nets = ["203.0.113.20", "198.51.100.64/28"];
        let by_hand = does(
            &front,
            &[
                "bans",
                "add",
                nets[0],
                nets[1],
                "--for",
                "2h",
                "--comment",
                "ticket 7",
            ],
        );
        says(
            &by_hand,
            &[
                "ticket 7",
                "now: 203.0.113.20 is banned until 20",
                "now: 198.51.100.64/28 is banned until 20",
                "hayward bans remove 198.51.100.64/28 203.0.113.20\n",
            ],
        );
        says(
            &does(&front, &["bans", "remove", "203.0.113.20"]),
            &["now: 203.0.113.20 is not banned\nto undo it: hayward bans add 203.0.113.20\n"],
        );
        let allowed = does(
            &front,
            &["bans", "allow", "add", "203.0.113.21", "--for", "2h"],
        );
        says(
            &allowed,
            &[
                "  203.0.113.21 until 20",
                "action: allowed",
                "hayward bans allow remove 203.0.113.21\n",
            ],
        );
        scan(21);
        let spared = explained(&front, &front.record_of("203.0.113.21/32"));
        says(&spared, &["never banned, for operators allow it"]);
        // Each of them too little to be found alone.
        let one = NMAP.trim_start_matches("exec ");
        front.there(&format!(
            "for last in $(seq 2 60); do {one} -sS -p$((last * 2 + 1000))-$((last * 2 + 1001)) -e out0 -S 203.0.113.$last {FRONT}; done"
        ));
        let together = does(&front, &["status"]);
        says(
            &together,
            &[
                "sources together probed a hundred ports or more within ten minutes, the last at 198.51.100.1: nobody is banned",
                "to ban it by hand: hayward bans add --for 1h ADDRESS",
            ],
        );
        front
            .host
            .edit_settings("lease: 60s", "lease: 60s\nmode: observe");
        front.host.hayward(&["reload"]).ok();
        scan(11);
        let observed = explained(&front, &front.record_of("203.0.113.11/32"));
        says(
            &observed,
            &[
                "only observed, since the mode is `observe`",
                "now: 203.0.113.11 is not banned",
                "now: nothing is dropped, since the guard `inbound` only observes",
                "to ban it by hand: hayward bans add --for 1h 203.0.113.11",
            ],
        );
        drop(server);
    }
}
