//! Tensors of a file: what they are is known at once, floats that lie elsewhere when somebody asks, or when their turn
//! comes.

use super::proto::{TensorProto, elem_name};
use super::tensor::{ElementType, External, Floats, Known, from_fields, from_raw, kind_of, location};
use crate::error::element_count;
use gabor_tensor::Rule;
use std::sync::OnceLock;

pub(super) enum Stored<'m> {
    Here(Known),
    /// Floats that lie elsewhere.
    Later {
        shape: Vec<usize>,
        file: String,
        floats: Floats<'m>,
        known: OnceLock<Result<Known, Rule>>,
    },
}

impl<'m> Stored<'m> {
    /// Looks at the tensor of a file: its extents are compared with its bytes before anything is allocated. Floats that lie
    /// elsewhere are not read yet.
    pub(super) fn open(t: &TensorProto<'_>, external: Option<&'m dyn External>) -> Result<Self, Rule> {
        let extent =
            |&d: &i64| usize::try_from(d).map_err(|_| Rule::new(format!("extents {:?}", t.dims)).right("none below 0"));
        let shape = t.dims.iter().map(extent).collect::<Result<Vec<_>, _>>()?;
        let kind = kind_of(t.data_type)?;
        let size = kind.size();
        let count = element_count(&shape, size)?;
        if t.data_location != 0 || !t.external_data.is_empty() {
            let location = location(t, count * size)?;
            let Some(external) = external else {
                let rule = format!("its elements lie in another file, `{}` (external data)", location.file);
                return Err(Rule::new(rule).right("the model opened by its path, beside that file"));
            };
            let file = location.file.to_string();
            if kind == ElementType::F32 {
                let floats = external.floats(&location)?;
                return Ok(Stored::Later { shape, file, floats, known: OnceLock::new() });
            }
            let bytes = external.bytes(&location)?;
            if bytes.len() != count * size {
                return Err(Rule::new(format!("{} bytes of `{file}` for {kind} {shape:?}", bytes.len()))
                    .right(format!("{} bytes", count * size)));
            }
            return Ok(Stored::Here(Known { shape, kind, elements: from_raw(kind, &bytes)? }));
        }
        let elements = match &t.raw_data {
            Some(raw) if raw.len() == count * size => from_raw(kind, raw)?,
            Some(raw) => {
                return Err(Rule::new(format!("{} bytes for {} {shape:?}", raw.len(), elem_name(t.data_type)))
                    .right(format!("{} bytes", count * size)));
            }
            None => {
                let elements = from_fields(t, kind)?;
                if elements.len() != count {
                    return Err(Rule::new(format!("{} elements for a tensor of shape {shape:?}", elements.len()))
                        .right(format!("{count} elements")));
                }
                elements
            }
        };
        Ok(Stored::Here(Known { shape, kind, elements }))
    }
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Stored::Here(k) => &k.shape,
            Stored::Later { shape, .. } => shape,
        }
    }
    pub(super) fn kind(&self) -> ElementType {
        match self {
            Stored::Here(k) => k.kind,
            Stored::Later { .. } => ElementType::F32,
        }
    }
    /// How many elements it has.
    pub(super) fn len(&self) -> usize {
        self.shape().iter().product()
    }
    /// Whether its elements are here.
    pub(super) fn is_here(&self) -> bool {
        matches!(self, Stored::Here(_))
    }
    /// It with its elements. Whoever asks first reads them; others wait.
    pub(super) fn known(&self) -> Result<&Known, Rule> {
        match self {
            Stored::Here(k) => Ok(k),
            Stored::Later { shape, file, floats, known } => {
                known.get_or_init(|| later(shape, file, floats)).as_ref().map_err(Rule::clone)
            }
        }
    }
    /// The same, for good.
    pub(super) fn into_known(self) -> Result<Known, Rule> {
        match self {
            Stored::Here(k) => Ok(k),
            Stored::Later { shape, file, floats, known } => {
                known.into_inner().unwrap_or_else(|| later(&shape, &file, &floats))
            }
        }
    }
}

fn later(shape: &[usize], file: &str, floats: &Floats<'_>) -> Result<Known, Rule> {
    let (floats, count) = (floats()?, shape.iter().product::<usize>());
    match floats.len() == count {
        true => Ok(Known::floats(shape.to_vec(), floats)),
        false => Err(Rule::new(format!("{} bytes of `{file}` for f32 {shape:?}", floats.len() * 4))
            .right(format!("{} bytes", count * 4))),
    }
}
