//! A table of nftables that is ours alone: it drops what comes from banned sources where no program can.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use hayward_model::BanStrength;
use hayward_policy::{AddressFamily, FirewallSet, Output};
use sha2::{Digest, Sha256};

use super::{
    call::{nft, nft_list},
    set::{Bans, KeptSet},
    standing::{Cause, Problem, Standing},
};

/// Where pins are unless settings say otherwise: the table of such an agent has no suffix.
const USUAL_PINS: &str = "/sys/fs/bpf/hayward";
/// Its sets.
const SETS: [(&str, AddressFamily, BanStrength); 4] = [
    ("full4", AddressFamily::Ipv4, BanStrength::Full),
    ("full6", AddressFamily::Ipv6, BanStrength::Full),
    ("soft4", AddressFamily::Ipv4, BanStrength::Soft),
    ("soft6", AddressFamily::Ipv6, BanStrength::Soft),
];

/// What an agent with these pins calls its table, and marks its elements with.
pub(crate) fn name(pins: &Path) -> String {
    if pins == Path::new(USUAL_PINS) {
        return "hayward".to_owned();
    }
    let digest = Sha256::digest(pins.as_os_str().as_encoded_bytes());
    let digest: String = digest
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("hayward_{digest}")
}

/// Where the table drops, and what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TablePlan {
    pub(crate) interfaces: BTreeSet<String>,
    pub(crate) cut_replies: bool,
    /// Why there is a table and no program.
    pub(crate) why: String,
}

/// The table, while there is one.
#[derive(Debug)]
pub(crate) struct OwnTable {
    name: String,
    plan: TablePlan,
    sets: Vec<KeptSet>,
    pub(crate) standing: Standing,
}

impl OwnTable {
    pub(crate) fn new(name: &str, plan: TablePlan) -> Self {
        let sets = SETS.map(|(set, family, strength)| {
            let set = FirewallSet::Nftables {
                family: "inet".to_owned(),
                table: name.to_owned(),
                set: set.to_owned(),
            };
            let family = Some(family);
            KeptSet::new(Output { set, family }, Some(strength), name)
        });
        let mut standing = Standing::new(format!("table inet {name}"));
        standing.note(Err(Problem {
            cause: None,
            text: "it is not written yet".to_owned(),
        }));
        Self {
            name: name.to_owned(),
            plan,
            sets: sets.into(),
            standing,
        }
    }

    pub(crate) fn is_by(&self, plan: &TablePlan) -> bool {
        self.plan.interfaces == plan.interfaces && self.plan.cut_replies == plan.cut_replies
    }

    /// Puts it in place of what is there of it, at once: bans go on meanwhile.
    pub(crate) fn write(&mut self, bans: &Bans) {
        let mut text = definition(&self.name, &self.plan);
        for (set, (_, family, _)) in self.sets.iter_mut().zip(SETS) {
            text.push_str(&set.fill(bans, family));
        }
        let written = nft(&text).map_err(|error| Problem {
            cause: Some(error.cause()),
            text: format!(
                "bans are not obeyed, since the table `inet {}` cannot be written: {error}",
                self.name
            ),
        });
        self.standing.note(written);
    }

    /// Looks whether it is all there, and writes it anew where it is not.
    pub(crate) fn agree(&mut self, bans: &Bans) {
        let is_there = nft_list(&["list", "chain", "inet", &self.name, "arrivals"]).is_ok();
        if is_there && !self.standing.is_wrong() {
            self.sets.iter_mut().for_each(|set| set.agree(bans));
        }
        if !is_there
            || self.standing.is_wrong()
            || self.sets.iter().any(|set| set.standing.is_wrong())
        {
            self.write(bans);
        }
    }

    /// What has failed since this was asked last, of its sets too.
    pub(crate) fn take_failed(&mut self) -> Vec<Cause> {
        let sets = self.sets.iter_mut();
        let sets = sets.flat_map(|set| set.standing.take_failed());
        let mut failed: Vec<Cause> = sets.collect();
        failed.extend(self.standing.take_failed());
        failed
    }

    pub(crate) fn follow(&mut self, bans: &Bans, changed: &[ipnet::IpNet]) {
        self.sets
            .iter_mut()
            .for_each(|set| set.follow(bans, changed));
        if self.sets.iter().any(|set| set.standing.is_wrong()) {
            self.write(bans);
        }
    }
}

/// Removes the table of such a name, where there is one. Says whether there was.
pub(crate) fn remove(name: &str) -> Result<bool, String> {
    match nft_list(&["list", "table", "inet", name]) {
        Ok(_) => {}
        Err(error) if error.is_missing() || error.is_absent() => return Ok(false),
        Err(error) => return Err(error.to_string()),
    }
    nft(&format!("delete table inet {name}\n")).map_err(|error| error.to_string())?;
    Ok(true)
}

/// The table without elements, in place of one that is there. It comes after what knows connections (-200), by which answers to
/// what this host opened are told from the rest, and before addresses are rewritten (-100).
fn definition(name: &str, plan: &TablePlan) -> String {
    let mut text =
        format!("add table inet {name}\ndelete table inet {name}\ntable inet {name} {{\n");
    for (set, family, _) in SETS {
        let kind = match family {
            AddressFamily::Ipv4 => "ipv4_addr",
            AddressFamily::Ipv6 => "ipv6_addr",
        };
        let _ = writeln!(
            text,
            "  set {set} {{ type {kind}; flags interval, timeout; }}"
        );
    }
    text.push_str(
        "  chain arrivals {\n    type filter hook prerouting priority -150; policy accept;\n",
    );
    let names: Vec<String> = plan
        .interfaces
        .iter()
        .map(|name| format!("\"{name}\""))
        .collect();
    let _ = writeln!(text, "    iifname != {{ {} }} accept", names.join(", "));
    if !plan.cut_replies {
        text.push_str("    ct direction reply ct state established,related accept\n");
    }
    text.push_str(
        "    ip saddr @full4 drop\n    ip6 saddr @full6 drop\n    ct state new,invalid ip saddr @soft4 drop\n    ct state new,invalid ip6 saddr @soft6 drop\n  }\n}\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_agents_have_tables_of_different_names() {
        assert_eq!(name(Path::new(USUAL_PINS)), "hayward");
        let other = name(Path::new("/sys/fs/bpf/other"));
        assert!(
            other.starts_with("hayward_") && other.len() == 16,
            "{other}"
        );
        assert_ne!(other, name(Path::new("/sys/fs/bpf/third")));
    }

    #[test]
    fn answers_come_in_unless_settings_cut_them() {
        let plan = TablePlan {
            interfaces: BTreeSet::from(["eth0".to_owned(), "ppp0".to_owned()]),
            ..TablePlan::default()
        };
        assert_eq!(
            definition("hayward", &plan),
            "add table inet hayward\n\
             delete table inet hayward\n\
             table inet hayward {\n  \
               set full4 { type ipv4_addr; flags interval, timeout; }\n  \
               set full6 { type ipv6_addr; flags interval, timeout; }\n  \
               set soft4 { type ipv4_addr; flags interval, timeout; }\n  \
               set soft6 { type ipv6_addr; flags interval, timeout; }\n  \
               chain arrivals {\n    \
                 type filter hook prerouting priority -150; policy accept;\n    \
                 iifname != { \"eth0\", \"ppp0\" } accept\n    \
                 ct direction reply ct state established,related accept\n    \
                 ip saddr @full4 drop\n    \
                 ip6 saddr @full6 drop\n    \
                 ct state new,invalid ip saddr @soft4 drop\n    \
                 ct state new,invalid ip6 saddr @soft6 drop\n  \
               }\n\
             }\n"
        );
        let plan = TablePlan {
            cut_replies: true,
            ..plan
        };
        assert!(!definition("hayward", &plan).contains("direction"));
    }
}
