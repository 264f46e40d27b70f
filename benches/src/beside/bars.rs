//! The picture of what a dropped packet costs.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use crate::plot::COLOURS;

/// What the axis begins at.
const LEAST: f64 = 100.0;
const GAP: u32 = 4;

/// Draws two bars for each way, the first way on top, by a logarithmic axis.
pub(super) fn draw(file: &Path, labels: &[String; 2], ways: &[(&str, [f64; 2])]) -> Result<()> {
    let most = ways
        .iter()
        .flat_map(|(_, ns)| ns)
        .fold(LEAST, |most, ns| most.max(*ns));
    let count = i32::try_from(ways.len())?;
    let area = SVGBackend::new(file, (960, 520)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "Processor time for a packet of a banned source, on a veth pair",
            ("sans-serif", 20),
        )
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(330)
        .build_cartesian_2d(
            (LEAST..most * 1.5).log_scale(),
            (0..count - 1).into_segmented(),
        )?;
    let name = |at: &SegmentValue<i32>| match at {
        SegmentValue::CenterOf(row) => usize::try_from(count - 1 - row)
            .ok()
            .and_then(|row| ways.get(row))
            .map_or(String::new(), |(name, _)| (*name).to_owned()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_desc("ns, beyond what the sender takes by itself")
        .x_label_formatter(&|ns| format!("{ns:.0}"))
        .y_labels(ways.len())
        .y_label_formatter(&name)
        .draw()?;
    for (which, colour) in [COLOURS[0], COLOURS[2]].into_iter().enumerate() {
        let bars = (0..count).rev().zip(ways).map(|(row, (_, ns))| {
            let (from, to, above, below) = if which == 0 {
                (
                    SegmentValue::CenterOf(row),
                    SegmentValue::Exact(row + 1),
                    GAP,
                    0,
                )
            } else {
                (
                    SegmentValue::Exact(row),
                    SegmentValue::CenterOf(row),
                    0,
                    GAP,
                )
            };
            let mut bar =
                Rectangle::new([(LEAST, from), (ns[which].max(LEAST), to)], colour.filled());
            bar.set_margin(above, below, 0, 0);
            bar
        });
        chart
            .draw_series(bars)?
            .label(labels[which].clone())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE)
        .draw()?;
    area.present()?;
    Ok(())
}
