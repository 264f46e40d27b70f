//! `hayward probe`: what this kernel can do.

use crate::{failure::Failure, show};

pub(crate) fn probe(json: bool) -> Result<(), Failure> {
    let features = hayward_kernel::probe();
    if json {
        let value: Vec<_> = features
            .iter()
            .map(|f| serde_json::json!({"name": f.name, "present": f.present, "detail": f.detail}))
            .collect();
        return show::json(&value);
    }
    let rows: Vec<Vec<String>> = features
        .into_iter()
        .map(|f| {
            vec![
                f.name.to_owned(),
                if f.present { "yes" } else { "no" }.to_owned(),
                f.detail,
            ]
        })
        .collect();
    show::table(&["FEATURE", "HERE", "DETAIL"], &rows);
    Ok(())
}
