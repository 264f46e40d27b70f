//! Messages and questions, and what Rust makes of them: for all that read them as the guard `pool` does.

use hayward_fuzz::{Corpus, Input};
use hayward_model::PoolDialect;
use proptest::{collection::vec, prelude::*, sample::select};

const WORDS: [&str; 19] = [
    "method",
    "id",
    "params",
    "jsonrpc",
    "result",
    "login",
    "pass",
    "blob",
    "job_id",
    "target",
    "mining.subscribe",
    "mining.notify",
    "mining.set_target",
    "mining.hello",
    "eth_getWork",
    "EthereumStratum/1.0.0",
    "mining.subscribed",
    "Method",
    "",
];

#[derive(Debug, Clone)]
pub enum Value {
    Text(&'static str),
    Number(u8),
    List(Vec<Value>),
    Object(Vec<(&'static str, Value)>),
}

fn value() -> impl Strategy<Value = Value> {
    let word = || select(WORDS.to_vec());
    let leaf =
        prop_oneof![3 => word().prop_map(Value::Text), 1 => any::<u8>().prop_map(Value::Number)];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            vec((word(), inner), 0..6).prop_map(Value::Object),
        ]
    })
}

/// A message, where some things are likelier than in any other object.
pub fn message() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let pair = (select(WORDS[..10].to_vec()), value());
    let method = (Just("method"), select(WORDS.to_vec()).prop_map(Value::Text));
    vec(prop_oneof![3 => pair, 1 => method], 0..7)
}

pub fn written(value: &Value, space: &str) -> String {
    let all = |parts: Vec<String>| parts.join(&format!("{space},{space}"));
    match value {
        Value::Text(text) => format!("\"{text}\""),
        Value::Number(number) => number.to_string(),
        Value::List(list) => {
            let parts = list.iter().map(|value| written(value, space));
            format!("[{space}{}]", all(parts.collect()))
        }
        Value::Object(pairs) => {
            let pair = |(key, value): &(_, _)| {
                format!("\"{key}\"{space}:{space}{}", written(value, space))
            };
            format!("{{{space}{}}}", all(pairs.iter().map(pair).collect()))
        }
    }
}

/// Keys below the message's own, and values that are no method.
fn inner<'a>(value: &'a Value, keys: &mut Vec<&'a str>, texts: &mut Vec<&'a str>) {
    match value {
        Value::Text(text) => texts.push(text),
        Value::Number(_) => {}
        Value::List(list) => list.iter().for_each(|value| inner(value, keys, texts)),
        Value::Object(pairs) => {
            for (key, value) in pairs {
                keys.push(key);
                inner(value, keys, texts);
            }
        }
    }
}

/// What is said in docs/pool.md.
pub fn dialect(message: &[(&str, Value)]) -> Option<PoolDialect> {
    let (mut keys, mut texts, mut methods) = (Vec::new(), Vec::new(), Vec::new());
    for (key, value) in message {
        match value {
            Value::Text(method) if *key == "method" => methods.push(*method),
            value => inner(value, &mut keys, &mut texts),
        }
    }
    let says = |wanted: &str| message.iter().any(|(key, _)| *key == wanted);
    let is_call = says("id") || says("params") || says("jsonrpc");
    let has = |wanted: &[&str]| wanted.iter().all(|key| keys.contains(key));
    let calls = |wanted: &str| says("method") && is_call && methods.contains(&wanted);
    if calls("mining.hello") {
        return Some(PoolDialect::EthereumStratum2);
    } else if calls("eth_getWork") {
        return Some(PoolDialect::EthereumWork);
    } else if calls("mining.set_target") {
        return Some(PoolDialect::Zcash);
    } else if calls("mining.subscribe") || calls("mining.notify") {
        let first = texts.contains(&"EthereumStratum/1.0.0");
        return Some(if first {
            PoolDialect::EthereumStratum1
        } else {
            PoolDialect::Stratum
        });
    }
    let logs_in = calls("login") && has(&["login", "pass"]);
    if logs_in || is_call && has(&["blob", "job_id", "target"]) {
        return Some(PoolDialect::Monero);
    }
    (says("result") && texts.contains(&"mining.notify")).then_some(PoolDialect::Stratum)
}

/// Whether a datagram asks for something at or below `pool.example.org`.
pub fn asks_for_a_pool(datagram: &[u8]) -> bool {
    let (Some(flags), Some(mut rest)) = (datagram.get(2), datagram.get(12..)) else {
        return false;
    };
    let mut name = String::new();
    loop {
        let Some((length, after)) = rest.split_first() else {
            return false;
        };
        let length = usize::from(*length);
        if length == 0 {
            break;
        }
        if length > 63 || after.len() < length {
            return false;
        }
        let label = after[..length]
            .iter()
            .map(|byte| char::from(byte.to_ascii_lowercase()));
        name = format!("{name}.{}", label.collect::<String>());
        rest = &after[length..];
    }
    flags & 0x80 == 0 && name.len() <= 254 && name.ends_with(".pool.example.org")
}

/// Questions for names at and below that domain and for others, damaged.
pub fn damaged_questions() -> impl Strategy<Value = Input> {
    let question = |labels: &[u8]| {
        [
            &[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0],
            labels,
            &[0, 0, 1, 0, 1],
        ]
        .concat()
    };
    let seeds = [
        question(b"\x04pool\x07example\x03org"),
        question(b"\x01a\x02bc\x04POOL\x07Example\x03org"),
        question(b"\x07example\x03org"),
    ];
    let parts: [&[u8]; 6] = [
        b"\x04pool",
        b"\x07example",
        b"\x03org",
        b"\0",
        b"\x3f",
        b"\xc0\x0c",
    ];
    Corpus::new(seeds, parts).damaged()
}
