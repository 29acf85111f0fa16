//! Times of a story: how long after it begins.

use std::time::Duration;

use watershed_schemas::Timestamp;

/// When every story begins: a Monday morning.
pub(super) const START: Timestamp = Timestamp::from_secs(1_772_442_000);

/// `00:07` is seven minutes after the story begins, `00:07:30` half a minute more, `-14d` two weeks before, `-1d 02:00`
/// two hours less than that.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("`{text}` is not a time of a story; write `00:07`, `00:07:30`, `-14d` or `-1d 02:00`");
    let (before, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (days, clock) = match rest.split_once('d') {
        Some((days, clock)) => (days.parse::<u64>().map_err(|_| wrong())?, clock.trim_start()),
        None => (0, rest),
    };
    let within_the_day =
        if clock.is_empty() && rest.ends_with('d') { 0 } else { clock_micros(clock).ok_or_else(wrong)? };
    let days = i64::try_from(days).ok().and_then(|days| days.checked_mul(24 * 3_600 * 1_000_000)).ok_or_else(wrong)?;
    Ok(match before {
        // `-1d 02:00` is on the day before, two hours after the hour at which the story begins.
        true if days > 0 => START.plus_micros(within_the_day - days),
        true => START.plus_micros(-within_the_day),
        false => START.plus_micros(days + within_the_day),
    })
}

fn clock_micros(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split(':').collect();
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes] => (hours, minutes, "0"),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let whole = |text: &str, below: i64| text.parse::<i64>().ok().filter(|number| (0..below).contains(number));
    let (seconds, millis) = match seconds.split_once('.') {
        Some((seconds, millis)) if millis.len() == 3 => (seconds, whole(millis, 1_000)?),
        Some(_) => return None,
        None => (seconds, 0),
    };
    let seconds = whole(hours, 1_000)? * 3_600 + whole(minutes, 60)? * 60 + whole(seconds, 60)?;
    Some((seconds * 1_000 + millis) * 1_000)
}

/// A length of time, such as `90s` or `100ms`.
pub(super) fn length(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a length of time; write `100ms`, `90s`, `5m` or `2h`");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    match &text[digits..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3_600))),
        _ => Err(wrong()),
    }
}

/// By how much a clock is wrong, in microseconds: `+90s` runs ahead.
pub(super) fn skew(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not how wrong a clock is; write `+90s` or `-2m`");
    let micros = |text: &str| length(text).ok().and_then(|length| i64::try_from(length.as_micros()).ok());
    match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(ahead), _) => micros(ahead).ok_or_else(wrong),
        (_, Some(behind)) => micros(behind).map(|micros| -micros).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// A moment as a story would write it.
pub(super) fn shown(at: Timestamp) -> String {
    let seconds = (at.micros() - START.micros()).div_euclid(1_000_000);
    let sign = if seconds < 0 { "-" } else { "" };
    let seconds = seconds.abs();
    format!("{sign}{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_beginning() {
        let seconds = |text: &str| moment(text).map(|at| (at.micros() - START.micros()) / 1_000_000);
        for (text, expected) in [
            ("00:07", 420),
            ("01:00:30", 3_630),
            ("-00:10", -600),
            ("-14d", -1_209_600),
            ("-1d 02:00", -79_200),
            ("1d 00:01", 86_460),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
        assert_eq!(START.to_string(), "2026-03-02T09:00:00Z");
        for wrong in ["", "7", "7m", "00:60", "00:00:00:00", "d", "-", "00:07:00.5"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn clocks_run_ahead_and_behind() {
        assert_eq!(skew("+90s"), Ok(90_000_000));
        assert_eq!(skew("-2m"), Ok(-120_000_000));
        assert!(skew("90s").is_err() && skew("+x").is_err());
        assert_eq!(length("100ms"), Ok(Duration::from_millis(100)));
    }
}
