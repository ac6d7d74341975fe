//! What single filters look for: the filters of a layer, and the shape of a known kind that each is nearest to.
//!
//! [`filter_layers`] finds every layer with filters in a graph, [`nearest`] fits the kinds of [`FilterKind`] to one filter.

mod bank;
mod fit;
mod shape;
mod start;

pub use bank::{BankKind, FilterBank, filter_layer, filter_layers};
pub use fit::{FilterFit, ShapeNumbers, nearest};
pub use shape::gabor;

/// What a filter looks like.
///
/// With `u = (x - x₀)·cos θ + (y - y₀)·sin θ` across the stripes, `v` along them (rows count downwards, so that θ turns
/// clockwise as one looks at it) and the envelope `e = exp(-(u² + γ²v²) / 2σ²)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilterKind {
    /// `e · cos(2πu/λ - ψ)` (Gabor 1946; Daugman 1985), laid out as OpenCV's `getGaborKernel`.
    Gabor,
    /// `e · u`: a step between two sides.
    Step,
    /// `e · (1 - u²/σ²)`: a line between two sides.
    Ridge,
    /// `e · (1 - r²/2σ²)` with γ = 1: a spot against its surround (the Laplacian of a Gaussian).
    CentreSurround,
    /// `e`: a soft spot, of one sign over all channels.
    Gaussian,
    /// `e` whose channels differ: a spot of a colour.
    ColourBlob,
    /// Some of its weights are no numbers (NaN or infinite).
    NotFinite,
    /// All weights are zero, or next to nothing beside those of the layer.
    Dead,
}

impl FilterKind {
    /// Every kind with its name.
    pub const ALL: [(&'static str, FilterKind); 8] = [
        ("gabor", FilterKind::Gabor),
        ("step", FilterKind::Step),
        ("ridge", FilterKind::Ridge),
        ("centre-surround", FilterKind::CentreSurround),
        ("gaussian", FilterKind::Gaussian),
        ("colour-blob", FilterKind::ColourBlob),
        ("not-finite", FilterKind::NotFinite),
        ("dead", FilterKind::Dead),
    ];
    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|k| k.1 == self).map_or("", |k| k.0)
    }
}

#[cfg(test)]
mod tests;
