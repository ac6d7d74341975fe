//! What a pickle may hold, and the closed list of globals that it may name.

use crate::elements::Element;
use gabor_tensor::Rule;

/// A place among the nodes.
pub(super) type Id = usize;

/// A value. Containers are places in a list of nodes, so that values are copied, not owned, and cycles cost nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A whole number of more than 64 bits, little-endian.
    Wide(&'a [u8]),
    Text(&'a [u8]),
    /// A tuple or a list.
    Items(Id),
    Map(Id),
    Global(Global),
    /// A place in the list of storages.
    Storage(Id),
    /// A place in the list of tensors.
    Tensor(Id),
    /// Something that is no part of a tensor: a float, a set, a setting.
    Other,
}

impl Value<'_> {
    /// What it is, for messages.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Value::None => "None",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Wide(_) => "a whole number",
            Value::Text(_) => "a text",
            Value::Items(_) => "a list",
            Value::Map(_) => "a dictionary",
            Value::Global(_) => "a name",
            Value::Storage(_) => "a storage",
            Value::Tensor(_) => "a tensor",
            Value::Other => "another value",
        }
    }
}

/// A container.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Items(Vec<Value<'a>>),
    Map(Vec<(Value<'a>, Value<'a>)>),
}

/// What a name stands for. Nothing is called: each is a rule for making a value from values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    /// `_rebuild_tensor` and `_rebuild_tensor_v2`: storage, offset, size, stride.
    Tensor,
    /// The same with an element type of its own, over bytes.
    TypedTensor,
    /// The first argument as it is.
    First,
    /// Another global, a type and the arguments for the first.
    FromType,
    /// A kind of dictionary.
    Map,
    /// A size: its argument, a tuple.
    Size,
    /// The class of a storage; none for bytes without a type.
    Storage(Option<Element>),
    /// An element type.
    Type(Element),
    /// A storage or type of elements that no network here computes with.
    Strange(&'static str),
    /// Settings and the like, which are read over.
    Other,
}

/// The closed list: module, name, meaning.
const GLOBALS: &[(&str, &str, Global)] = &[
    ("torch._utils", "_rebuild_tensor", Global::Tensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::Tensor),
    ("torch._utils", "_rebuild_tensor_v3", Global::TypedTensor),
    ("torch._utils", "_rebuild_parameter", Global::First),
    ("torch._utils", "_rebuild_parameter_with_state", Global::First),
    ("torch._tensor", "_rebuild_from_type_v2", Global::FromType),
    ("torch", "Size", Global::Size),
    ("torch", "Tensor", Global::Other),
    ("torch", "device", Global::Other),
    ("torch.nn.parameter", "Parameter", Global::Other),
    ("torch.nn.parameter", "Buffer", Global::Other),
    ("torch.torch_version", "TorchVersion", Global::Other),
    ("torch.serialization", "_get_layout", Global::Other),
    ("collections", "OrderedDict", Global::Map),
    ("collections", "defaultdict", Global::Map),
    ("collections", "Counter", Global::Map),
    ("builtins", "dict", Global::Map),
    ("__builtin__", "dict", Global::Map),
    ("builtins", "set", Global::Other),
    ("__builtin__", "set", Global::Other),
    ("builtins", "list", Global::Other),
    ("builtins", "int", Global::Other),
    ("builtins", "float", Global::Other),
    ("builtins", "complex", Global::Other),
    ("argparse", "Namespace", Global::Other),
    ("types", "SimpleNamespace", Global::Other),
    ("pathlib", "PosixPath", Global::Other),
    ("pathlib", "WindowsPath", Global::Other),
    ("pathlib._local", "PosixPath", Global::Other),
    ("pathlib._local", "WindowsPath", Global::Other),
    ("_codecs", "encode", Global::Other),
    ("numpy", "dtype", Global::Other),
    ("numpy", "ndarray", Global::Other),
    ("numpy.core.multiarray", "scalar", Global::Other),
    ("numpy._core.multiarray", "scalar", Global::Other),
    ("numpy.core.multiarray", "_reconstruct", Global::Other),
    ("numpy._core.multiarray", "_reconstruct", Global::Other),
];

/// Storages and types of PyTorch: name of the storage's class, name of the type, meaning.
const TYPES: &[(&str, &str, Option<Element>)] = &[
    ("DoubleStorage", "float64", Some(Element::F64)),
    ("FloatStorage", "float32", Some(Element::F32)),
    ("HalfStorage", "float16", Some(Element::F16)),
    ("BFloat16Storage", "bfloat16", Some(Element::BF16)),
    ("LongStorage", "int64", Some(Element::I64)),
    ("IntStorage", "int32", Some(Element::I32)),
    ("ShortStorage", "int16", Some(Element::I16)),
    ("CharStorage", "int8", Some(Element::I8)),
    ("ByteStorage", "uint8", Some(Element::U8)),
    ("BoolStorage", "bool", Some(Element::Bool)),
    ("", "uint16", Some(Element::U16)),
    ("", "uint32", Some(Element::U32)),
    ("", "uint64", Some(Element::U64)),
    ("ComplexDoubleStorage", "complex128", None),
    ("ComplexFloatStorage", "complex64", None),
    ("", "complex32", None),
    ("", "float8_e4m3fn", None),
    ("", "float8_e4m3fnuz", None),
    ("", "float8_e5m2", None),
    ("", "float8_e5m2fnuz", None),
    ("QUInt8Storage", "quint8", None),
    ("QInt8Storage", "qint8", None),
    ("QInt32Storage", "qint32", None),
    ("QUInt4x2Storage", "quint4x2", None),
    ("QUInt2x4Storage", "quint2x4", None),
];

/// The meaning of a name.
pub(super) fn global(module: &[u8], name: &[u8]) -> Result<Global, Rule> {
    let (module, name) = (String::from_utf8_lossy(module), String::from_utf8_lossy(name));
    if let Some(g) = GLOBALS.iter().find(|g| g.0 == module && g.1 == name) {
        return Ok(g.2);
    }
    if matches!(&*module, "torch" | "torch.cuda" | "torch.storage") {
        if matches!(&*name, "UntypedStorage" | "_UntypedStorage") {
            return Ok(Global::Storage(None));
        }
        for &(class, dtype, element) in TYPES {
            match element {
                Some(e) if name == class => return Ok(Global::Storage(Some(e))),
                Some(e) if name == dtype => return Ok(Global::Type(e)),
                None if name == class || name == dtype => return Ok(Global::Strange(dtype)),
                _ => {}
            }
        }
    }
    let full: String =
        format!("{module}.{name}").chars().take(120).map(|c| if c.is_control() { '�' } else { c }).collect();
    let nets = ["torch.nn.", "torchvision.", "timm.", "models", "model", "__main__", "ultralytics."];
    let rule = if nets.iter().any(|m| module.starts_with(m)) {
        Rule::new(format!("the file names `{full}`: it holds a whole Python object, whose code would have to run"))
    } else if module.starts_with("__torch__") {
        Rule::new(format!("the file names `{full}`: it is a TorchScript program, not weights"))
    } else {
        Rule::new(format!("the file names `{full}`, which is no part of weights; in Python it would be called"))
    };
    Err(rule.right("weights alone, as torch.save(model.state_dict(), FILE) writes them"))
}
