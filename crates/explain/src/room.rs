//! Memory: what a computation takes is known from its plan, so one that does not fit is refused before it begins.

use crate::{Error, Result};
use gabor_compile::{Executable, Report, View};
use gabor_tensor::{Rule, Tensor};

/// Says how many bytes are left, and who sets that limit; `None` where nobody knows.
pub type Left = fn() -> Option<(u64, &'static str)>;

/// How much memory may be taken; as much as anybody likes by default.
#[derive(Clone, Copy, Default)]
pub struct Room(Option<Left>);

impl Room {
    /// As much as there is left whenever something is about to be taken.
    pub fn new(left: Left) -> Self {
        Room(Some(left))
    }
    /// That so many bytes more are there.
    ///
    /// # Errors
    /// That they are not, at this place, with what would be right instead.
    pub fn check(&self, place: &str, what: &str, bytes: u64, right: &str) -> Result<()> {
        match self.0.and_then(|left| left()) {
            Some((free, whose)) if bytes > free => {
                let rule = format!("{what} would take about {}, and {whose} has {} left", size(bytes), size(free));
                Err(Error::new(place, Rule::new(rule).right(right)))
            }
            _ => Ok(()),
        }
    }
    /// That what a plan takes is there.
    ///
    /// # Errors
    /// Those of [`check`](Room::check).
    pub fn check_plan(&self, place: &str, report: &Report) -> Result<()> {
        let kept: usize = report.kept.iter().map(|h| h.bytes).sum();
        let bytes = (report.arena_bytes + report.scratch_bytes + kept) as u64;
        match report.n {
            1 => self.check(place, "computing a picture", bytes, "a smaller picture or network"),
            n => self.check(place, &format!("computing {n} pictures at once"), bytes, "fewer at once, or smaller ones"),
        }
    }
}

/// Bytes in three digits or so.
fn size(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        mb if mb < 10.0 => format!("{mb:.1} MB"),
        mb if mb < 1000.0 => format!("{mb:.0} MB"),
        mb => format!("{:.1} GB", mb / 1000.0),
    }
}

/// What was compiled, with a look at the memory before each first run of a batch size.
pub(crate) struct Guarded {
    run: Box<dyn Executable>,
    room: Room,
    name: String,
    planned: Vec<(usize, usize)>,
}

impl Guarded {
    pub(crate) fn new(run: Box<dyn Executable>, room: Room, name: &str) -> Self {
        Guarded { run, room, name: name.into(), planned: Vec::new() }
    }
}

impl Executable for Guarded {
    fn run(&mut self, entry: usize, n: usize, inputs: &[(&str, &Tensor)]) -> Result<()> {
        if self.room.0.is_some() && !self.planned.contains(&(entry, n)) {
            let report = self.run.report(entry, n)?;
            self.room.check_plan(&self.name, &report)?;
            self.planned.push((entry, n));
        }
        self.run.run(entry, n, inputs)
    }
    fn output(&self, name: &str) -> Result<View<'_>> {
        self.run.output(name)
    }
    fn read(&self, parameter: &str) -> Result<Tensor> {
        self.run.read(parameter)
    }
    fn write(&mut self, parameter: &str, tensor: &Tensor) -> Result<()> {
        self.run.write(parameter, tensor)
    }
    fn report(&mut self, entry: usize, n: usize) -> Result<Report> {
        self.run.report(entry, n)
    }
    fn profile(
        &mut self,
        entry: usize,
        n: usize,
        inputs: &[(&str, &Tensor)],
        rounds: usize,
    ) -> Result<Vec<(String, f64)>> {
        self.run.profile(entry, n, inputs, rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused() {
        let room = Room::new(|| Some((3_000_000, "the machine")));
        room.check("dream", "16 pictures", 3_000_000, "fewer").unwrap();
        let e = room.check("dream", "16 pictures", 12_345_678_901, "fewer").unwrap_err().to_string();
        assert_eq!(
            e,
            "dream: 16 pictures would take about 12.3 GB, and the machine has 3.0 MB left; right would be: fewer"
        );
        Room::default().check("dream", "16 pictures", u64::MAX, "fewer").unwrap();
        Room::new(|| None).check("dream", "16 pictures", u64::MAX, "fewer").unwrap();
    }
}
