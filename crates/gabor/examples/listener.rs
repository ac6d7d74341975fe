//! A listener of one's own: it gets the same events as the terminal, `metrics.jsonl`, TensorBoard and the report, and draws
//! a line for every epoch. A second listener beside it counts.

#![allow(clippy::print_stdout)]

use gabor::prelude::*;
use gabor::train::{Result, Setup, Sink, Sinks};
use std::sync::Arc;

/// Draws an epoch as a line, as long as its validation accuracy.
struct Lines {
    epochs: u64,
    best: f64,
}

impl Sink for Lines {
    fn event(&mut self, event: &Event) -> Result<()> {
        match event {
            Event::RunStarted { net, train, epochs, .. } => {
                self.epochs = *epochs;
                println!("{net} learns from {train} pictures");
            }
            Event::Epoch { epoch, train_loss, validation_top1: Some(accuracy), seconds, .. } => {
                let record = if *accuracy > self.best { "*" } else { "" };
                self.best = self.best.max(*accuracy);
                let line = "#".repeat((accuracy * 40.0) as usize);
                let (number, epochs) = (epoch + 1, self.epochs);
                println!(
                    "{number:3}/{epochs} {line:40} {:5.1} % loss {train_loss:.3} {seconds:.1} s {record}",
                    accuracy * 100.0
                );
            }
            Event::Evaluated { evaluation: e } => {
                println!(
                    "{}: {:.1} % of {}, calibration error {:.3}",
                    e.split,
                    e.top1 * 100.0,
                    e.count,
                    e.calibration.ece
                );
            }
            // Notes, checkpoints, steps; an error that is returned here ends the training.
            _ => {}
        }
        Ok(())
    }
}

/// Counts training steps that were reported and the highest rate.
#[derive(Default)]
struct Rate(u64, f64);

impl Sink for Rate {
    fn event(&mut self, event: &Event) -> Result<()> {
        if let Event::Step { images_per_second, .. } = event {
            (self.0, self.1) = (self.0 + 1, self.1.max(*images_per_second));
        }
        Ok(())
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(None, [], &["net=mlp", "epochs=8", "lr=0.003", "augment=none"])?;
    let setup = Setup::new(&config)?;
    let (mut lines, mut rate) = (Lines { epochs: 0, best: 0.0 }, Rate::default());
    let mut both = Sinks(vec![&mut lines, &mut rate]);
    train_run(&setup, Arc::new(CpuBackend::default()), Default::default(), &mut both)?;
    println!(
        "best epoch {:.1} %; {} reports of steps, at most {:.0} pictures a second",
        lines.best * 100.0,
        rate.0,
        rate.1
    );
    Ok(())
}
