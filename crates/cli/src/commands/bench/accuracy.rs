//! `gabor bench --accuracy`: how far results are from those in 64 bits.

use super::Arguments;
use crate::failure::{Failure, Result};
use crate::output;
use gabor::cpu::Isa;
use gabor::report::table;
use gabor_bench::{Accuracy, Algorithm, Difference, Numbers, accuracy, algorithms};
use regex_lite::Regex;

pub fn run(a: &Arguments, only: &Regex) -> Result<()> {
    let chosen: Vec<&Algorithm> = algorithms().iter().filter(|a| only.is_match(a.name)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = algorithms().iter().map(|a| a.name).collect();
        return Err(Failure::Failed(format!(
            "--only {}: no algorithm of --accuracy has such a name; right would be: one of {}",
            a.only,
            names.join("; ")
        )));
    }
    // Also refuses a set that this processor lacks.
    let threads = a.compute.backend()?.threads();
    let sets = a.compute.isa.map_or_else(Isa::available, |isa| vec![isa]);
    let mut all = Vec::new();
    for numbers in [Numbers::Usual].into_iter().chain(Numbers::HARD) {
        let rows = accuracy(&chosen, numbers, &sets, Some(threads))?;
        for row in rows.iter().filter(|_| a.format.json) {
            output::json(&serde_json::to_value(row).unwrap_or_default())?;
        }
        all.extend(rows);
    }
    if !a.format.json {
        output::text(&format!("{}\n{}", usual(&all), hard(&all)))?;
    }
    match all.iter().find(|row| !row.is_right()) {
        None => Ok(()),
        Some(row) => Err(Failure::Failed(format!(
            "{}, {}: an error above {:.1e}, or something wrong that cannot be seen",
            row.algorithm,
            row.numbers.name(),
            row.bound
        ))),
    }
}

/// The errors of usual numbers.
fn usual(all: &[Accuracy]) -> String {
    let rows = all.iter().filter(|r| r.numbers == Numbers::Usual).map(|r| {
        let mut row = vec![r.algorithm.to_string(), r.isa.join(", ")];
        row.extend(r.passes().map(|d| format!("{:.1e}", d.rms)));
        row.push(format!("{:.1e}", r.bound));
        row
    });
    let head = ["usual numbers", "instructions", "forward", "input gradient", "filter gradient", "at most"];
    let right = [false, false, true, true, true, true];
    "error against 64 bits: root mean square, as a part of that of the results\n".to_string()
        + &table(&head, &right, &rows.collect::<Vec<_>>())
}

/// What hard numbers do, a column for each kind; rows are in the same order for all of them.
fn hard(all: &[Accuracy]) -> String {
    let of = |numbers: Numbers| all.iter().filter(move |r| r.numbers == numbers);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for first in of(Numbers::HARD[0]) {
        let mut row = vec![first.algorithm.to_string(), first.isa.join(", ")];
        for numbers in Numbers::HARD {
            let found = of(numbers).find(|r| r.algorithm == first.algorithm && r.isa.contains(&first.isa[0]));
            row.push(found.map_or(String::new(), |r| cell(r.passes())));
        }
        rows.push(row);
    }
    let mut head = vec!["hard numbers", "instructions"];
    head.extend(Numbers::HARD.map(Numbers::name));
    let right = [false, false, true, true, true, true, true];
    "the largest error of the three passes; for infinity and NaN how many times more elements than in 64 bits are not \
     finite\n"
        .to_string()
        + &table(&head, &right, &rows)
}

/// The worst of three passes.
fn cell(passes: [Difference; 3]) -> String {
    let spread = |d: &Difference| d.not_finite as f64 / d.not_finite_in_64_bits as f64;
    if passes.iter().any(|d| d.not_finite_in_64_bits > 0) {
        return format!("×{:.1}", passes.iter().map(spread).fold(0.0, f64::max));
    }
    format!("{:.1e}", passes.iter().map(|d| d.rms).fold(0.0, f64::max))
}
