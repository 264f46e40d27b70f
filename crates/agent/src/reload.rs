//! Reading settings and rules again. What is bad is refused whole, and what was in force stays.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use hayward_model::{Action, Actor, Guard};
use hayward_policy::Policy;
use hayward_rules::{
    Rule, diff,
    table::{CommandTable, Judgement},
};

use crate::{
    AgentError, agent::Agent, bans::bans_of, egress, node::refuse_cutting_node, options, pool,
    rules::Tables, scope, start, watch::Stamps,
};

/// What a reload did, or would do.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct ReloadReport {
    /// Rules that are new.
    pub added: Vec<String>,
    /// Rules that are gone.
    pub removed: Vec<String>,
    /// Rules that changed.
    pub changed: Vec<String>,
    /// Rules in force afterwards.
    pub rules: usize,
    /// Nothing was put in force.
    pub dry_run: bool,
    /// Recorded commands that the new rules would stop and that were not stopped: record id and rule.
    pub would_stop: Vec<(String, String)>,
    /// Settings that changed and that only a restart puts in force.
    #[serde(default)]
    pub needs_restart: Vec<String>,
}

/// What a running agent does not change: where things are, and threads that it has started.
fn needs_restart(old: &Policy, new: &Policy) -> Vec<String> {
    let journal = |policy: &Policy| {
        let journal = &policy.journal;
        (journal.path.clone(), journal.keep, journal.max_bytes)
    };
    let api = |policy: &Policy| (policy.api.socket.clone(), policy.api.readers.clone());
    let changed = [
        ("cgroup_root", old.cgroup_root != new.cgroup_root),
        ("pins", old.pins != new.pins),
        ("journal", journal(old) != journal(new)),
        ("metrics", old.metrics_listen != new.metrics_listen),
        ("api", api(old) != api(new)),
        ("log", old.log != new.log),
        (
            "compat",
            old.compat_cryptnono != new.compat_cryptnono
                || old.compat_scanblocker != new.compat_scanblocker,
        ),
        ("scan", old.command.scan != new.command.scan),
        (
            "guards.egress",
            old.lists(Guard::Egress) != new.lists(Guard::Egress),
        ),
        (
            "guards.outbound",
            old.lists(Guard::Outbound) != new.lists(Guard::Outbound),
        ),
        (
            "guards.pool",
            old.lists(Guard::Pool) != new.lists(Guard::Pool),
        ),
        (
            "guards.inbound",
            old.lists(Guard::Inbound) != new.lists(Guard::Inbound),
        ),
        (
            "guards.inbound.sources",
            old.inbound.sources != new.inbound.sources,
        ),
        (
            "workloads.runtimes",
            old.workloads.runtimes != new.workloads.runtimes,
        ),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(key, _)| key.to_owned()).collect()
}

/// All rules of a table but the canary's, which is the last.
fn operators_rules(table: &CommandTable) -> &[Rule] {
    let rules = table.rules();
    &rules[..rules.len().saturating_sub(1)]
}

impl Agent {
    /// Reads settings and rules again. What is bad is refused whole, and what was in force stays.
    pub fn reload(&self, dry_run: bool, actor: Option<Actor>) -> Result<ReloadReport, AgentError> {
        let reloading = self.reloading.lock();
        let _reloading = reloading.unwrap_or_else(PoisonError::into_inner);
        let result = self.try_reload(dry_run);
        if !dry_run {
            let (action, detail) = match &result {
                Ok(report) => (Action::Reloaded, format!("{} rules in force", report.rules)),
                Err(error) => (Action::ReloadRefused, error.to_string()),
            };
            self.record_act(action, None, actor, detail);
        }
        result
    }

    fn try_reload(&self, dry_run: bool) -> Result<ReloadReport, AgentError> {
        let policy = Policy::load(self.settings_file.as_deref())?;
        // What the command line names holds for as long as the agent runs.
        let mut policy = policy.at_interfaces(self.policy().named_interfaces());
        let stamps = Stamps::take(self.settings_file.as_deref(), &policy);
        let generation = self.generation.load(Ordering::Relaxed) + 1;
        let (_, table) = start::compile(&policy, &self.canary_argument, generation)?;
        let bans = bans_of(&policy)?;
        refuse_cutting_node(&policy, &bans)?;
        let targets = hayward_tell::prepare(&policy.tell)?;
        let old = self
            .pipeline
            .tables
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .current
            .clone();
        let difference = diff(operators_rules(&old), operators_rules(&table));
        let mut report = ReloadReport {
            added: difference.added,
            removed: difference.removed,
            changed: difference.changed,
            rules: operators_rules(&table).len(),
            dry_run,
            would_stop: Vec::new(),
            needs_restart: needs_restart(&self.policy(), &policy),
        };
        if options::may_quarantine(&policy, &table) && !self.judges_packets() {
            let key = "response: quarantine".to_owned();
            let known = report
                .needs_restart
                .iter()
                .any(|key| key == "guards.egress");
            report.needs_restart.extend((!known).then_some(key));
        }
        if dry_run {
            report.would_stop = self.would_stop(&table);
            return Ok(report);
        }
        self.put_bans_in_force(&policy, &bans)?;
        policy = egress::number(policy)?;
        let table = Arc::new(table);
        self.pipeline.breaker().prepare(&table, &policy.breaker);
        self.change_tables(|tables| tables.announce(table.clone()));
        if let Err(error) = self.put_in_force(&table, Arc::new(policy)) {
            self.change_tables(Tables::withdrawn);
            return Err(error);
        }
        self.generation.store(generation, Ordering::Relaxed);
        self.weigh_contacts();
        self.change_inbound();
        self.tell.replace(targets);
        if let Ok(mut watch) = self.watch.lock() {
            watch.acted_on = stamps;
        }
        self.change_tables(Tables::arrived);
        self.pipeline.breaker().arrived(&table);
        self.refresh_metrics();
        hayward_kernel::release_unused_memory();
        Ok(report)
    }

    fn change_tables(&self, change: impl FnOnce(&mut Tables)) {
        let tables = self.pipeline.tables.write();
        change(&mut tables.unwrap_or_else(PoisonError::into_inner));
    }

    /// Rules and scope cannot change in one instant. Until both have, every cgroup is under the milder of its two
    /// policies, so that nothing is killed by new rules under the old scope, or by old rules under the new one.
    fn put_in_force(&self, table: &CommandTable, policy: Arc<Policy>) -> Result<(), AgentError> {
        let old = self.policy();
        let (from, to) = (old.scope_rules(), policy.scope_rules());
        let mut between = options::kernel_options(&old, &self.root);
        between.users_policy = from.general().milder(to.general());
        between.by_name |= to.is_by_name();
        between.uid_min = between.uid_min.filter(|_| to.users());
        let result = self.with_kernel(|kernel| {
            kernel.write_cells(&between)?;
            scope::enter(kernel, &self.mount, &self.root, &mut |path| {
                let by = |rules| scope::decide(rules, &self.pipeline.names, path).policy;
                by(from).milder(by(to))
            });
            kernel.replace_tables(table.words(), to.table().words())?;
            kernel.write_cells(&options::kernel_options(&policy, &self.root))?;
            // While the kernel side is held: a scan would enter what it finds under the policy that it finds.
            if let Ok(mut current) = self.pipeline.policy.write() {
                *current = policy.clone();
            }
            Ok(())
        });
        if result.is_err() {
            let options = options::kernel_options(&old, &self.root);
            self.with_kernel(|kernel| kernel.write_cells(&options))?;
        }
        // Under the new policy, or again under the old one.
        self.enter_existing_cgroups();
        self.forget_old_lists();
        result?;
        Ok(pool::write_domains(&policy)?)
    }

    /// Recorded command lines that were not stopped and that `table` would stop. Masked ones are judged as recorded.
    fn would_stop(&self, table: &CommandTable) -> Vec<(String, String)> {
        let Ok(records) = self
            .pipeline
            .recorder
            .reader()
            .query(hayward_record::Query::default())
        else {
            return Vec::new();
        };
        records
            .filter_map(Result::ok)
            .filter(|record| record.action != Action::Killed)
            .filter_map(|record| {
                let process = record.process.as_ref()?;
                let executable = process.executable.as_bytes();
                match table.judge(process.command_line.as_bytes(), Some(executable), 0) {
                    Judgement::Banned { rule, .. } => {
                        let rule = table.rules().get(rule as usize)?.id.clone();
                        Some((record.id, rule))
                    }
                    _ => None,
                }
            })
            .collect()
    }
}
