//! Tensors of a file: what they are is known at once, floats that lie elsewhere when somebody asks.

use super::proto::{TensorProto, elem_name};
use super::tensor::{ElementType, External, Known, from_fields, from_raw, kind_of, location, of_other_length};
use crate::error::element_count;
use gabor_tensor::{Rule, Unread};
use std::sync::OnceLock;

pub(super) enum Stored {
    Here(Known),
    /// Floats that lie elsewhere.
    Elsewhere {
        unread: Unread,
        known: OnceLock<Result<Known, Rule>>,
    },
}

impl Stored {
    /// Looks at the tensor of a file: its extents are compared with its bytes before anything is allocated. Floats that lie
    /// elsewhere are not read yet.
    pub(super) fn open(t: &TensorProto<'_>, external: Option<&dyn External>) -> Result<Self, Rule> {
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
            if kind == ElementType::F32 {
                let unread = Unread::new(&shape, external.floats(&location)?);
                return Ok(Stored::Elsewhere { unread, known: OnceLock::new() });
            }
            let bytes = external.bytes(&location)?;
            if bytes.len() != location.length {
                return Err(of_other_length(bytes.len(), &location));
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
            Stored::Elsewhere { unread, .. } => unread.shape(),
        }
    }
    pub(super) fn kind(&self) -> ElementType {
        match self {
            Stored::Here(k) => k.kind,
            Stored::Elsewhere { .. } => ElementType::F32,
        }
    }
    /// How many elements it has.
    pub(super) fn len(&self) -> usize {
        self.shape().iter().product()
    }
    /// It with its elements. Whoever asks first reads them.
    pub(super) fn known(&self) -> Result<&Known, Rule> {
        match self {
            Stored::Here(k) => Ok(k),
            Stored::Elsewhere { unread, known } => known.get_or_init(|| read(unread)).as_ref().map_err(Rule::clone),
        }
    }
    /// The same, for good; as an error the elements that nobody has asked for yet.
    pub(super) fn into_known(self) -> Result<Result<Known, Unread>, Rule> {
        match self {
            Stored::Here(k) => Ok(Ok(k)),
            Stored::Elsewhere { unread, known } => known.into_inner().map_or(Ok(Err(unread)), |known| known.map(Ok)),
        }
    }
}

pub(super) fn read(unread: &Unread) -> Result<Known, Rule> {
    Ok(Known::floats(unread.shape().to_vec(), unread.all()?))
}
