//! A line of progress that is drawn again and again, on a terminal only.
//!
//! Whoever prints takes the line away first ([`put_away`]): what is printed would stand in it otherwise.

use gabor::report::{bytes, count, duration};
use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Whether a line stands on the terminal now: what the whole process knows.
#[cfg(not(test))]
fn drawn<T>(with: impl FnOnce(&AtomicBool) -> T) -> T {
    static DRAWN: AtomicBool = AtomicBool::new(false);
    with(&DRAWN)
}

/// The same for a test alone: others print beside it, each in its thread.
#[cfg(test)]
fn drawn<T>(with: impl FnOnce(&AtomicBool) -> T) -> T {
    thread_local!(static DRAWN: AtomicBool = const { AtomicBool::new(false) });
    DRAWN.with(with)
}

/// Takes the line away if one stands there; it is drawn again with the next step.
pub fn put_away() {
    if drawn(|d| d.swap(false, Ordering::Relaxed)) {
        // There is nobody left to tell if standard error itself is gone.
        let _ = write!(stderr(), "\r\x1b[2K");
        let _ = stderr().flush();
    }
}

/// Shortest time between two drawings.
const PAUSE: Duration = Duration::from_millis(90);
const WIDTH: usize = 28;

/// Time between two lines where there is no terminal.
const LINES: Duration = Duration::from_secs(60);

/// Progress through a known number of steps.
pub struct Progress {
    shown: bool,
    /// When the last plain line was written, of work that writes some where there is no terminal.
    lines: Option<Instant>,
    /// Nothing is drawn before this has passed: short work needs no line.
    delay: Duration,
    colours: bool,
    total: u64,
    begun: Instant,
    first: u64,
    last: Option<Instant>,
}

impl Progress {
    /// Progress from step `first` to step `total`; silent where standard error is no terminal.
    pub fn new(first: u64, total: u64) -> Self {
        let shown = stderr().is_terminal();
        let colours = crate::output::colours(shown);
        Progress { shown, lines: None, delay: Duration::ZERO, colours, total, begun: Instant::now(), first, last: None }
    }
    /// Where standard error is no terminal: a plain line every minute, for logs of long work.
    #[must_use]
    pub fn with_lines(mut self) -> Self {
        self.lines = (!self.shown).then(Instant::now);
        self
    }
    /// Progress through pictures, which is shown if it takes longer than a moment.
    pub fn late(total: u64) -> Self {
        let mut new = Progress::new(0, total);
        new.delay = Duration::from_millis(800);
        new
    }
    /// Draws the line after `done` pictures.
    pub fn draw_images(&mut self, done: u64, text: &str) {
        let rate = done as f64 / self.begun.elapsed().as_secs_f64().max(1e-3);
        self.draw(done, rate, &format!("{} of {} images  {text}", count(done), count(self.total)));
    }
    /// Draws the line; `rate` in images a second.
    pub fn draw(&mut self, step: u64, rate: f64, text: &str) {
        let rate = if rate < 10.0 { format!("{rate:.1}") } else { count(rate as u64) };
        self.line(step, &format!("{text}  {rate} images/s"));
    }
    /// Draws the line with words alone.
    pub fn draw_text(&mut self, step: u64, text: &str) {
        self.line(step, text);
    }
    /// Draws the line of a download; `done` in bytes.
    pub fn draw_bytes(&mut self, done: u64, file: &str) {
        let rate = done.saturating_sub(self.first) as f64 / self.begun.elapsed().as_secs_f64().max(1e-3);
        self.line(done, &format!("{file}  {} of {}  {}/s", bytes(done), bytes(self.total), bytes(rate as u64)));
    }
    fn line(&mut self, step: u64, text: &str) {
        if self.lines.is_some_and(|l| l.elapsed() >= LINES) {
            self.lines = Some(Instant::now());
            let _ = writeln!(stderr(), "{:3.0} %  {text}  {}", bar(step, self.total).0 * 100.0, self.left(step));
        }
        if !self.shown
            || self.last.is_some_and(|t| t.elapsed() < PAUSE)
            || (self.last.is_none() && self.begun.elapsed() < self.delay)
        {
            return;
        }
        self.last = Some(Instant::now());
        let (done, bar) = bar(step, self.total);
        let bar = if self.colours {
            format!("\x1b[36m{}\x1b[2m{}\x1b[0m", bar.0, bar.1)
        } else {
            format!("{}{}", bar.0, bar.1)
        };
        let line = format!("{bar} {:3.0} %  {text}  {}", done * 100.0, self.left(step));
        drawn(|d| d.store(true, Ordering::Relaxed));
        let _ = write!(stderr(), "\r\x1b[2K{line}");
        let _ = stderr().flush();
    }
    fn left(&self, step: u64) -> String {
        let (done, left) = (step.saturating_sub(self.first), self.total.saturating_sub(step));
        remaining(self.begun.elapsed().as_secs_f64(), done, left)
    }
    /// Takes the line away, so that text can be printed.
    pub fn clear(&mut self) {
        if self.last.take().is_some() {
            put_away();
        }
    }
}

/// Work that fails leaves no line behind.
impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The part that is done, and the bar: what is done and what is left.
fn bar(step: u64, total: u64) -> (f64, (String, String)) {
    let done = (step as f64 / total.max(1) as f64).clamp(0.0, 1.0);
    let full = (done * WIDTH as f64).round() as usize;
    (done, ("━".repeat(full), "━".repeat(WIDTH - full)))
}

/// The time that is left, from the steps done in some seconds.
fn remaining(seconds: f64, done: u64, left: u64) -> String {
    if done == 0 {
        return String::new();
    }
    format!("{} left", duration((seconds / done as f64 * left as f64).max(1.0).round()).replace(".0 s", " s"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_left_behind() {
        let stands = || drawn(|d| d.load(Ordering::Relaxed));
        let begin = || {
            let mut line = Progress::new(0, 10);
            line.shown = true;
            line.draw_text(3, "working");
            assert!(stands());
            line
        };
        // Work that ends early, by `?`.
        drop(begin());
        assert!(!stands());
        // A message while the work goes on.
        let mut line = begin();
        crate::output::note("something to tell");
        assert!(!stands());
        line.clear();
    }

    #[test]
    fn bars_and_times() {
        assert_eq!(bar(5, 10).1.0.chars().count(), WIDTH / 2);
        assert_eq!(bar(20, 10).1.1, "");
        assert_eq!(bar(0, 0).0, 0.0);
        assert_eq!(remaining(2.0, 4, 6), "3 s left");
        assert_eq!(remaining(2.0, 0, 6), "");
    }
}
