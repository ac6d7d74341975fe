//! The `gabor` command.
fn main() {}
