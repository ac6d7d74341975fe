//! The `gabor` command: parse, call, print.
//!
//! One file per command under `commands/`: its arguments with their help, and what it does. Everything is computed by the
//! library; here it becomes text, JSON and exit codes (0 done, 1 failed, 2 called wrongly).
#![forbid(unsafe_code)]

mod arguments;
mod commands;
mod ensemble;
mod failure;
mod looking;
mod output;
mod progress;
mod written;

use clap::Parser;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    match arguments::Gabor::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has read enough: `gabor … | head` is no failure.
        Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            output::error(&failure.to_string());
            failure.exit_code()
        }
    }
}
