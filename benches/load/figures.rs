//! Computes the figures of the tables from those of the turns.

use std::{
    io::{self, Write},
    time::Duration,
};

/// The median of the turns' figures.
pub fn median<T>(turns: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = turns.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Durations in microseconds.
#[derive(Debug, Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    pub fn add(&mut self, latency: Duration) {
        self.0.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
    }

    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// The value that `share` of the durations do not exceed.
    pub fn percentile(&mut self, share: f64) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        let index = (((self.0.len() as f64) * share).ceil() as usize).clamp(1, self.0.len()) - 1;
        f64::from(*self.0.select_nth_unstable(index).1)
    }
}

/// Starts a Markdown table.
pub fn head(out: &mut dyn Write, title: &str, columns: &[&str]) -> io::Result<()> {
    writeln!(out, "{title}\n\n| {} |", columns.join(" | "))?;
    writeln!(out, "|{}", "---|".repeat(columns.len()))
}

/// Prints a row of a table.
pub fn row(out: &mut dyn Write, cells: &[String]) -> io::Result<()> {
    writeln!(out, "| {} |", cells.join(" | "))?;
    out.flush()
}

/// Rounds to about three significant digits.
pub fn short(value: f64) -> String {
    match value {
        value if value.is_nan() => "-".to_owned(),
        value if value < 1.0 => format!("{value:.3}"),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value if value < 10_000.0 => format!("{value:.0}"),
        value => thousands(value),
    }
}

fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
