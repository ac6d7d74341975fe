//! `gabor data`: data sets before a training.

pub mod check;
pub mod convert;
pub mod show;

use crate::failure::Result;
use clap::Subcommand;

/// Look at data sets, and convert them
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Arguments),
    Show(show::Arguments),
    Convert(convert::Arguments),
}

pub fn run(a: &Arguments) -> Result<()> {
    match &a.command {
        Command::Check(a) => check::run(a),
        Command::Show(a) => show::run(a),
        Command::Convert(a) => convert::run(a),
    }
}
