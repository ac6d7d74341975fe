//! Classic filters of image processing: their numbers, and how they are applied through the backend's own convolution.

mod apply;
mod kinds;

pub use apply::{Border, Filtering};
pub use kinds::{Classic, ClassicFilter, ClassicNumbers, Drawn};
