//! Weights as a file that `torch.load(FILE, weights_only=True)` reads.

use super::zip;
use crate::elements::write_bytes;
use gabor_tensor::{Data, Tensor, Weights};

/// The bytes of a `.pth` file: an `OrderedDict` of tensors, in the order of their names. The same tensors give the same
/// bytes.
///
/// ```
/// use gabor_formats::pytorch;
/// use gabor_tensor::{Tensor, Weights};
/// let mut w = Weights::new();
/// w.insert("conv1.bias", Tensor::f32(&[2], vec![0.5, -0.5]).unwrap());
/// assert_eq!(pytorch::read(&pytorch::write(&w)).unwrap().weights, w);
/// ```
pub fn write(weights: &Weights) -> Vec<u8> {
    let mut pickle = Vec::new();
    // Protocol 2, an empty OrderedDict, and all entries at once.
    pickle.extend_from_slice(b"\x80\x02ccollections\nOrderedDict\n)R(");
    let mut entries = vec![(String::new(), Vec::new())];
    for (i, (name, tensor)) in weights.iter().enumerate() {
        entry(&mut pickle, &i.to_string(), name, tensor);
        let mut data = Vec::with_capacity(tensor.len() * tensor.dtype().size());
        // Memory takes whatever it is given.
        let _ = write_bytes(tensor, &mut data);
        entries.push((format!("weights/data/{i}"), data));
    }
    pickle.extend_from_slice(b"u.");
    entries[0] = ("weights/data.pkl".into(), pickle);
    entries.insert(1, ("weights/byteorder".into(), b"little".to_vec()));
    entries.push(("weights/version".into(), b"3\n".to_vec()));
    zip::write(&entries)
}

/// A name and the call that a reader makes a tensor by: storage, offset, size, strides, no gradient, no hooks.
fn entry(out: &mut Vec<u8>, key: &str, name: &str, tensor: &Tensor) {
    let class = match tensor.data() {
        Data::F32(_) => "FloatStorage",
        Data::F64(_) => "DoubleStorage",
        Data::I32(_) => "IntStorage",
        Data::U8(_) => "ByteStorage",
    };
    text(out, name);
    out.extend_from_slice(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(out, "storage");
    out.extend_from_slice(format!("ctorch\n{class}\n").as_bytes());
    text(out, key);
    text(out, "cpu");
    number(out, tensor.len());
    out.extend_from_slice(b"tQ");
    number(out, 0);
    tuple(out, tensor.shape());
    let mut strides = vec![1; tensor.shape().len()];
    for i in (1..strides.len()).rev() {
        strides[i - 1] = strides[i] * tensor.shape()[i].max(1);
    }
    tuple(out, &strides);
    out.extend_from_slice(b"\x89ccollections\nOrderedDict\n)RtR");
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn number(out: &mut Vec<u8>, n: usize) {
    match (u8::try_from(n), i32::try_from(n)) {
        (Ok(n), _) => out.extend_from_slice(&[b'K', n]),
        (_, Ok(n)) => {
            out.push(b'J');
            out.extend_from_slice(&n.to_le_bytes());
        }
        _ => {
            out.extend_from_slice(&[0x8a, 8]);
            out.extend_from_slice(&(n as i64).to_le_bytes());
        }
    }
}

fn tuple(out: &mut Vec<u8>, numbers: &[usize]) {
    out.push(b'(');
    numbers.iter().for_each(|&n| number(out, n));
    out.push(b't');
}
