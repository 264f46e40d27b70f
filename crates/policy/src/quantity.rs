//! Durations and sizes as people write them: `500ms`, `10s`, `5m`, `2h`, `30d`; `64MiB`, `1GiB`.

use std::time::Duration;

/// Parses a duration. The error says what would be right.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err(format!(
                "`{text}` is no duration; write 500ms, 10s, 5m, 2h or 30d"
            ));
        }
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(milliseconds))
        .map(Duration::from_millis)
        .ok_or_else(|| format!("`{text}` is no duration; write 500ms, 10s, 5m, 2h or 30d"))
}

/// Parses a size in bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return Err(format!("`{text}` is no size; write 64MiB or 1GiB")),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("`{text}` is no size; write 64MiB or 1GiB"))
}

fn split(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_as_people_write_them() {
        for (text, seconds) in [("10s", 10), ("5m", 300), ("2h", 7200), ("30d", 2_592_000)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for bad in [
            "",
            "10",
            "s",
            "-1s",
            "1.5h",
            "99999999999999999999s",
            "9999999999999999d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        for bad in ["1GB", "x", "99999999999999999999", "99999999999TiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
