//! `mute`: times of the week in which a route calls nobody.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike as _, Duration, NaiveDateTime, TimeZone as _, Timelike as _, Weekday};
use chrono_tz::Tz;
use watershed_schemas::Timestamp;

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// A part of each day, in minutes since midnight. One that ends before it begins ends on the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    from: u32,
    to: u32,
}

/// Days of the week, from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    from: Weekday,
    to: Weekday,
}

/// A named time of the week. Without days it is all of them, without times the whole day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Its name.
    pub name: String,
    /// On which days. What begins on one and goes on past midnight belongs to it.
    pub days: Vec<Days>,
    /// When on these days.
    pub times: Vec<Span>,
    /// Whose clocks: a name of the IANA time zone database.
    pub zone: Tz,
}

impl Interval {
    /// Whether a moment lies in it.
    pub fn holds(&self, now: Timestamp) -> bool {
        let Some(utc) = now.to_datetime() else { return false };
        let local = self.zone.from_utc_datetime(&utc.naive_utc()).naive_local();
        let minute = local.hour() * 60 + local.minute();
        if self.times.is_empty() {
            return self.on(local);
        }
        let yesterday = || local.checked_sub_signed(Duration::days(1)).is_some_and(|before| self.on(before));
        self.times.iter().any(|span| {
            if span.from < span.to {
                (span.from..span.to).contains(&minute) && self.on(local)
            } else {
                (minute >= span.from && self.on(local)) || (minute < span.to && yesterday())
            }
        })
    }

    fn on(&self, local: NaiveDateTime) -> bool {
        let day = local.weekday();
        let since = |from: Weekday, day: Weekday| day.days_since(from);
        self.days.is_empty() || self.days.iter().any(|days| since(days.from, day) <= since(days.from, days.to))
    }
}

/// The zone of this name.
///
/// # Errors
/// Where there is none.
pub fn zone(name: &str) -> Result<Tz, String> {
    name.parse().map_err(|_| {
        let name: String = name.chars().take(64).collect();
        format!("`{}` is no time zone; write a name such as \"Europe/Berlin\" or \"UTC\"", name.escape_debug())
    })
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let text: String = text.chars().take(64).collect();
            format!("`{}` is no time of day; write it as \"22:00-06:00\"", text.escape_debug())
        };
        let minute = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':').filter(|(_, minutes)| minutes.len() == 2)?;
            let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
            (minutes < 60 && hours * 60 + minutes <= DAY).then_some(hours * 60 + minutes)
        };
        let (from, to) = text.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
        if from == to {
            return Err(format!("`{text}` begins when it ends; leave `times` out for the whole day"));
        }
        Ok(Span { from, to })
    }
}

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = |name: &str| {
            name.trim().parse::<Weekday>().map_err(|_| {
                let text: String = text.chars().take(64).collect();
                format!("`{}` is no day of the week; write \"sat\" or \"mon-fri\"", text.escape_debug())
            })
        };
        match text.split_once('-') {
            Some((from, to)) => Ok(Days { from: day(from)?, to: day(to)? }),
            None => day(text).map(|day| Days { from: day, to: day }),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.name)?;
        for days in &self.days {
            match days.from == days.to {
                true => write!(f, " {}", days.from)?,
                false => write!(f, " {}-{}", days.from, days.to)?,
            }
        }
        for Span { from, to } in &self.times {
            write!(f, " {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
        }
        write!(f, " {}", self.zone.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(days: &[&str], times: &[&str], name: &str) -> Interval {
        Interval {
            name: "nights".to_owned(),
            days: days.iter().map(|days| days.parse().expect("days")).collect(),
            times: times.iter().map(|times| times.parse().expect("times")).collect(),
            zone: zone(name).expect("a zone"),
        }
    }

    fn check(interval: &Interval, at: &str, holds: bool) {
        assert_eq!(interval.holds(Timestamp::parse(at).expect("a time")), holds, "{interval} at {at}");
    }

    #[test]
    fn nights_belong_to_the_day_on_which_they_begin() {
        let nights = interval(&["mon-fri"], &["22:00-06:00"], "UTC");
        // The second of January 2026 is a Friday.
        check(&nights, "2026-01-02T21:59:59Z", false);
        check(&nights, "2026-01-02T22:00:00Z", true);
        check(&nights, "2026-01-03T05:59:59Z", true);
        check(&nights, "2026-01-03T06:00:00Z", false);
        check(&nights, "2026-01-03T23:00:00Z", false);
        check(&nights, "2026-01-05T03:00:00Z", false);
        check(&nights, "2026-01-06T03:00:00Z", true);
    }

    #[test]
    fn days_go_round_the_week() {
        let weekends = interval(&["fri-mon"], &[], "UTC");
        check(&weekends, "2026-01-04T12:00:00Z", true);
        check(&weekends, "2026-01-05T23:59:00Z", true);
        check(&weekends, "2026-01-06T00:00:00Z", false);
        check(&interval(&[], &[], "UTC"), "2026-01-06T00:00:00Z", true);
    }

    #[test]
    fn clocks_that_are_put_forward_and_back_are_followed() {
        let mornings = interval(&[], &["08:00-09:00"], "Europe/Berlin");
        check(&mornings, "2026-01-15T07:30:00Z", true);
        check(&mornings, "2026-07-15T07:30:00Z", false);
        check(&mornings, "2026-07-15T06:30:00Z", true);
        // On the 29th of March 02:00–03:00 does not exist, on the 25th of October it is there twice.
        let gone = interval(&[], &["02:00-03:00"], "Europe/Berlin");
        let hours = |day: &str| {
            let minute = |minute: i64| Timestamp::parse(day).expect("a day").plus_micros(minute * 60_000_000);
            (0..24 * 60).filter(|at| gone.holds(minute(*at))).count()
        };
        assert_eq!(hours("2026-03-29T00:00:00Z"), 0);
        assert_eq!(hours("2026-10-25T00:00:00Z"), 120);
        assert_eq!(hours("2026-06-01T00:00:00Z"), 60);
    }

    #[test]
    fn what_is_no_time_says_so() {
        for text in ["22:00", "22-06", "24:01-25:00", "10:60-11:00", "10:5-11:00", "a:00-b:00", "10:00-10:00"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert!("00:00-24:00".parse::<Span>().is_ok());
        assert!("someday".parse::<Days>().is_err());
        assert!(zone("Europe/Atlantis").expect_err("there is none").contains("Europe/Atlantis"));
    }
}
