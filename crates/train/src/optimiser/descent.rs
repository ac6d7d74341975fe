//! An optimiser on its own, for looking at: one parameter whose gradients come from outside.

use super::{Optimiser, Scalars};
use crate::step::{StepOptions, update};
use crate::{Error, Result};
use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, Rule, Shape, Tensor, Unary};
use std::sync::Arc;

/// A point that an optimiser moves, by the same graph of the update as in a training.
///
/// ```
/// use gabor_train::optimiser::{Descent, Sgd};
/// let backend = gabor_cpu::CpuBackend::default();
/// let mut d = Descent::new(&backend, std::sync::Arc::new(Sgd { momentum: 0.5, ..Default::default() }), &[1.0, 2.0]).unwrap();
/// assert_eq!(d.step(&[2.0, 0.0], 0.25).unwrap(), [0.5, 2.0]);
/// assert_eq!(d.step(&[0.0, 0.0], 0.25).unwrap(), [0.25, 2.0]);
/// ```
pub struct Descent {
    run: Box<dyn Executable>,
    optimiser: Arc<dyn Optimiser>,
    scalars: Scalars,
    steps: u64,
    width: usize,
}

const POINT: &str = "point";
const GRADIENT: &str = "gradient";

impl Descent {
    /// An optimiser at its first step, on a point.
    ///
    /// # Errors
    /// A point of no coordinates, an update that the backend cannot run.
    pub fn new(backend: &dyn Backend, optimiser: Arc<dyn Optimiser>, start: &[f32]) -> Result<Self> {
        let width = start.len();
        let mut g = Graph::new("descent");
        let gradient = g.input(GRADIENT, Shape::fixed(&[width]), DType::F32)?;
        let point = g.parameter(POINT, &[width], Parameter::weight(Initializer::Zeros))?;
        let scalars = Scalars::declare(&*optimiser, &mut g)?;
        let square = g.sum_of_squares(gradient)?;
        let norm = g.unary(Unary::Sqrt, square)?;
        let infinity = g.number(f64::INFINITY);
        let finite = g.greater(infinity, norm)?;
        let options = StepOptions { optimiser: optimiser.clone(), ..StepOptions::new(Box::new(super::Sgd::default())) };
        update(&mut g, (point, gradient), finite, &scalars, &options)?;
        g.output("norm", norm);
        let program = Program::single("descent", g.validate()?);
        let mut run = backend.compile(&program, &CompileOptions::default())?;
        crate::step::reset_optimiser(&program, &mut *run)?;
        let tensor = Tensor::f32(&[width], start.to_vec()).map_err(|r| Error::new(POINT, r))?;
        run.write(POINT, &tensor)?;
        let scalars = Scalars::new(&*optimiser);
        Ok(Descent { run, optimiser, scalars, steps: 0, width })
    }
    /// Where the point is.
    ///
    /// # Errors
    /// None in practice.
    pub fn point(&self) -> Result<Vec<f32>> {
        Ok(self.run.read(POINT)?.as_f32().map_err(|r| Error::new(POINT, r))?.to_vec())
    }
    /// One step along a gradient at a learning rate; where the point is then. A gradient that is not finite moves nothing.
    ///
    /// # Errors
    /// A gradient of another width.
    pub fn step(&mut self, gradient: &[f32], rate: f64) -> Result<Vec<f32>> {
        if gradient.len() != self.width {
            let rule = Rule::new(format!("a gradient of {} numbers", gradient.len())).right(self.width.to_string());
            return Err(Error::new(GRADIENT, rule));
        }
        self.steps += 1;
        self.scalars.set(&*self.optimiser, self.steps, rate);
        let gradient = Tensor::f32(&[self.width], gradient.to_vec()).map_err(|r| Error::new(GRADIENT, r))?;
        let mut inputs = vec![(GRADIENT, &gradient)];
        inputs.extend(self.scalars.inputs());
        self.run.run(0, 1, &inputs)?;
        self.point()
    }
}
