//! Initialisers: what they are is known at once, floats that lie elsewhere when somebody asks, or when their turn comes.

use crate::onnx::proto::TensorProto;
use crate::onnx::tensor::{ElementType, External, Known, Later, Opened, open};
use gabor_tensor::Rule;
use std::sync::OnceLock;

pub(super) struct Stored<'m> {
    pub(super) shape: Vec<usize>,
    pub(super) kind: ElementType,
    later: Option<Later<'m>>,
    known: OnceLock<Result<Known, Rule>>,
}

impl<'m> Stored<'m> {
    pub(super) fn open(t: &TensorProto<'_>, external: Option<&'m dyn External>) -> Result<Self, Rule> {
        Ok(match open(t, external)? {
            Opened::Known(k) => {
                Stored { shape: k.shape.clone(), kind: k.kind, later: None, known: OnceLock::from(Ok(k)) }
            }
            Opened::Later(l) => {
                let shape = l.shape.clone();
                Stored { shape, kind: ElementType::F32, later: Some(l), known: OnceLock::new() }
            }
        })
    }
    /// How many elements it has.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }
    /// Whether its elements are here.
    pub(super) fn is_here(&self) -> bool {
        self.known.get().is_some()
    }
    /// It with its elements. Whoever asks first reads them; others wait.
    pub(super) fn known(&self) -> Result<&Known, Rule> {
        let read = || self.later.as_ref().ok_or_else(gone)?.read();
        self.known.get_or_init(read).as_ref().map_err(Rule::clone)
    }
    /// The same, for good.
    pub(super) fn into_known(self) -> Result<Known, Rule> {
        self.known()?;
        self.known.into_inner().unwrap_or_else(|| Err(gone()))
    }
}

fn gone() -> Rule {
    Rule::new("its elements could not be read")
}
