//! Execwhacker's log lines, and the same of flowkiller's kills: JSON as Python writes it, since alerts look for `"action": "killed"` with the space.

use std::io;

use hayward_model::{Action, Guard, Record};
use serde_json::{Map, Value, json, ser::Formatter};

use super::{AT_SCAN, source};

/// Whose line it is where a process connected to too many.
const FLOWKILLER: &str = "flowkiller";

/// The line; none for what execwhacker has none for. Of a secret rule the id stands in the place of the banned string.
pub(super) fn line(record: &Record) -> Option<String> {
    let source = match record.guard {
        Some(Guard::Outbound) => FLOWKILLER,
        _ => source(record),
    };
    let (action, event) = match record.action {
        Action::Killed => ("killed", "Killed process"),
        Action::Missed => ("missed-kill", "Process exited before we could kill it"),
        // What its scan spares it has said at the start.
        Action::Spared if source != AT_SCAN => ("spared", "Not killing process"),
        _ => return None,
    };
    let process = record.process.as_ref()?;
    let matched = record.matched.as_ref().map(|text| text.to_lowercase());
    let mut fields = Map::new();
    let mut put = |key: &str, value: Value| fields.insert(key.to_owned(), value);
    put("pid", json!(process.pid));
    put("cmdline", json!(process.command_line));
    put("matched", json!(matched.as_ref().or(record.rule.as_ref())));
    put("source", json!(source));
    if let Some(workload) = &record.workload {
        let labels: Map<String, Value> = [
            ("io.kubernetes.pod.namespace", &workload.namespace),
            ("io.kubernetes.pod.uid", &workload.pod_uid),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value.as_ref()?.as_str()))))
        .collect();
        put("labels", Value::Object(labels));
        put("image", json!(workload.image));
    }
    put("action", json!(action));
    if record.action == Action::Spared {
        put("allowedby", json!("allowed-pattern"));
    }
    put("event", json!(event));
    put("level", json!("info"));
    put(
        "timestamp",
        json!(record.time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()),
    );
    python_json(&Value::Object(fields))
}

fn python_json(value: &Value) -> Option<String> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Python);
    serde::Serialize::serialize(value, &mut serializer).ok()?;
    String::from_utf8(bytes).ok()
}

/// `json.dumps`: a space after each comma and colon, and nothing but ASCII.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        to.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        to.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        text: &str,
    ) -> io::Result<()> {
        for character in text.chars() {
            if character.is_ascii() {
                to.write_all(character.encode_utf8(&mut [0; 1]).as_bytes())?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(to, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}
