//! One measured number beside what is asked of it.

/// A number, and what is asked of it. Smaller is better.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// Its key in `target/bench.json`.
    pub(crate) key: &'static str,
    /// What was measured, for people.
    pub(crate) what: String,
    /// The number.
    pub(crate) value: f64,
    /// Its unit; empty for a ratio or a count.
    pub(crate) unit: &'static str,
    /// The middle half of the samples, or the count of them, in words.
    pub(crate) spread: String,
    /// The most that is acceptable.
    pub(crate) floor: Option<f64>,
    /// The most that is wished for.
    pub(crate) aim: Option<f64>,
}

impl Figure {
    /// Whether the number is acceptable.
    pub(crate) fn is_met(&self) -> bool {
        self.floor.is_none_or(|floor| self.value <= floor)
    }

    fn verdict(&self) -> &'static str {
        if self.floor.is_none() {
            ""
        } else if self.aim.is_some_and(|aim| self.value <= aim) {
            "aim met"
        } else if self.is_met() {
            "met"
        } else {
            "MISSED"
        }
    }

    /// Cells of its row.
    pub(crate) fn row(&self) -> [String; 6] {
        let limit = |limit: Option<f64>| limit.map_or(String::new(), |l| self.with_unit(l));
        [
            self.what.clone(),
            self.with_unit(self.value),
            self.spread.clone(),
            limit(self.floor),
            limit(self.aim),
            self.verdict().to_owned(),
        ]
    }

    fn with_unit(&self, value: f64) -> String {
        let digits = match value.abs() {
            value if value == 0.0 || value >= 100.0 => 0,
            value if value >= 10.0 => 1,
            value if value >= 2.0 => 2,
            _ => 3,
        };
        let text = format!("{value:.digits$}");
        let text = if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.')
        } else {
            &text
        };
        format!("{text} {}", self.unit).trim_end().to_owned()
    }
}

/// Heads of the columns of [`Figure::row`].
pub(crate) const HEAD: [&str; 6] = ["what", "measured", "spread", "at least", "aim", ""];

/// A table for a terminal.
pub(crate) fn table(figures: &[Figure]) -> String {
    let mut rows = vec![HEAD.map(str::to_uppercase)];
    rows.extend(figures.iter().map(Figure::row));
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let lengths = rows.iter().map(|row| row[column].chars().count());
            lengths.max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}
