//! Element-wise operations as one pass over memory.

use gabor_graph::{Cost, Error, Graph, Operation, Problem, Text, ValueId, ValueType, operation};
use gabor_tensor::{Binary, DType, Rule, Shape, Unary};

/// One step of a [`MapProgram`]; operands are numbers of earlier steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// An input.
    Input(usize),
    /// A number.
    Constant(f64),
    /// A function of one earlier step.
    Unary(Unary, usize),
    /// A function of two earlier steps.
    Binary(Binary, usize, usize),
}

/// A straight-line program that is applied to every element.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MapProgram {
    /// The steps; each uses earlier ones only.
    pub steps: Vec<Step>,
    /// The steps whose results are the outputs.
    pub outputs: Vec<usize>,
}

impl MapProgram {
    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.steps.iter().map(|s| if let Step::Input(i) = s { i + 1 } else { 0 }).max().unwrap_or(0)
    }
    /// Adds a step unless an equal one is there; returns its number.
    pub fn push(&mut self, step: Step) -> usize {
        self.steps.iter().position(|s| *s == step).unwrap_or_else(|| {
            self.steps.push(step);
            self.steps.len() - 1
        })
    }
    /// Number of arithmetic steps.
    pub fn arithmetic(&self) -> usize {
        self.steps.iter().filter(|s| matches!(s, Step::Unary(..) | Step::Binary(..))).count()
    }
}

impl Text for MapProgram {
    /// `in:0;in:1;mul:0:1;relu:2;out:3`.
    fn to_text(&self) -> String {
        let step = |s: &Step| match s {
            Step::Input(i) => format!("in:{i}"),
            Step::Constant(c) => format!("const:{c:?}"),
            Step::Unary(f, a) => format!("{f}:{a}"),
            Step::Binary(f, a, b) => format!("{f}:{a}:{b}"),
        };
        let outputs = self.outputs.iter().map(|o| format!("out:{o}"));
        self.steps.iter().map(step).chain(outputs).collect::<Vec<_>>().join(";")
    }
    fn from_text(text: &str) -> Result<Self, Rule> {
        let mut p = MapProgram::default();
        for part in text.split(';') {
            let bad = || Rule::new(format!("`{part}` is no step of an element-wise program"));
            let mut words = part.split(':');
            let name = words.next().unwrap_or("");
            let earlier = |t: Option<&str>| {
                t.and_then(|t| t.parse::<usize>().ok()).filter(|&i| i < p.steps.len()).ok_or_else(bad)
            };
            let step = match name {
                "in" => Step::Input(words.next().and_then(|t| t.parse().ok()).ok_or_else(bad)?),
                "const" => Step::Constant(words.next().and_then(|t| t.parse().ok()).ok_or_else(bad)?),
                "out" => {
                    let o = earlier(words.next())?;
                    p.outputs.push(o);
                    continue;
                }
                _ => match (Unary::from_name(name), Binary::from_name(name)) {
                    (Some(f), _) => Step::Unary(f, earlier(words.next())?),
                    (_, Some(f)) => Step::Binary(f, earlier(words.next())?, earlier(words.next())?),
                    _ => return Err(bad()),
                },
            };
            p.steps.push(step);
        }
        Ok(p)
    }
}

operation! {
    /// Several element-wise operations in one pass over memory. All outputs have the shape that the inputs broadcast to.
    pub struct FusedMap("fused_map", ["x…"]) {
        /// What is done to every element.
        program: MapProgram,
    }
}

impl Operation for FusedMap {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        if inputs.len() < self.program.inputs() || self.program.outputs.is_empty() {
            return Err(Rule::new(format!("{} inputs for a program of {}", inputs.len(), self.program.inputs())));
        }
        let mut shape = Shape::scalar();
        for x in inputs {
            if x.dtype != DType::F32 {
                return Err(Rule::new(format!("an input of type {}", x.dtype)).right("f32"));
            }
            shape = shape
                .broadcast(&x.shape)
                .ok_or_else(|| Rule::new(format!("{shape} and {} do not broadcast", x.shape)))?;
        }
        Ok(vec![ValueType::f32(shape); self.program.outputs.len()])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.unfused(g, inputs))
    }
    fn cost(&self, _inputs: &[ValueType], outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: (self.program.arithmetic() * outputs[0].shape.len_at(n)) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |t: &str| Problem::new(FusedMap { program: MapProgram::from_text(t).expect("a program") });
        vec![
            p("in:0;in:1;add:0:1;relu:2;out:3").f32("nx3x4x5").f32("3x1x1"),
            p("in:0;in:1;in:2;const:0.9;mul:0:3;add:4:1;mul:5:2;out:5;out:6").f32("7x5").f32("7x5").f32(""),
        ]
    }
}

impl FusedMap {
    fn unfused(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<Vec<ValueId>, Error> {
        let types: Vec<_> = inputs.iter().map(|&v| g.ty(v).clone()).collect();
        let shape = self.infer(&types).map_err(|r| g.error_here("fused_map", r, inputs))?.remove(0).shape;
        let mut values = Vec::new();
        for s in &self.program.steps {
            values.push(match *s {
                Step::Input(i) => inputs[i],
                Step::Constant(c) => g.number(c),
                Step::Unary(f, a) => g.unary(f, values[a])?,
                Step::Binary(f, a, b) => g.binary(f, values[a], values[b])?,
            });
        }
        self.program.outputs.iter().map(|&o| g.broadcast(values[o], &shape)).collect()
    }
}
