//! The threads of the guard: one has it look at interfaces as they come and go, one keeps the list of who is never banned.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hayward_model::{Guard, GuardStatus, Mode};
use hayward_policy::Attach;
use ipnet::IpNet;

use super::{
    interfaces::{
        InterfaceReport, TABLE, by_table, hooks, in_words, reports, select, shortfall, table_plan,
    },
    links::Watched,
    never,
    peers::INTERVAL,
    state::lock,
};
use crate::{AgentError, agent::Agent, compat, netlink::WAIT, routes::uplinks};

/// Files of the host say who is never banned, and tell nobody when they change: they are read again after so many looks at
/// connections.
const READ_AGAIN: u64 = 12;
/// Changes that come one after the other lead to one look in this time: a host may have very many routes.
const PAUSE: Duration = Duration::from_secs(1);

impl Agent {
    /// Has the guard look at the interfaces of settings from now on, where they list it and the kernel carries it.
    pub(crate) fn start_inbound(
        self: &Arc<Self>,
        stop: &Arc<AtomicBool>,
    ) -> Result<Vec<JoinHandle<()>>, AgentError> {
        if !self.policy().lists(Guard::Inbound) || !self.carries(Guard::Inbound) {
            return Ok(Vec::new());
        }
        // Whom this host cannot do without is known before anybody can be banned.
        self.look_for_peers();
        self.see_who_is_never_banned();
        let watched = self.open_watched();
        self.look_at_interfaces();
        let (agent, until) = (self.clone(), stop.clone());
        let builder = std::thread::Builder::new().name("interfaces".to_owned());
        let interfaces = builder.spawn(move || agent.watch_interfaces(watched, &until));
        let interfaces = interfaces.map_err(|source| AgentError::Thread { source })?;
        let mut looks = 0_u64;
        let peers = self.clone().every(INTERVAL, stop, "peers", move |agent| {
            looks += 1;
            agent.look_for_peers();
            if looks.is_multiple_of(READ_AGAIN) {
                agent.see_who_is_never_banned();
                // What others take off an interface is told to nobody.
                agent.look_at_interfaces();
            } else {
                agent.write_never();
                agent.look_again_where_it_failed();
            }
        })?;
        let mut threads = vec![interfaces, peers, self.start_firewall(stop)?];
        if let Some(scanblocker) = self.scanblocker.clone() {
            let thread = compat::tell_contacts(self.clone(), scanblocker, stop.clone())?;
            threads.push(thread);
        }
        Ok(threads)
    }

    /// Who is never banned, with a word of why. It changes with addresses, routes, connections and settings.
    pub fn never(&self) -> Vec<(IpNet, String)> {
        self.pipeline.inbound.never().into_iter().collect()
    }

    /// Puts new settings in force: where it looks, and who is never banned.
    pub(crate) fn change_inbound(&self) {
        if self.policy().lists(Guard::Inbound) && self.carries(Guard::Inbound) {
            self.see_who_is_never_banned();
            self.look_at_interfaces();
        }
    }

    fn open_watched(&self) -> Option<Watched> {
        let inbound = &self.pipeline.inbound;
        match Watched::open() {
            Ok(watched) => {
                inbound.note("interfaces", None);
                if let Some(links) = watched.links() {
                    inbound.set_links(links.clone());
                }
                Some(watched)
            }
            Err(error) => {
                let problem = format!(
                    "network interfaces cannot be watched: {error}; the guard `inbound` looks at those that it knows, and tries again"
                );
                inbound.note("interfaces", Some(problem));
                None
            }
        }
    }

    fn watch_interfaces(&self, mut watched: Option<Watched>, stop: &AtomicBool) {
        let mut pending = false;
        let mut last = Instant::now();
        while !stop.load(Relaxed) {
            let Some(open) = &mut watched else {
                std::thread::sleep(WAIT);
                watched = self.open_watched();
                pending = true;
                continue;
            };
            match open.changed() {
                Ok(changed) => pending |= changed,
                Err(error) => {
                    tracing::error!("network interfaces cannot be watched: {error}");
                    watched = None;
                    continue;
                }
            }
            if let (true, Some(links)) = (pending && last.elapsed() >= PAUSE, open.links()) {
                self.pipeline.inbound.set_links(links.clone());
                self.see_who_is_never_banned();
                self.look_at_interfaces();
                (pending, last) = (false, Instant::now());
            }
        }
    }

    /// Looks at the interfaces that settings mean, and at no others.
    fn look_at_interfaces(&self) {
        let policy = self.policy();
        let mut known = lock(&self.pipeline.inbound.reports);
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (ipv4, ipv6) = (read("/proc/net/route"), read("/proc/net/ipv6_route"));
        let uplinks: HashSet<&str> = uplinks(&ipv4, &ipv6).collect();
        let mut links = self.pipeline.inbound.links();
        if policy.inbound.attach == Attach::Nftables {
            // A table does not care what its packets come in.
            links.values_mut().for_each(|link| link.ethernet = true);
        }
        let selection = select(&policy.inbound.interfaces, &links, &uplinks);
        let hooks = hooks(policy.inbound.attach);
        let wanted = selection.wanted.keys();
        let devices = wanted.map(|device| (*device, hooks.to_vec())).collect();
        let looked = self.with_kernel(|kernel| Ok(kernel.look_at(&devices)));
        let looked = looked.unwrap_or_else(|error| {
            tracing::error!("{error}");
            BTreeMap::new()
        });
        let plan = table_plan(&policy.inbound, &selection, &looked);
        let mut reports = reports(selection, looked);
        if let Some(plan) = &plan {
            by_table(&mut reports, plan);
        }
        *lock(&self.pipeline.inbound.table) = plan;
        tell_changes(&known, &reports);
        *known = reports;
    }

    /// What kept it from looking at an interface may be gone, and tells nobody.
    fn look_again_where_it_failed(&self) {
        let failed = self.inbound_shortfall().is_some();
        if failed {
            self.look_at_interfaces();
        }
    }

    fn look_for_peers(&self) {
        let inbound = &self.pipeline.inbound;
        let mut spared = lock(&inbound.spared);
        match spared.listed.look() {
            Ok(peers) => {
                spared.peers = peers;
                inbound.note("peers", None);
            }
            // Those that were known stay.
            Err(error) => {
                let problem = format!(
                    "connections cannot be listed: {error}; whom this host has called since may be banned"
                );
                inbound.note("peers", Some(problem));
            }
        }
    }

    /// Reads anew who is never banned, and has the kernel obey.
    fn see_who_is_never_banned(&self) {
        let environment = |name: &str| std::env::var(name).ok();
        let policy = self.policy();
        let fixed = never::never(Path::new("/"), environment, &policy.inbound);
        lock(&self.pipeline.inbound.spared).fixed = fixed;
        self.write_never();
    }

    fn write_never(&self) {
        let policy = self.policy();
        let inbound = &self.pipeline.inbound;
        let mut spared = lock(&inbound.spared);
        let prefix = policy.inbound.ipv6_prefix;
        let all = never::with_peers(&spared.fixed, &spared.peers, prefix);
        let nets: BTreeSet<IpNet> = all.keys().copied().collect();
        let named = all.iter().map(|(net, why)| (*net, why.clone())).collect();
        inbound.set_never(all);
        if spared.written.as_ref() == Some(&nets) {
            return;
        }
        // The ledger writes them, with whom operators allow.
        let written = self.pipeline.ledger.set_never(named);
        let problem = written.as_ref().err().map(|error| {
            format!("{error}: whom this host cannot do without may be banned; run `hayward off --guard inbound` until it can be written")
        });
        inbound.note("never", problem);
        spared.written = written.ok().map(|()| nets);
    }

    /// Has the programs judge packets that are on no wire: one of a banned source, and one of another.
    pub(crate) fn play_inbound(&self) -> Result<(), String> {
        match self.with_kernel(|kernel| kernel.prove_inbound()) {
            Ok(true) => Ok(()),
            Ok(false) => Err("its programs did not drop a packet of a banned source, or dropped another: restart the agent, and report it with `hayward support`".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Why it does not look where settings want it to.
    pub(crate) fn inbound_shortfall(&self) -> Option<String> {
        let table = lock(&self.pipeline.inbound.table).clone();
        let shortfall = shortfall(&lock(&self.pipeline.inbound.reports));
        let Some(table) = table else {
            return shortfall;
        };
        let names: Vec<&str> = table.interfaces.iter().map(String::as_str).collect();
        let names = names.join(", ");
        let more = shortfall.map(|more| format!("; {more}"));
        let more = more.unwrap_or_default();
        Some(format!(
            "blocks by nftables at {names} and sees no scans: {}{more}",
            table.why
        ))
    }

    /// The status of the guard where its interfaces are all seen, and what is said beside it.
    pub(crate) fn inbound_status(&self) -> (GuardStatus, Option<String>) {
        let (mode, notice) = self.policy().guard_mode(Guard::Inbound);
        let status = match mode {
            Mode::Enforce => GuardStatus::Enforcing,
            Mode::Observe => GuardStatus::Observing,
        };
        let looks = in_words(&lock(&self.pipeline.inbound.reports));
        let notice = notice.map_or(looks.clone(), |notice| format!("{notice}; {looks}"));
        (status, Some(notice))
    }

    /// What is to be said of each interface.
    pub(crate) fn interfaces(&self) -> Vec<InterfaceReport> {
        lock(&self.pipeline.inbound.reports).clone()
    }
}

/// One line for each interface of which something else is to be said than before.
fn tell_changes(before: &[InterfaceReport], after: &[InterfaceReport]) {
    for report in after.iter().filter(|report| !before.contains(report)) {
        match (&report.hook, &report.reason) {
            (Some(hook), _) if hook == TABLE => {
                tracing::warn!(
                    "inbound drops at {} by nftables, and sees no scans",
                    report.name
                );
            }
            (Some(hook), _) => tracing::info!("inbound looks at {} by {hook}", report.name),
            (None, reason) => {
                let reason = reason.as_deref().unwrap_or_default();
                tracing::warn!("inbound does not look at {}: {reason}", report.name);
            }
        }
    }
}
