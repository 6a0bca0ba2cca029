//! Dates as JavaScript writes them.

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MONTHS: [(&str, u64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

/// Days of 400 years, after which the calendar repeats itself.
const CYCLE_DAYS: u64 = 146_097;

/// What `new Date(millis).toString()` is in a place that keeps UTC. Milliseconds count from 1970.
pub(super) fn js_date(millis: u64) -> String {
    let seconds = millis / 1000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let weekday = DAYS.get((days % 7) as usize).copied().unwrap_or_default();
    let (mut year, mut day) = (1970 + days / CYCLE_DAYS * 400, days % CYCLE_DAYS);
    while day >= days_of(year) {
        day -= days_of(year);
        year += 1;
    }
    let mut name = "";
    for (month, days) in MONTHS {
        name = month;
        let days = days + u64::from(month == "Feb" && days_of(year) == 366);
        if day < days {
            break;
        }
        day -= days;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let day = day + 1;
    format!(
        "{weekday} {name} {day:02} {year} {hour:02}:{minute:02}:{second:02} GMT+0000 (Coordinated Universal Time)"
    )
}

fn days_of(year: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    if is_leap { 366 } else { 365 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_that_of_javascript() {
        for (millis, date) in [
            (0, "Thu Jan 01 1970 00:00:00"),
            (1_795_690_597_328, "Thu Nov 26 2026 10:56:37"),
            (951_782_400_000, "Tue Feb 29 2000 00:00:00"),
            (951_868_799_999, "Tue Feb 29 2000 23:59:59"),
            (951_868_800_000, "Wed Mar 01 2000 00:00:00"),
            (4_107_542_400_000, "Mon Mar 01 2100 00:00:00"),
            (13_574_563_200_000, "Tue Feb 29 2400 00:00:00"),
        ] {
            assert_eq!(js_date(millis), format!("{date} GMT+0000 (Coordinated Universal Time)"), "{millis}");
        }
        // No time is too late.
        assert!(js_date(u64::MAX).ends_with("Time)"));
    }
}
