//! The words that Rust writes are the words that the kernel programs read: `bpf/layout.h` is the source of both.

#[cfg(test)]
mod tests {
    use hayward_kernel::{Cell, Counters};
    use hayward_model::{Guard, Mode, ScopePolicy};
    use hayward_rules::table::layout::{
        Header, MAX_GROUPS, MAX_SCOPE_ENTRIES, SCOPE_PATH, TABLE_MAGIC,
    };

    const LAYOUT: &str = include_str!("../bpf/layout.h");

    /// The names of an enum, in order.
    fn enumerators(name: &str) -> Vec<String> {
        let start = LAYOUT.find(&format!("enum {name} {{")).expect(name);
        let body = &LAYOUT[start..];
        let body = &body[body.find('{').expect("{") + 1..body.find("};").expect("}")];
        body.lines()
            .map(|line| line.split("/*").next().unwrap_or_default())
            .flat_map(|line| line.split(','))
            .map(|word| word.trim().to_owned())
            .filter(|word| {
                !word.is_empty() && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
            })
            .collect()
    }

    fn define(name: &str) -> &str {
        let line = LAYOUT
            .lines()
            .find(|line| line.starts_with(&format!("#define {name} ")))
            .expect(name);
        line.split_whitespace().nth(2).expect("a value")
    }

    #[test]
    fn the_table_header_is_the_same() {
        let names = enumerators("table_header");
        for (header, name) in [
            (Header::Magic, "TABLE_MAGIC_WORD"),
            (Header::Generation, "TABLE_GENERATION"),
            (Header::Cells, "TABLE_CELLS"),
            (Header::Filter, "TABLE_FILTER"),
            (Header::FilterShift, "TABLE_FILTER_SHIFT"),
            (Header::LongFilter, "TABLE_LONG_FILTER"),
            (Header::LongFilterShift, "TABLE_LONG_FILTER_SHIFT"),
            (Header::ShortFilter, "TABLE_SHORT_FILTER"),
            (Header::ShortFilterShift, "TABLE_SHORT_FILTER_SHIFT"),
            (Header::Groups, "TABLE_GROUPS"),
            (Header::Executables, "TABLE_EXECUTABLES"),
            (Header::BannedLo, "TABLE_BANNED_LO"),
            (Header::ExecutableLo, "TABLE_EXECUTABLE_LO"),
            (Header::LiveLo, "TABLE_LIVE_LO"),
            (Header::Words, "TABLE_HEADER_WORDS"),
        ] {
            assert_eq!(names[header as usize], name);
        }
        assert_eq!(define("MAX_GROUPS"), MAX_GROUPS.to_string());
        assert_eq!(define("TABLE_MAGIC"), format!("{TABLE_MAGIC:#x}"));
    }

    #[test]
    fn the_scope_table_and_the_policies_are_the_same() {
        assert_eq!(define("MAX_SCOPE_ENTRIES"), MAX_SCOPE_ENTRIES.to_string());
        assert_eq!(define("SCOPE_PATH"), SCOPE_PATH.to_string());
        assert_eq!(
            enumerators("scope_entry"),
            ["SCOPE_POLICY", "SCOPE_DFA", "SCOPE_ENTRY_WORDS"]
        );
        let on = ScopePolicy::of(Guard::Command, Mode::Observe).bits();
        let enforce = ScopePolicy::of(Guard::Command, Mode::Enforce).bits();
        assert_eq!(define("POLICY_COMMAND_ON"), format!("{on}u"));
        assert_eq!(
            define("POLICY_COMMAND_ENFORCE"),
            format!("{}u", enforce & !on)
        );
        let on = ScopePolicy::of(Guard::Pool, Mode::Observe).bits();
        let enforce = ScopePolicy::of(Guard::Pool, Mode::Enforce).bits() & !on;
        for (name, bit) in [("ON", on), ("ENFORCE", enforce)] {
            let shift = bit.trailing_zeros();
            assert!(LAYOUT.contains(&format!("#define POLICY_POOL_{name} (1u << {shift})")));
        }
        assert!(LAYOUT.contains("#define POLICY_EXCLUDED (1u << 31)"));
        assert_eq!(ScopePolicy::EXCLUDED.bits(), 1 << 31);
    }

    #[test]
    fn the_counters_are_the_same() {
        let mut names = enumerators("counter");
        assert_eq!(names.pop().as_deref(), Some("COUNT_MAX"));
        let read: Vec<_> = Counters::default()
            .by_name()
            .map(|(name, _)| format!("COUNT_{}", name.to_uppercase()))
            .collect();
        assert_eq!(names, read);
    }

    #[test]
    fn the_cells_are_the_same() {
        let names = enumerators("cell");
        for (cell, name) in [
            (Cell::ActiveInstance, "CELL_ACTIVE_INSTANCE"),
            (Cell::OffAll, "CELL_OFF_ALL"),
            (Cell::OffCommand, "CELL_OFF_COMMAND"),
            (Cell::Heartbeat, "CELL_HEARTBEAT"),
            (Cell::Lease, "CELL_LEASE"),
            (Cell::RootCgroup, "CELL_ROOT_CGROUP"),
            (Cell::AgentDevice, "CELL_AGENT_DEVICE"),
            (Cell::AgentInode, "CELL_AGENT_INODE"),
            (Cell::UidMin, "CELL_UID_MIN"),
            (Cell::UsersPolicy, "CELL_USERS_POLICY"),
            (Cell::FilelessKill, "CELL_FILELESS_KILL"),
            (Cell::UnscannedKill, "CELL_UNSCANNED_KILL"),
            (Cell::Layout, "CELL_LAYOUT"),
            (Cell::HostMounts, "CELL_HOST_MOUNTS"),
            (Cell::OffPool, "CELL_OFF_POOL"),
            (Cell::PacketSockets, "CELL_PACKET_SOCKETS"),
            (Cell::OutboundLog, "CELL_OUTBOUND_LOG"),
            (Cell::OutboundLookback, "CELL_OUTBOUND_LOOKBACK"),
        ] {
            assert_eq!(names[cell as usize], name);
        }
    }
}
