//! Where the elements of a blocked tensor lie.

/// Channels of a block: the lanes of a vector.
pub const LANES: usize = 16;

/// A blocked tensor whose images may be parts of larger ones: some blocks of a concatenation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub tensor: Blocked,
    /// Blocks of an image of the larger one.
    pub pitch: usize,
}

impl Part {
    /// A tensor of its own.
    pub fn whole(tensor: Blocked) -> Self {
        Part { tensor, pitch: tensor.blocks() }
    }
    pub fn is_whole(&self) -> bool {
        self.pitch == self.tensor.blocks()
    }
    /// Number of `f32` from its first to its last.
    pub fn span(&self) -> usize {
        span(self.tensor, self.pitch)
    }
    /// Where the vectors of block `b` of image `n` begin.
    pub fn start(&self, n: usize, b: usize) -> usize {
        (n * self.pitch + b) * self.tensor.plane * LANES
    }
}

/// Number of `f32` from the first to the last of a tensor whose images lie `pitch` blocks apart.
pub fn span(tensor: Blocked, pitch: usize) -> usize {
    let last = tensor.n.saturating_sub(1) * pitch * tensor.plane * LANES;
    if tensor.is_empty() { 0 } else { last + tensor.blocks() * tensor.plane * LANES }
}

/// The extents of a blocked tensor: images, channels, elements of a plane (the product of the spatial extents).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Images.
    pub n: usize,
    /// Channels.
    pub c: usize,
    /// Pixels of a plane.
    pub plane: usize,
}

impl Blocked {
    /// Of a tensor of extents `[N, C, spatial…]`; `None` for fewer than two extents.
    pub fn new(extents: &[usize]) -> Option<Self> {
        let [n, c, spatial @ ..] = extents else { return None };
        Some(Blocked { n: *n, c: *c, plane: spatial.iter().product() })
    }
    /// Blocks of 16 channels, the last one perhaps with lanes left over.
    pub fn blocks(&self) -> usize {
        self.c.div_ceil(LANES)
    }
    /// Number of `f32`.
    pub fn len(&self) -> usize {
        self.n * self.blocks() * self.plane * LANES
    }
    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Channels of block `b`: 16, or fewer in the last.
    pub fn lanes(&self, b: usize) -> usize {
        (self.c - b * LANES).min(LANES)
    }
    /// Where the vectors of block `b` of image `n` begin.
    pub fn start(&self, n: usize, b: usize) -> usize {
        (n * self.blocks() + b) * self.plane * LANES
    }
    /// Whether the tensor has the same elements in the same order when it is not blocked: planes of one pixel, whole blocks.
    pub fn is_plain(&self) -> bool {
        self.plane == 1 && self.c.is_multiple_of(LANES)
    }
}
