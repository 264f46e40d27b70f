//! What is told: the record, and what is needed around it.

use std::sync::Arc;

use hayward_model::{Action, Record};
use hayward_record::id;
use jiff::Timestamp;
use serde::Serialize;

/// The number of this shape. It changes where somebody who reads it would have to.
const VERSION: u32 = 1;

/// A message that waits.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) record: Arc<Record>,
    pub(crate) left_out: u64,
}

/// The JSON of a message, in its order.
#[derive(Debug, Serialize)]
struct Body<'a> {
    version: u32,
    /// This host's name.
    host: &'a str,
    /// Nothing has happened: somebody tries whether messages arrive.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    test: bool,
    /// How many records of the same workload were not told since the message before.
    left_out: u64,
    /// As the journal has it.
    record: &'a Record,
}

impl Message {
    /// One line of JSON, with its line feed.
    pub(crate) fn body(&self, host: &str) -> Vec<u8> {
        line(host, &self.record, self.left_out, false)
    }
}

/// The message that tries whether messages arrive.
pub(crate) fn test(host: &str) -> Vec<u8> {
    line(host, &example(), 0, true)
}

/// The record of such a message.
pub fn example() -> Record {
    let time = Timestamp::now();
    Record {
        rule: Some("test".to_owned()),
        reason: Some("somebody tries whether messages arrive".to_owned()),
        detail: Some("a test: nothing was killed".to_owned()),
        ..Record::new(id::next(time), time, Action::Killed)
    }
}

fn line(host: &str, record: &Record, left_out: u64, test: bool) -> Vec<u8> {
    let body = Body {
        version: VERSION,
        host,
        test,
        left_out,
        record,
    };
    // A record has no maps with keys that are no text.
    let mut line = serde_json::to_vec(&body).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_with_the_record_as_the_journal_has_it() {
        let record = example();
        let message = Message {
            record: Arc::new(record.clone()),
            left_out: 3,
        };
        let line = String::from_utf8(message.body("node-1")).expect("text");
        let journal = serde_json::to_string(&record).expect("JSON");
        assert_eq!(
            line,
            format!("{{\"version\":1,\"host\":\"node-1\",\"left_out\":3,\"record\":{journal}}}\n")
        );
        let test: serde_json::Value = serde_json::from_slice(&test("node-1")).expect("JSON");
        assert_eq!(test["test"], true);
    }
}
