//! Why a command did not do what it was asked for.

use std::fmt;
use std::process::ExitCode;

/// Result of a command.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// A failure, with all that its message says.
#[derive(Debug)]
pub enum Failure {
    /// It was called wrongly: exit code 2.
    Usage(String),
    /// It failed: exit code 1.
    Failed(String),
    /// Nobody reads the output any more.
    BrokenPipe,
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Usage(_) => ExitCode::from(2),
            Failure::Failed(_) => ExitCode::FAILURE,
            Failure::BrokenPipe => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Failed(text) => f.write_str(text),
            Failure::BrokenPipe => f.write_str("the output was closed"),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        match e.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Failure::Failed(format!("output: cannot write: {e}")),
        }
    }
}

macro_rules! failed {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(e: $error) -> Self {
                Failure::Failed(gabor::Error::from(e).to_string())
            }
        }
    )*};
}
failed!(
    gabor::Error,
    gabor::graph::Error,
    gabor::compile::Error,
    gabor::data::Error,
    gabor::formats::Error,
    gabor::train::Error,
    gabor::tensor::Rule
);
