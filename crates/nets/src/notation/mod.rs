//! The lectures' notation for networks.

use crate::{Network, zoo::Options};
use gabor_graph::Error;
use gabor_tensor::Rule;

/// A mistake in a description.
#[derive(Clone, Debug, PartialEq)]
pub struct NotationError(Rule);

impl From<NotationError> for Error {
    fn from(e: NotationError) -> Self {
        Error::new("network description", e.0)
    }
}

/// Reads a description.
///
/// # Errors
/// Always: the notation is not read yet.
pub fn parse(_text: &str, _options: &Options) -> Result<Network, NotationError> {
    Err(NotationError(Rule::new("descriptions are not read yet").right("the name of a network in the zoo")))
}
