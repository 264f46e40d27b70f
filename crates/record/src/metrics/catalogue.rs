//! What each metric is called and means: the source of the HELP lines and of the reference page.

/// One metric.
pub(super) struct Description {
    pub(super) name: &'static str,
    kind: &'static str,
    labels: &'static [&'static str],
    pub(super) help: &'static str,
}

macro_rules! catalogue {
    ($($constant:ident: $kind:literal $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: Description = Description {
            name: $name,
            kind: $kind,
            labels: &[$($label),*],
            help: $help,
        };)*
        const ALL: &[&Description] = &[$(&$constant),*];
    };
}

catalogue! {
    BUILD: "gauge" "hayward_build_info" ["version", "revision"]
        "Always 1; the labels say which build is running";
    STATUS: "gauge" "hayward_guard_status" ["guard", "status"]
        "1 for the status that the guard has (enforcing, observing, degraded, absent or off), 0 for the others";
    CHECKED: "counter" "hayward_checked_total" ["guard"]
        "What the guard looked at, as the kernel counts it: for the command guard, program starts in scope";
    JUDGED: "counter" "hayward_judged_total" ["guard"]
        "Judgements that were timed, one in 16";
    JUDGE_SECONDS: "counter" "hayward_judge_seconds_total" ["guard"]
        "How long the judgements in hayward_judged_total took together; divided by it, the time of one";
    DENIED: "counter" "hayward_denied_total" ["guard"]
        "Connects, sends and packets that were refused";
    BANNED: "counter" "hayward_banned_total" ["list"]
        "Of those, what a ban list refused, by the list's path (64 at most)";
    BANS: "gauge" "hayward_bans" ["strength", "origin"]
        "Bans of the guard inbound that its ledger holds, by strength (full or soft) and origin (scan, operator or import); those that the kernel makes for a moment, of sources that may be made up, are not among them";
    FIREWALL_FAILURES: "counter" "hayward_firewall_failures_total" ["output", "cause"]
        "What failed where bans of the guard inbound are entered in a firewall, by output (nftables or ipset and the set's name, or the agent's own table) and cause: missing (the program is not installed), unrunnable, late, absent (no such set), unfit (a set of another kind) or refused; each try counts";
    SOURCES_EVICTED: "counter" "hayward_inbound_sources_evicted_total" []
        "Sources that the guard inbound forgot since others took their places: many in a flood of made-up sources";
    VERDICTS: "counter" "hayward_verdicts_total" ["guard", "action"]
        "Verdicts by what was done: killed, denied, banned, observed, spared, missed, answered (by what is done to the workload) or cleared";
    RULE_VERDICTS: "counter" "hayward_rule_verdicts_total" ["guard", "rule", "action"]
        "Verdicts by rule and what was done; rules past the first 200 seen are counted as other";
    ANSWERS: "counter" "hayward_answers_total" ["guard", "action"]
        "What was done to whole workloads because of findings: throttled, quarantined, frozen, workload-killed, evicted or refused";
    ANSWERS_LOST: "counter" "hayward_answers_lost_total" []
        "Workloads to which nothing was done, since too many were to be answered at once";
    UNANSWERED: "counter" "hayward_unanswered_total" []
        "Questions about processes, for records and responses, that these held up for too long";
    TOLD: "counter" "hayward_told_total" ["target", "result"]
        "Records by target of `tell` and what became of them: sent, left-out (others of the same workload were told lately), failed, queue-full, or abandoned (they waited when the target was removed or the agent stopped)";
    LOST: "counter" "hayward_events_lost_total" ["guard", "cause"]
        "Events that the kernel could not hand to the agent, or that the agent could not write to its log of contacts, by cause; what the kernel had decided was done all the same";
    UNSCANNED: "counter" "hayward_unscanned_total" ["guard", "cause"]
        "What the kernel could not judge and left to the agent, by cause";
    NO_TABLE: "counter" "hayward_no_table_total" ["guard"]
        "Program starts in scope that were not judged, since no rule table was in place";
    SCOPES_FULL: "counter" "hayward_scopes_full_total" []
        "Cgroups that found no room in the map of scopes, and are guarded as the cgroup above them is";
    RULES: "gauge" "hayward_rules" ["guard"]
        "Rules in force";
    RULES_LOADED: "gauge" "hayward_rules_timestamp_seconds" ["guard"]
        "When the rules in force were read, in seconds since 1970";
    RULE_GENERATION: "gauge" "hayward_rule_generation" ["guard"]
        "Generation of the rule table in force; it counts up with every change";
    SUSPECTS: "gauge" "hayward_suspects" ["guard"]
        "Processes and workloads against which there is some evidence now, and not enough";
    NUDGES: "counter" "hayward_nudges_total" ["guard"]
        "How often busy processors were interrupted, so that the guard sees what runs there";
    ATTACHED: "gauge" "hayward_sensor_attached_ratio" ["guard"]
        "The part of the time, from 0 to 1, in which the guard looks: less where threads are switched very often";
    DECISION: "histogram" "hayward_decision_seconds" ["guard"]
        "From the first sight on which a finding rests to the finding";
    CONTAINERS_KNOWN: "gauge" "hayward_containers_known" []
        "Containers whose names are known from their runtimes, those that ended within ten minutes among them";
    RECORDS_NAMELESS: "counter" "hayward_records_nameless_total" []
        "Records of containers that were written without the container's name, since no runtime told it in time";
    CONTACTS_BYTES: "gauge" "hayward_contacts_bytes" []
        "Bytes that the log of first contacts holds on disk";
    JOURNAL_BYTES: "gauge" "hayward_journal_bytes" []
        "Bytes that the journal holds on disk";
    JOURNAL_RECORDS: "counter" "hayward_journal_records_total" []
        "Records written to the journal";
    JOURNAL_ERRORS: "counter" "hayward_journal_errors_total" ["cause"]
        "Records that could not be written to the journal, by cause (no-space, unwritable or record); they are in the log only";
}

/// The reference page of all metrics, in Markdown.
pub fn reference() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Served in Prometheus' text format at `/metrics` of `metrics.listen`. This page is generated from the code.\n\n\
         | metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for metric in ALL {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|label| format!("`{label}`"))
            .collect();
        page += &format!(
            "| `{}` | {} | {} | {}. |\n",
            metric.name,
            metric.kind,
            labels.join(", "),
            metric.help
        );
    }
    page
}
