//! `hayward bans`.

use std::path::Path;

use hayward_agent::BanReport;

use crate::{client, failure::Failure, show};

pub(crate) fn bans(socket: &Path, json: bool) -> Result<(), Failure> {
    let lists: Vec<BanReport> = client::get(socket, "/v1/bans")?;
    if json {
        return show::json(&lists);
    }
    let rows: Vec<Vec<String>> = lists.iter().map(row).collect();
    show::table(
        &["LIST", "DATE", "PREFIXES", "NAMES", "REFUSED", "SOURCE"],
        &rows,
    );
    Ok(())
}

fn row(list: &BanReport) -> Vec<String> {
    let date = list
        .date
        .map(|date| date.strftime("%Y-%m-%d %H:%M").to_string());
    vec![
        show::printable(&list.name),
        date.unwrap_or_else(|| "-".to_owned()),
        list.prefixes.to_string(),
        list.names.to_string(),
        list.refused.to_string(),
        show::printable(list.source.as_deref().unwrap_or("-")),
    ]
}
