//! `.npy` files as NumPy writes them.

use gabor_formats::npy;
use gabor_tensor::{Data, Tensor};

/// A file with this header text and data.
fn file(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut out = b"\x93NUMPY".to_vec();
    out.extend([version, 0]);
    match version {
        1 => out.extend((header.len() as u16).to_le_bytes()),
        _ => out.extend((header.len() as u32).to_le_bytes()),
    }
    out.extend(header.as_bytes());
    out.extend(data);
    out
}

fn head(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
}

#[test]
fn round_trip() {
    let tensors = [
        Tensor::scalar(3.5),
        Tensor::f32(&[0, 3], vec![]).unwrap(),
        Tensor::f32(&[2, 1, 2], vec![1.0, -0.0, f32::MIN_POSITIVE, f32::INFINITY]).unwrap(),
        Tensor::f64(&[3], vec![1.0, 1e300, -2.5]).unwrap(),
        Tensor::i32(&[2], vec![i32::MIN, 7]).unwrap(),
        Tensor::u8(&[4], vec![0, 1, 128, 255]).unwrap(),
    ];
    for t in tensors {
        let bytes = npy::write(&t);
        assert_eq!(npy::read(&bytes).unwrap(), t);
        let header = u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
        assert_eq!((10 + header) % 64, 0);
    }
    assert_eq!(
        &npy::write(&Tensor::f32(&[3], vec![0.0; 3]).unwrap())[10..69],
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }  "
    );
}

#[test]
fn versions_orders_and_types() {
    let want = Tensor::f32(&[2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let le = |v: &[f32]| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>();
    let be = |v: &[f32]| v.iter().flat_map(|x| x.to_be_bytes()).collect::<Vec<_>>();
    let c = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    for version in [1, 2, 3] {
        assert_eq!(npy::read(&file(version, &head("<f4", "False", "(2, 3)"), &le(&c))).unwrap(), want);
    }
    assert_eq!(npy::read(&file(1, &head(">f4", "False", "(2, 3)"), &be(&c))).unwrap(), want);
    let f = [0.0, 3.0, 1.0, 4.0, 2.0, 5.0];
    assert_eq!(npy::read(&file(1, &head("<f4", "True", "(2, 3)"), &le(&f))).unwrap(), want);
    let i8 = npy::read(&file(1, &head("<i8", "False", "(2,)"), &[5i64, -6].map(i64::to_le_bytes).concat())).unwrap();
    assert_eq!(*i8.data(), Data::I32(vec![5, -6]));
    let b1 = npy::read(&file(1, &head("|b1", "False", "(2,)"), &[1, 0])).unwrap();
    assert_eq!(*b1.data(), Data::U8(vec![1, 0]));
    let f2 = npy::read(&file(1, &head("<f2", "False", "()"), &[0x00, 0x3E])).unwrap();
    assert_eq!(*f2.data(), Data::F32(vec![1.5]));
}

#[test]
fn errors_say_what_is_wrong() {
    let e = |bytes: &[u8]| npy::read(bytes).unwrap_err().to_string();
    assert_eq!(e(b"PK"), "npy: no .npy file: it does not begin with \\x93NUMPY; right would be: a file of numpy.save");
    assert_eq!(
        e(&file(1, &head("<f4", "False", "(2, 3)"), &[0; 20])),
        "npy: 20 bytes of data for <f4 [2, 3]; right would be: 24 bytes: 6 elements of 4"
    );
    assert_eq!(
        e(&file(1, &head("<i8", "False", "(1,)"), &(1i64 << 40).to_le_bytes())),
        "npy: element 0 is 1099511627776, which does not fit a 32-bit integer; right would be: whole numbers between \
         -2147483648 and 2147483647"
    );
    assert!(e(&file(1, &head("<c8", "False", "(1,)"), &[0; 8])).contains("element type `<c8`"));
    assert!(e(&file(1, &head("|O", "False", "(1,)"), &[0; 8])).contains("element type `|O`"));
    assert!(e(&file(1, &head("<f4", "False", "(4294967296, 4294967296, 4)"), &[])).contains("more bytes than memory"));
    assert!(e(&file(1, &head("<f4", "False", "(0, 4294967296, 4294967296)"), &[])).contains("more bytes than memory"));
    assert!(e(&file(1, "{'descr': [('a', '<f4')], }", &[])).contains("records are not read"));
    assert!(e(&file(2, &" ".repeat(70_000), &[])).contains("a header of 70000 bytes"));
    assert!(e(&file(1, "{'shape': (), 'shape': ()}", &[])).contains("`shape` twice"));
    assert!(e(&file(4, "", &[])).contains("format version 4.0"));
}
