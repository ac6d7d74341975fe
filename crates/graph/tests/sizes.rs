//! Numbers from users that are too large give errors, never a wrapped product or a panic.

use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{ConvGeometry, DType, Padding, Shape, WindowOptions};

#[test]
fn large_shapes_are_refused() {
    let mut g = Graph::new("large");
    let big = Shape::batch(&[3, 1 << 31, 1 << 31]);
    let e = g.input("x", big, DType::F32).unwrap_err().to_string();
    let want = "x: a tensor of shape [n, 3, 2147483648, 2147483648] at n = 1 is too large; right would be: at most \
                1099511627776 elements";
    assert_eq!(e, want);
    assert!(g.input("x", Shape::fixed(&[usize::MAX, 2]), DType::U8).is_err());
    assert!(g.input("x", Shape::fixed(&[0, usize::MAX, 2]), DType::U8).is_err());
    let weight = Parameter::weight(Initializer::Zeros);
    assert!(g.parameter("w", &[1 << 40, 1 << 40], weight).is_err());
    let x = g.input("x", Shape::batch(&[1, 4, 4, 4]), DType::F32).unwrap();
    let wide = WindowOptions::new(&[1]).padding(Padding::all((1 << 31) - 1));
    assert!(g.avg_pool(x, &wide).is_err());
    let ones = g.input("ones", Shape::fixed(&[1, 1, 1]), DType::F32).unwrap();
    assert!(g.broadcast(ones, &Shape::fixed(&[1 << 30, 1 << 30, 1 << 30])).is_err());
    assert!(g.reshape(x, &Shape::fixed(&[usize::MAX, usize::MAX])).is_err());
}

#[test]
fn geometry_of_large_numbers_is_refused() {
    let most = usize::MAX;
    for v in [most, most / 2, 1 << 62, 1 << 33] {
        for i in 0..4 {
            let mut o = WindowOptions::new(&[2, 2]);
            match i {
                0 => o.stride = vec![v],
                1 => o.dilation = vec![v],
                2 => o.padding = Padding::all(v),
                _ => o.padding = Padding::Same,
            }
            let kernel = if i == 3 { v } else { 2 };
            assert!(o.clone().resolve(&[v, 5]).is_err());
            assert!(ConvGeometry::new(4, &[v, v], &[4, v, kernel, kernel], 4, &WindowOptions::default()).is_err());
            let transposed = ConvGeometry::transposed(4, &[5, 5], &[4, 4, kernel, kernel], 1, &o, &[]);
            assert!(transposed.is_err(), "{o:?}");
            let _ = ConvGeometry::transposed(4, &[5, 5], &[4, v, 2, 2], v, &o, &[v]);
            let _ = ConvGeometry::transposed(4, &[v, v], &[4, v, v, v], v, &o, &[v - 1]);
        }
    }
}
