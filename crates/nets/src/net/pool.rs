//! Pooling layers.

use super::{Net, PoolOptions};
use gabor_graph::Result;

impl Net {
    /// Max pooling: `max_pool(2)` halves, `max_pool(pool(3).stride(2))` overlaps.
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn max_pool(&mut self, options: impl Into<PoolOptions>) -> Result<&mut Self> {
        self.begin_counted("pool")?;
        self.spatial()?;
        self.current = self.graph.max_pool(self.current, &options.into().window)?;
        Ok(self)
    }
    /// Average pooling.
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn avg_pool(&mut self, options: impl Into<PoolOptions>) -> Result<&mut Self> {
        self.begin_counted("pool")?;
        self.spatial()?;
        let o = options.into();
        self.current = self.graph.avg_pool_with(self.current, &o.window, o.divisor)?;
        Ok(self)
    }
    /// Lp pooling: `(Σ |x|^p)^(1/p)`; p = 2 is the L2 norm, p = ∞ the largest magnitude.
    ///
    /// # Errors
    /// A window that does not fit, or p below 1.
    pub fn lp_pool(&mut self, p: f64, options: impl Into<PoolOptions>) -> Result<&mut Self> {
        self.begin_counted("pool")?;
        let window = options.into().window;
        self.current = if p == f64::INFINITY {
            self.graph.linf_pool(self.current, &window)?
        } else {
            self.graph.lp_pool(self.current, p, &window)?
        };
        Ok(self)
    }
    /// Average over all places: `[n, c, spatial…]` becomes `[n, c, 1…]`.
    ///
    /// # Errors
    /// A value without spatial axes.
    pub fn global_avg_pool(&mut self) -> Result<&mut Self> {
        self.begin_counted("pool")?;
        self.current = self.graph.global_avg_pool(self.current)?;
        Ok(self)
    }
    /// Largest over all places: `[n, c, spatial…]` becomes `[n, c, 1…]`.
    ///
    /// # Errors
    /// A value without spatial axes.
    pub fn global_max_pool(&mut self) -> Result<&mut Self> {
        self.begin_counted("pool")?;
        self.current = self.graph.global_max_pool(self.current)?;
        Ok(self)
    }
    /// Average pooling to the given spatial extents (PyTorch's bins); nothing if they are there already.
    ///
    /// # Errors
    /// A wrong number of extents, or one of 0.
    pub fn adaptive_avg_pool(&mut self, output: &[usize]) -> Result<&mut Self> {
        if self.extents().get(1..) == Some(output) {
            return Ok(self);
        }
        self.begin_counted("pool")?;
        self.current = self.graph.adaptive_avg_pool(self.current, output)?;
        Ok(self)
    }
    /// Max pooling to the given spatial extents (PyTorch's bins); nothing if they are there already.
    ///
    /// # Errors
    /// A wrong number of extents, or one of 0.
    pub fn adaptive_max_pool(&mut self, output: &[usize]) -> Result<&mut Self> {
        if self.extents().get(1..) == Some(output) {
            return Ok(self);
        }
        self.begin_counted("pool")?;
        self.current = self.graph.adaptive_max_pool(self.current, output)?;
        Ok(self)
    }
    /// The `k` largest elements of each sequence of `[n, c, l]`, in their order (Kalchbrenner et al. 2014).
    ///
    /// # Errors
    /// A `k` of 0 or above l, or a value that is no sequence.
    pub fn k_max_pool(&mut self, k: usize) -> Result<&mut Self> {
        self.begin_counted("pool")?;
        self.current = self.graph.k_max_pool(self.current, k)?;
        Ok(self)
    }
}
