//! From a tile and the taps of a window to the algorithm, a type.

/// Runs an expression in which `$algorithm` is the [`Tile`](super::transform::Tile) of a
/// [`WinogradTile`](super::WinogradTile) for windows of 3, 4 or 5 taps, which the kernels have checked.
macro_rules! with_algorithm {
    ($tile:expr, $taps:expr, $algorithm:ident => $run:expr) => {{
        use crate::blocked::winograd::WinogradTile::{F2, F4};
        use crate::blocked::winograd::{transform, transform5};
        match ($tile, $taps) {
            (F2, 3) => with_algorithm!(@ transform::F2, $algorithm, $run),
            (F4, 3) => with_algorithm!(@ transform::F4, $algorithm, $run),
            (F2, 4) => with_algorithm!(@ transform5::Finite<transform5::F2x5>, $algorithm, $run),
            (F4, 4) => with_algorithm!(@ transform5::Finite<transform5::F4x5>, $algorithm, $run),
            (F2, _) => with_algorithm!(@ transform5::F2x5, $algorithm, $run),
            (F4, _) => with_algorithm!(@ transform5::F4x5, $algorithm, $run),
        }
    }};
    (@ $type:ty, $algorithm:ident, $run:expr) => {{
        type $algorithm = $type;
        $run
    }};
}
