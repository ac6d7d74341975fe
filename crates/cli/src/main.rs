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

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, Command, CommandFactory, FromArgMatches};
use failure::Failure;
use std::process::ExitCode;

/// The command line with all its commands. Numbers below zero are values of every option, so that the rule which they break
/// answers, and not a word about options that there are not.
fn command_line() -> Command {
    fn below_zero(command: Command) -> Command {
        let number = |a: Arg| {
            let takes = a.get_long().is_some() && a.get_action().takes_values() && !a.is_allow_hyphen_values_set();
            if takes { a.allow_negative_numbers(true) } else { a }
        };
        command.mut_args(number).mut_subcommands(below_zero)
    }
    below_zero(arguments::Gabor::command())
}

/// What was typed. Faults end the program with exit code 2.
fn parsed() -> arguments::Gabor {
    let found = command_line().try_get_matches();
    let read = found
        .and_then(|mut m| arguments::Gabor::from_arg_matches_mut(&mut m).map_err(|e| e.format(&mut command_line())));
    read.unwrap_or_else(|e| match no_number(&e) {
        Some(text) => {
            output::error(&text);
            std::process::exit(2)
        }
        None => e.exit(),
    })
}

/// What is said of a value that is no number where one is wanted, or one below zero where none can be.
fn no_number(e: &clap::Error) -> Option<String> {
    use std::error::Error;
    let source = e.source().filter(|_| e.kind() == ErrorKind::ValueValidation)?;
    let right = if source.is::<std::num::ParseIntError>() {
        "a whole number from 0 on"
    } else if source.is::<std::num::ParseFloatError>() {
        "a number"
    } else {
        return None;
    };
    let word = |kind| e.get(kind).map(ToString::to_string).unwrap_or_default();
    let (option, given) = (word(ContextKind::InvalidArg), word(ContextKind::InvalidValue));
    let option = option.split(' ').next().unwrap_or("");
    Some(format!("{option} {given}; right would be: {right}"))
}

fn main() -> ExitCode {
    match parsed().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has read enough: `gabor … | head` is no failure.
        Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            output::error(&failure.to_string());
            failure.exit_code()
        }
    }
}
