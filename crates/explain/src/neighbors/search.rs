//! Exact search: all distances by one matrix product, the nearest of them measured again in 64 bits.

use super::{Features, Metric};
use crate::{Error, Result};
use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, Rule, Shape, Tensor};

/// A neighbour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Which picture, from 0.
    pub index: usize,
    /// How far it is.
    pub distance: f64,
}

/// Features made ready to be searched.
pub struct Search<'a> {
    features: Features<'a>,
    metric: Metric,
    run: Box<dyn Executable>,
    /// Squared lengths, of [`Metric::Euclidean`]; 1 or 0 of [`Metric::Cosine`].
    squares: Vec<f64>,
    longest: f64,
}

/// Distances that are held at once, all queries together.
const HELD: usize = 1 << 22;
/// Queries that are looked at together.
const TOGETHER: usize = 64;

impl<'a> Search<'a> {
    /// Features on a backend.
    ///
    /// # Errors
    /// No features.
    pub fn new(backend: &dyn Backend, features: Features<'a>, metric: Metric) -> Result<Self> {
        let (count, width) = (features.count(), features.width());
        if count == 0 {
            return Err(Error::new("features", Rule::new("there are none").right("at least one picture")));
        }
        let mut g = Graph::new("distances");
        let queries = g.input("queries", Shape::batch(&[width]), DType::F32)?;
        let known = g.parameter("features", &[count, width], Parameter::state(Initializer::Zeros))?;
        let products = g.matmul(queries, known, false, true)?;
        g.output("products", products);
        let program = Program::single("distances", g.validate()?);
        let mut run = backend.compile(&program, &CompileOptions { strict: true, ..Default::default() })?;
        let ready = prepared(features, metric);
        let squares: Vec<f64> = ready.chunks_exact(width).map(square).collect();
        let tensor = Tensor::f32(&[count, width], ready).map_err(|r| Error::new("features", r))?;
        run.write("features", &tensor)?;
        let longest = squares.iter().copied().fold(0.0, f64::max);
        Ok(Search { features, metric, run, squares, longest })
    }
    /// The features.
    pub fn features(&self) -> Features<'a> {
        self.features
    }
    /// The metric.
    pub fn metric(&self) -> Metric {
        self.metric
    }
    /// For every query, in order, something that orders all pictures by their distance to it, in the rounding of 32 bits:
    /// 1 − cos, or the squared distance. `hear` gets the query's number and a row with a value for each picture.
    ///
    /// # Errors
    /// Queries of another width.
    pub fn rows(&mut self, queries: Features<'_>, hear: &mut dyn FnMut(usize, &mut [f32])) -> Result<()> {
        let (count, width) = (self.features.count(), self.features.width());
        if queries.width() != width {
            let rule = Rule::new(format!("queries of {} numbers", queries.width()));
            return Err(Error::new("queries", rule.right(format!("{width}, as the features have"))));
        }
        let ready = prepared(queries, self.metric);
        let most = (HELD / count).clamp(1, TOGETHER).min(queries.count().max(1));
        // The last queries are filled up with zeros, so that one plan serves all.
        let mut block = vec![0.0; most * width];
        let mut done = 0;
        for part in ready.chunks(most * width) {
            block[..part.len()].copy_from_slice(part);
            block[part.len()..].fill(0.0);
            let tensor = Tensor::f32(&[most, width], block).map_err(|r| Error::new("queries", r))?;
            self.run.run(0, most, &[("queries", &tensor)])?;
            let mut products = self.run.output("products")?.to_tensor();
            if let gabor_tensor::Data::F32(products) = products.data_mut() {
                for (query, row) in part.chunks_exact(width).zip(products.chunks_exact_mut(count)) {
                    let own = square(query);
                    for (v, &other) in row.iter_mut().zip(&self.squares) {
                        *v = match self.metric {
                            Metric::Cosine => (1.0 - *v).max(0.0),
                            Metric::Euclidean => (own + other - 2.0 * f64::from(*v)).max(0.0) as f32,
                        };
                    }
                    hear(done, row);
                    done += 1;
                }
            }
            block = match tensor.into_data() {
                gabor_tensor::Data::F32(v) => v,
                _ => vec![0.0; most * width],
            };
        }
        Ok(())
    }
    /// The `k` nearest pictures of every query, the nearest first; of equally near ones the first. `but` names a picture
    /// that is left out for a query, such as itself.
    ///
    /// # Errors
    /// Queries of another width.
    pub fn nearest(
        &mut self,
        queries: Features<'_>,
        k: usize,
        but: &dyn Fn(usize) -> Option<usize>,
    ) -> Result<Vec<Vec<Near>>> {
        let mut all = Vec::with_capacity(queries.count());
        let (features, metric, slack) = (self.features, self.metric, self.slack(queries));
        self.rows(queries, &mut |q, row| all.push(top((features, metric), queries.row(q), row, k, but(q), slack[q])))?;
        Ok(all)
    }
    /// How far, for each query, two values of [`rows`](Search::rows) may be off each other by rounding alone.
    pub(crate) fn slack(&self, queries: Features<'_>) -> Vec<f32> {
        let rounding = 2.0 * (self.features.width() as f64 + 4.0) * f64::from(f32::EPSILON);
        let of = |q: usize| match self.metric {
            Metric::Cosine => rounding as f32,
            Metric::Euclidean => {
                let own = square(queries.row(q));
                (rounding * 2.0 * (own.sqrt() * self.longest.sqrt()) + rounding * (own + self.longest)) as f32
            }
        };
        (0..queries.count()).map(of).collect()
    }
}

/// The `k` nearest by a row of [`Search::rows`]; those that rounding could have ordered otherwise are measured exactly.
pub(crate) fn top(
    (features, metric): (Features<'_>, Metric),
    query: &[f32],
    row: &[f32],
    k: usize,
    but: Option<usize>,
    slack: f32,
) -> Vec<Near> {
    let mut values: Vec<f32> = row.iter().enumerate().filter(|(i, _)| Some(*i) != but).map(|(_, &v)| v).collect();
    let k = k.min(values.len());
    if k == 0 {
        return Vec::new();
    }
    let (_, &mut last, _) = values.select_nth_unstable_by(k - 1, f32::total_cmp);
    let limit = last + slack;
    let near = |i: usize| Near { index: i, distance: metric.distance(query, features.row(i)) };
    let candidates = row.iter().enumerate().filter(|&(i, &v)| v <= limit && Some(i) != but);
    let mut found: Vec<Near> = candidates.map(|(i, _)| near(i)).collect();
    found.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index)));
    found.truncate(k);
    found
}

fn square(v: &[f32]) -> f64 {
    v.iter().map(|&x| f64::from(x) * f64::from(x)).sum()
}

/// Features as the matrix product wants them: of length 1 where lengths do not count.
fn prepared(features: Features<'_>, metric: Metric) -> Vec<f32> {
    let mut out = features.values().to_vec();
    if metric == Metric::Cosine {
        for row in out.chunks_exact_mut(features.width()) {
            let length = square(row).sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
            }
        }
    }
    out
}
