//! The plot of the growth.

use std::path::Path;

use anyhow::Result;
use plotters::prelude::*;

use crate::{
    growth::{BYTES, Growth, STRINGS},
    sample::real,
};

/// Colours that people with any colour vision tell apart (Okabe and Ito).
pub(crate) const COLOURS: [RGBColor; 4] = [
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(230, 159, 0),
    RGBColor(213, 94, 0),
];

/// Draws time against length, both on logarithmic axes, one line for each number of strings.
pub(crate) fn draw(file: &Path, growth: &Growth) -> Result<()> {
    let area = SVGBackend::new(file, (760, 460)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            "Time to judge a command line in the kernel",
            ("sans-serif", 20),
        )
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(
            (90f64..120_000f64).log_scale(),
            (100f64..400_000f64).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc("bytes of arguments")
        .y_desc("ns")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .draw()?;
    for (index, colour) in COLOURS.iter().enumerate() {
        let points: Vec<(f64, f64)> = BYTES
            .iter()
            .zip(&growth.ns[index])
            .map(|(bytes, samples)| (real(*bytes as u64), samples.median()))
            .collect();
        chart
            .draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)).point_size(3))?
            .label(format!("{} banned strings", STRINGS[index]))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .border_style(BLACK.mix(0.3))
        .background_style(WHITE)
        .draw()?;
    area.present()?;
    Ok(())
}
