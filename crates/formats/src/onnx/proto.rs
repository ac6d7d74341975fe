//! The messages of `onnx.proto3` with the fields that are used here, numbered as there.

use crate::wire::{Bytes, Text, message};
use gabor_tensor::DType;

message! {
    /// A file.
    ModelProto {
        1 ir_version: i64,
        2 producer_name: Text<'a>,
        3 producer_version: Text<'a>,
        4 domain: Text<'a>,
        5 model_version: i64,
        6 doc_string: Text<'a>,
        7 graph: Option<GraphProto<'a>>,
        8 opset_import: Vec<OperatorSetIdProto<'a>>,
        14 metadata_props: Vec<StringStringEntryProto<'a>>,
        25 functions: Vec<Bytes<'a>>,
    }
}
message! {
    /// Which version of the operators a file is written for.
    OperatorSetIdProto { 1 domain: Text<'a>, 2 version: i64 }
}
message! {
    /// A named text.
    StringStringEntryProto { 1 key: Text<'a>, 2 value: Text<'a> }
}
message! {
    /// A network.
    GraphProto {
        1 node: Vec<NodeProto<'a>>,
        2 name: Text<'a>,
        5 initializer: Vec<TensorProto<'a>>,
        10 doc_string: Text<'a>,
        11 input: Vec<ValueInfoProto<'a>>,
        12 output: Vec<ValueInfoProto<'a>>,
        15 sparse_initializer: Vec<Bytes<'a>>,
    }
}
message! {
    /// An operation with its inputs and outputs.
    NodeProto {
        1 input: Vec<Text<'a>>,
        2 output: Vec<Text<'a>>,
        3 name: Text<'a>,
        4 op_type: Text<'a>,
        5 attribute: Vec<AttributeProto<'a>>,
        7 domain: Text<'a>,
    }
}
message! {
    /// A named attribute. Subgraphs stay bytes: no operation that has them is imported.
    AttributeProto {
        1 name: Text<'a>,
        2 f: Option<f32>,
        3 i: Option<i64>,
        4 s: Option<Bytes<'a>>,
        5 t: Option<TensorProto<'a>>,
        6 g: Option<Bytes<'a>>,
        7 floats: Vec<f32>,
        8 ints: Vec<i64>,
        9 strings: Vec<Bytes<'a>>,
        10 tensors: Vec<Bytes<'a>>,
        11 graphs: Vec<Bytes<'a>>,
        20 kind: i64,
        21 ref_attr_name: Text<'a>,
    }
}
message! {
    /// A tensor: extents, element type and elements in one of several fields.
    TensorProto {
        1 dims: Vec<i64>,
        2 data_type: i64,
        4 float_data: Vec<f32>,
        5 int32_data: Vec<i64>,
        6 string_data: Vec<Bytes<'a>>,
        7 int64_data: Vec<i64>,
        8 name: Text<'a>,
        9 raw_data: Option<Bytes<'a>>,
        10 double_data: Vec<f64>,
        11 uint64_data: Vec<i64>,
        13 external_data: Vec<StringStringEntryProto<'a>>,
        14 data_location: i64,
    }
}
message! {
    /// A name with a type.
    ValueInfoProto { 1 name: Text<'a>, 2 ty: Option<TypeProto<'a>> }
}
message! {
    /// A type; sequences, maps and others stay bytes.
    TypeProto { 1 tensor_type: Option<TensorTypeProto<'a>>, 4 sequence_type: Option<Bytes<'a>> }
}
message! {
    /// Element type and extents.
    TensorTypeProto { 1 elem_type: Kind<'a>, 2 shape: Option<TensorShapeProto<'a>> }
}
message! {
    /// Extents.
    TensorShapeProto { 1 dim: Vec<DimensionProto<'a>> }
}
message! {
    /// An extent: a number, a name, or neither.
    DimensionProto { 1 dim_value: Option<i64>, 2 dim_param: Text<'a> }
}

/// An element type's number. (The lifetime is every message's; a number borrows nothing.)
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kind<'a>(pub i64, std::marker::PhantomData<&'a ()>);

impl Kind<'_> {
    pub(crate) fn new(v: i64) -> Self {
        Kind(v, std::marker::PhantomData)
    }
}

impl<'a> crate::wire::Field<'a> for Kind<'a> {
    fn take(
        &mut self,
        wire: crate::wire::Wire<'a>,
        budget: &mut crate::wire::Budget,
    ) -> Result<(), gabor_tensor::Rule> {
        crate::wire::Field::take(&mut self.0, wire, budget)
    }
    fn put(&self, number: u32, out: &mut Vec<u8>) {
        crate::wire::Field::put(&self.0, number, out);
    }
}

/// Numbers of element types.
pub(crate) mod elem {
    pub(crate) const FLOAT: i64 = 1;
    pub(crate) const UINT8: i64 = 2;
    pub(crate) const INT8: i64 = 3;
    pub(crate) const UINT16: i64 = 4;
    pub(crate) const INT16: i64 = 5;
    pub(crate) const INT32: i64 = 6;
    pub(crate) const INT64: i64 = 7;
    pub(crate) const BOOL: i64 = 9;
    pub(crate) const FLOAT16: i64 = 10;
    pub(crate) const DOUBLE: i64 = 11;
    pub(crate) const UINT32: i64 = 12;
    pub(crate) const UINT64: i64 = 13;
    pub(crate) const BFLOAT16: i64 = 16;
}

/// Numbers of attribute types.
pub(crate) mod attr {
    pub(crate) const FLOAT: i64 = 1;
    pub(crate) const INT: i64 = 2;
    pub(crate) const STRING: i64 = 3;
    pub(crate) const TENSOR: i64 = 4;
    pub(crate) const INTS: i64 = 7;
}

/// The number of an element type.
pub(crate) fn elem_of(dtype: DType) -> i64 {
    match dtype {
        DType::F32 => elem::FLOAT,
        DType::F64 => elem::DOUBLE,
        DType::I32 => elem::INT32,
        DType::U8 => elem::UINT8,
    }
}

/// The name of an element type, for messages.
pub(crate) fn elem_name(v: i64) -> String {
    const NAMES: [&str; 17] = [
        "undefined",
        "float",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "double",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
    ];
    usize::try_from(v).ok().and_then(|i| NAMES.get(i)).map_or_else(|| format!("number {v}"), |n| n.to_string())
}
