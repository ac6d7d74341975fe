//! A `.caffemodel`: the messages of `caffe.proto` that hold numbers, over the shared reader of protocol buffers.
//!
//! Everything else in the file repeats the `.prototxt` and is skipped by the reader.

use crate::error::element_count;
use crate::wire::{Budget, Message, Packed, Text, message};
use crate::{Error, Result};
use gabor_tensor::{Rule, Tensor};
use std::collections::HashMap;

message! {
    /// A network: layers of the form since 2014 and before.
    NetParameter {
        2 old: Vec<V1LayerParameter<'a>>,
        100 layer: Vec<LayerParameter<'a>>,
    }
}
message! {
    /// A layer.
    LayerParameter {
        1 name: Text<'a>,
        7 blobs: Vec<BlobProto>,
    }
}
message! {
    /// A layer before that, which may hold one of the first form.
    V1LayerParameter {
        1 layer: Option<V0LayerParameter<'a>>,
        4 name: Text<'a>,
        6 blobs: Vec<BlobProto>,
    }
}
message! {
    /// A layer of the first form.
    V0LayerParameter {
        1 name: Text<'a>,
        50 blobs: Vec<BlobProto>,
    }
}
message! {
    /// An array: floats or doubles, with extents of either form.
    owned BlobProto {
        1 num: Option<i64>,
        2 channels: Option<i64>,
        3 height: Option<i64>,
        4 width: Option<i64>,
        5 data: Packed<f32>,
        7 shape: Option<BlobShape>,
        8 double_data: Vec<f64>,
    }
}
message! {
    /// Extents.
    owned BlobShape {
        1 dim: Packed<i64>,
    }
}

message! {
    /// A network as it is written.
    WrittenNet {
        1 name: Text<'a>,
        100 layer: Vec<WrittenLayer<'a>>,
    }
}
message! {
    /// A layer as it is written: what the text says of its place, and its numbers.
    WrittenLayer {
        1 name: Text<'a>,
        2 kind: Text<'a>,
        3 bottom: Vec<Text<'a>>,
        4 top: Vec<Text<'a>>,
        7 blobs: Vec<BlobProto>,
    }
}

/// Arrays of all layers, by the layers' names.
pub(super) type Blobs = HashMap<String, Vec<Tensor>>;

/// The numbers in the bytes of a `.caffemodel`.
pub(super) fn read(bytes: &[u8]) -> Result<Blobs> {
    if bytes.starts_with(b"\x89HDF\r\n\x1a\n") {
        let rule = Rule::new("it is an HDF5 file").right("a .caffemodel in binary protocol buffers");
        return Err(Error::new("caffemodel", rule));
    }
    let net = NetParameter::read(bytes, &mut Budget::new()).map_err(|r| {
        let rule = format!("{}: it is damaged or no .caffemodel", r.rule);
        Error::new("caffemodel", Rule { rule, ..r })
    })?;
    let new = net.layer.into_iter().map(|l| (l.name, l.blobs));
    let old = net.old.into_iter().map(|l| match l.layer {
        Some(first) => (first.name, if first.blobs.is_empty() { l.blobs } else { first.blobs }),
        None => (l.name, l.blobs),
    });
    let mut blobs = Blobs::new();
    for (name, all) in new.chain(old) {
        let place = |i: usize| format!("caffemodel: layer `{name}`, array {i}");
        let tensors = all.into_iter().enumerate();
        let tensors =
            tensors.map(|(i, b)| tensor(b).map_err(|r| Error::new(place(i), r))).collect::<Result<Vec<_>>>()?;
        // Layers of other phases may have the same name and no numbers.
        if !tensors.is_empty() {
            blobs.insert(name.to_string(), tensors);
        }
    }
    if blobs.is_empty() {
        let rule = Rule::new(format!("{} bytes without a layer that holds numbers: no .caffemodel", bytes.len()));
        return Err(Error::new("caffemodel", rule));
    }
    Ok(blobs)
}

fn tensor(b: BlobProto) -> Result<Tensor, Rule> {
    let old = [b.num, b.channels, b.height, b.width];
    let extents = match b.shape {
        Some(shape) if old.iter().all(Option::is_none) => shape.dim.0,
        // Extents that are not written are 0 in such a message, and then there are no numbers.
        _ => old.map(|d| d.unwrap_or(0)).to_vec(),
    };
    let wrong = || Rule::new(format!("extents {extents:?}")).right("numbers from 0 on, at most 32 of them");
    let shape: Option<Vec<usize>> = extents.iter().map(|&d| usize::try_from(d).ok()).collect();
    let shape = shape.filter(|s| s.len() <= 32).ok_or_else(wrong)?;
    let want = element_count(&shape, 4)?;
    let data = if b.double_data.is_empty() { b.data.0 } else { b.double_data.iter().map(|&v| v as f32).collect() };
    if want != data.len() {
        return Err(Rule::new(format!("{} numbers for extents {extents:?}", data.len())).right(format!("{want}")));
    }
    Tensor::f32(&shape, data)
}
