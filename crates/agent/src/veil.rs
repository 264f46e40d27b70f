//! Masking what is about to be written. Nothing of a secret rule may stand in a record, whichever rule decided.

use std::{ops::Range, sync::Arc};

use hayward_model::{Evidence, Process, Workload};
use hayward_record::{CommandLines, mask, mask::MASK, mask::RECORDED_BYTES};
use hayward_rules::table::{CommandTable, Cut, Secrets};

/// The kernel's names of programs have at most so many bytes.
const COMM_BYTES: usize = 15;
/// An event's path of this length, or with so many components, may have lost its front.
const PATH_BYTES: usize = 256;
const PATH_COMPONENTS: usize = 32;

/// What must not be written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Veil {
    /// The table that judged, and the one in force: an event may be older than either, and hold a secret of both.
    tables: Vec<Arc<CommandTable>>,
    how: CommandLines,
}

impl Veil {
    /// `judged_by` is none where no table judged.
    pub(crate) fn new(
        current: &Arc<CommandTable>,
        judged_by: Option<&Arc<CommandTable>>,
        how: CommandLines,
    ) -> Self {
        let judged_by = judged_by.filter(|table| table.generation() != current.generation());
        let tables = [Some(current), judged_by].into_iter().flatten();
        let tables = tables.filter(|table| !table.secrets().is_empty());
        Self {
            tables: tables.cloned().collect(),
            how,
        }
    }

    fn secrets(&self) -> impl Iterator<Item = &Secrets> {
        self.tables.iter().map(|table| table.secrets())
    }

    /// Masks all that is known of a process. `wholly` where its very name is the secret.
    pub(crate) fn process(&self, process: &mut Process, wholly: bool) {
        let path = &process.executable;
        let components = path.bytes().filter(|byte| *byte == b'/').count();
        let path_cut = path.len() >= PATH_BYTES || components >= PATH_COMPONENTS;
        let named = |secrets: &Secrets| secrets.names_executable(path.as_bytes(), path_cut);
        if wholly || self.secrets().any(named) {
            for text in [
                &mut process.executable,
                &mut process.comm,
                &mut process.command_line,
            ] {
                *text = MASK.to_owned();
            }
            return;
        }
        // Events keep the first part of a long line, without the NUL behind its last argument. What was no UTF-8 has
        // grown from one byte to three.
        let line = &process.command_line;
        let grown = line.matches(char::REPLACEMENT_CHARACTER).count();
        let kept = line.len() - 2 * grown + 1;
        let line_cut = kept < process.command_line_bytes as usize;
        process.command_line = self.line(&process.command_line, at_end(line_cut));
        process.comm = self.comm(&process.comm);
        let path_cut = Cut {
            start: path_cut,
            end: false,
        };
        process.executable = self.text(&process.executable, path_cut);
    }

    /// Masks the kernel's name of a program of which nothing else is known. Any may be of an executable that a secret rule
    /// names.
    pub(crate) fn comm_alone(&self, comm: &str) -> String {
        let named = |secrets: &Secrets| secrets.names_executable(&[], true);
        if self.secrets().any(named) {
            return MASK.to_owned();
        }
        self.comm(comm)
    }

    fn comm(&self, comm: &str) -> String {
        self.text(comm, at_end(comm.len() >= COMM_BYTES))
    }

    /// Masks the bytes around a match, which begin and end anywhere. Where the match is of a secret rule, `wholly`.
    pub(crate) fn evidence(&self, evidence: &mut Evidence, wholly: bool) {
        let cut = Cut {
            start: true,
            end: true,
        };
        let window = evidence.match_window.take().filter(|_| !wholly);
        evidence.match_window = window.map(|window| self.line(&window, cut));
        if let Some(pool) = &mut evidence.pool {
            pool.message = self.line(&pool.message, cut);
        }
    }

    /// Masks what a workload's owner may have named.
    pub(crate) fn workload(&self, workload: &mut Workload) {
        let texts = [
            Some(&mut workload.cgroup),
            Some(&mut workload.name),
            workload.container_id.as_mut(),
            workload.unit.as_mut(),
            workload.namespace.as_mut(),
            workload.pod.as_mut(),
            workload.container.as_mut(),
            workload.image.as_mut(),
        ];
        let outer = workload.within.iter_mut();
        let outer = outer.flat_map(|outer| {
            [
                Some(&mut outer.id),
                outer.name.as_mut(),
                outer.image.as_mut(),
            ]
        });
        for text in texts.into_iter().chain(outer).flatten() {
            *text = self.text(text, Cut::default());
        }
        // Anything may stand in these, an address with a password in it too.
        let values = workload.labels.values_mut();
        for text in values.chain(workload.attributes.values_mut()) {
            let ranges = self.ranges(text, at_end(true));
            *text = mask(text, CommandLines::Masked, &ranges);
        }
    }

    /// Masks the secrets in a text, and nothing else.
    pub(crate) fn text(&self, text: &str, cut: Cut) -> String {
        let ranges = self.ranges(text, cut);
        if ranges.is_empty() {
            return text.to_owned();
        }
        mask(text, CommandLines::Full, &ranges)
    }

    /// Masks a command line, or a part of one, as settings want it.
    fn line(&self, line: &str, cut: Cut) -> String {
        mask(line, self.how, &self.ranges(line, cut))
    }

    fn ranges(&self, text: &str, cut: Cut) -> Vec<Range<usize>> {
        let find = |secrets: &Secrets| {
            // What lies further back is not recorded.
            let looked_at = text.len().min(RECORDED_BYTES + secrets.longest());
            secrets.ranges(&text.as_bytes()[..looked_at], cut)
        };
        self.secrets().flat_map(find).collect()
    }
}

fn at_end(cut: bool) -> Cut {
    Cut {
        start: false,
        end: cut,
    }
}
