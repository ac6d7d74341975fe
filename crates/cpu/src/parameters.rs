//! What an executable's parameters are, and where each lies.

use crate::buffer::{out_of_memory, zeros_f32};
use gabor_compile::Program;
use gabor_graph::{Graph, ValueType};
use gabor_tensor::{DType, Rule, Tensor, Unread};
use std::collections::{HashMap, HashSet};

pub(crate) struct Parameter {
    pub ty: ValueType,
    pub shape: Vec<usize>,
    pub place: Place,
    /// Grows with every change.
    pub version: u64,
}

/// Where a parameter lies.
pub(crate) enum Place {
    /// From this byte on among the values.
    Own(usize),
    /// In a tensor whose elements whoever wrote it may keep, too: no graph of the program changes it. None before the
    /// first write or run: zeros.
    Shared(Option<Tensor>),
    /// Elsewhere; no graph of the program changes it.
    Unread(Unread),
}

/// Parameters of at least so many bytes are shared: small ones are better together.
const SHARED: usize = 1 << 16;

impl Parameter {
    /// What it is as long as nobody has written it.
    pub fn zeros(&self) -> Result<Tensor, Rule> {
        let len = self.shape.iter().fold(1, |a: usize, &b| a.saturating_mul(b));
        Tensor::f32(&self.shape, zeros_f32(len).ok_or_else(|| out_of_memory(len.saturating_mul(4)))?)
    }
}

/// The parameters of a program's graphs, which share them by name.
#[derive(Default)]
pub(crate) struct Layout {
    pub parameters: Vec<Parameter>,
    pub by_name: HashMap<String, usize>,
    /// How many bytes those of their own place take.
    pub bytes: usize,
}

impl Layout {
    pub fn of(program: &Program) -> Self {
        let updates = |g: &Graph| g.updates().iter().map(|&(p, _)| g.value(p).name.clone()).collect::<Vec<_>>();
        let updated: HashSet<String> = program.entries().iter().flat_map(|(_, g)| updates(g)).collect();
        let mut layout = Layout::default();
        for (_, graph) in program.entries() {
            for (v, _) in graph.parameters() {
                let value = graph.value(v);
                if layout.by_name.contains_key(&value.name) {
                    continue;
                }
                let shape = value.ty.shape.at(0);
                let len = shape.iter().fold(value.ty.dtype.size(), |a, &b| a.saturating_mul(b));
                let place = if len >= SHARED && value.ty.dtype == DType::F32 && !updated.contains(&value.name) {
                    Place::Shared(None)
                } else {
                    let at = layout.bytes;
                    layout.bytes = at.saturating_add(len).checked_next_multiple_of(64).unwrap_or(usize::MAX);
                    Place::Own(at)
                };
                layout.by_name.insert(value.name.clone(), layout.parameters.len());
                layout.parameters.push(Parameter { ty: value.ty.clone(), shape, place, version: 1 });
            }
        }
        layout
    }
}
