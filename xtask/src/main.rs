//! Chores of the workspace, one word each. Begin reading at [`house`]: the table of crates and what each may do.
#![forbid(unsafe_code)]
// A chore talks to the person at the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod fuzz;
mod gallery;
mod goldens;
mod house;
mod isa;
mod licences;
mod new_op;
mod repository;
mod source;
mod spills;
mod tidy;

use repository::Repository;
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask CHORE

  tidy              fail on what the house rules forbid: edges between crates, long files, missing documents, …
  licences          fail on a licence that deny.toml does not allow, on two versions of a crate, on too many crates
  goldens [WORD]    make golden files again with the Python scripts beside them (those whose path holds WORD);
                    GABOR_PYTHON names the interpreter
  gallery [DATA [WORD]]
                    make the pictures of docs/gallery.md again (those whose heading holds WORD) from the data in DATA
                    (default ../shared/data)
  spills [neon]     fail on vector registers that the optimised kernels spill in their hot loops, or on calls there (needs
                    objdump; with `neon` that of the Arm target, whatever this machine)
  isa SET           test the kernels and the backend of an instruction set that this machine lacks, under an emulator, and
                    compare networks with this machine's answers; SET: neon or wasm128
  fuzz [WORD [SECONDS]]
                    search the readers of files for crashes with libFuzzer, each target of fuzz/ whose name holds WORD for
                    SECONDS (default 30), from the files of the tests (needs a nightly compiler, cargo-fuzz and C++)
  new-op NAME       write the skeleton of an operation and its rows; NAME like hard_tanh";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = Repository::find().and_then(|r| match words[..] {
        ["tidy"] => tidy::chore(&r),
        ["licences"] => licences::chore(&r),
        ["goldens"] => goldens::chore(&r, ""),
        ["goldens", word] => goldens::chore(&r, word),
        ["gallery"] => gallery::chore(&r, "../shared/data", ""),
        ["gallery", data] => gallery::chore(&r, data, ""),
        ["gallery", data, word] => gallery::chore(&r, data, word),
        ["spills"] => spills::chore(&r, false),
        ["spills", "neon"] => spills::chore(&r, true),
        ["isa", set] => isa::chore(&r, set),
        ["fuzz"] => fuzz::chore(&r, "", None),
        ["fuzz", word] => fuzz::chore(&r, word, None),
        ["fuzz", word, seconds] => fuzz::chore(&r, word, Some(seconds)),
        ["new-op", name] => new_op::chore(&r, name),
        ["help" | "--help" | "-h"] => Ok(HELP.to_string()),
        _ => Err(HELP.to_string()),
    });
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}
