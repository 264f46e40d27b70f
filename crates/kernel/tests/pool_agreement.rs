//! The kernel side reads messages and questions as Rust does, whatever they say.

#[cfg(test)]
#[allow(unreachable_pub, reason = "the end-to-end tests have this file too")]
mod network;
#[cfg(test)]
mod place;
#[cfg(test)]
#[allow(dead_code, reason = "the tests of what is said have this file too")]
mod talk;

#[cfg(test)]
mod tests {
    use hayward_fuzz::{Corpus, throw};
    use hayward_kernel::{Pins, PoolDomains};
    use hayward_model::{Mode, PoolDialect};
    use proptest::{collection::vec, prelude::*, sample::select};

    use crate::{
        place::Place,
        talk::{End::Workload as Own, connect, events, kernel, said, workload},
    };

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
    enum Value {
        Text(&'static str),
        Number(u8),
        List(Vec<Value>),
        Object(Vec<(&'static str, Value)>),
    }

    fn value() -> impl Strategy<Value = Value> {
        let word = || select(WORDS.to_vec());
        let leaf = prop_oneof![3 => word().prop_map(Value::Text), 1 => any::<u8>().prop_map(Value::Number)];
        leaf.prop_recursive(3, 24, 6, move |inner| {
            prop_oneof![
                vec(inner.clone(), 0..5).prop_map(Value::List),
                vec((word(), inner), 0..6).prop_map(Value::Object),
            ]
        })
    }

    /// A message, where some things are likelier than in any other object.
    fn message() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
        let pair = (select(WORDS[..10].to_vec()), value());
        let method = (Just("method"), select(WORDS.to_vec()).prop_map(Value::Text));
        vec(prop_oneof![3 => pair, 1 => method], 0..7)
    }

    fn written(value: &Value, space: &str) -> String {
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
    fn dialect(message: &[(&str, Value)]) -> Option<PoolDialect> {
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

    #[test]
    fn a_message_is_of_the_dialect_that_rust_reads_in_it() {
        let place = Place::new("messages");
        let kernel = kernel(&place, Mode::Observe);
        let workload = std::cell::RefCell::new(workload(&place));
        let found = std::cell::Cell::new(0);
        throw(
            600,
            &(message(), select(vec!["", " ", "\r\n\t"])),
            |(message, space)| {
                let text = written(&Value::Object(message.clone()), space);
                prop_assume!(text.len() < 2_000);
                let mut workload = workload.borrow_mut();
                connect(&mut workload, 4);
                said(&mut workload, Own, &[text.as_bytes()]);
                let told: Vec<PoolDialect> =
                    events(&kernel).iter().map(|event| event.dialect).collect();
                let expected: Vec<PoolDialect> = dialect(&message).into_iter().collect();
                found.set(found.get() + expected.len());
                prop_assert_eq!(told, expected, "{}", text);
                Ok(())
            },
        );
        assert!(
            found.get() > 30,
            "only {} messages are of a dialect",
            found.get()
        );
    }

    /// Whether a datagram asks for something at or below `pool.example.org`.
    fn asks_for_a_pool(datagram: &[u8]) -> bool {
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

    #[test]
    fn a_damaged_question_is_refused_only_where_it_still_asks_for_a_pool() {
        let place = Place::new("questions");
        let kernel = kernel(&place, Mode::Enforce);
        let domains = PoolDomains::open(&Pins::new(&place.pins)).expect("a pinned map");
        domains.set(["pool.example.org"]).expect("room");
        let mut workload = workload(&place);
        workload.all(&[("make resolver 4 SOCK_DGRAM", "ok")]);
        let workload = std::cell::RefCell::new(workload);
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
        let refused = std::cell::Cell::new(0);
        throw(600, &Corpus::new(seeds, parts).damaged(), |input| {
            prop_assume!(!input.0.is_empty() && input.0.len() < 1_200);
            let hex: String = input.0.iter().map(|byte| format!("{byte:02x}")).collect();
            let answer = workload
                .borrow_mut()
                .does(&format!("say_to resolver {hex} 10.2.0.1 53"));
            let expected = if asks_for_a_pool(&input.0) {
                "EPERM"
            } else {
                "ok"
            };
            refused.set(refused.get() + usize::from(expected == "EPERM"));
            prop_assert_eq!(answer, expected, "{}", hex);
            Ok(())
        });
        assert!(
            refused.get() > 10,
            "only {} questions are for a pool",
            refused.get()
        );
        drop(kernel);
    }
}
