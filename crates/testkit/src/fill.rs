//! Numbers for sample problems.

use gabor_graph::{Fill, Problem};
use gabor_tensor::{DType, Data, Stream, Tensor, rng::op};

/// One tensor per input of a problem, in order.
pub type Bindings = Vec<Tensor>;

/// Fills every input of a problem as its [`Fill`] asks. The same seed gives the same numbers.
pub fn fill(problem: &Problem, seed: u64) -> Bindings {
    let inputs = problem.inputs.iter().enumerate();
    inputs
        .map(|(i, (shape, dtype, fill))| {
            let shape = shape.at(problem.n);
            let v = numbers(*fill, &shape, &mut Stream::new(seed, 0, i as u32, op::TEST));
            tensor(&shape, *dtype, v)
        })
        .collect()
}

/// A tensor of standard normal 32-bit floats.
pub fn normal(shape: &[usize], seed: u64) -> Tensor {
    let v = numbers(Fill::Normal, shape, &mut Stream::new(seed, 1, 0, op::TEST));
    tensor(shape, DType::F32, v)
}

fn tensor(shape: &[usize], dtype: DType, v: Vec<f64>) -> Tensor {
    // Through f32, so that every precision starts from the same numbers.
    let data = match dtype {
        DType::F32 => Data::F32(v.into_iter().map(|x| x as f32).collect()),
        DType::F64 => Data::F64(v.into_iter().map(|x| f64::from(x as f32)).collect()),
        DType::I32 => Data::I32(v.into_iter().map(|x| x as i32).collect()),
        DType::U8 => Data::U8(v.into_iter().map(|x| x as u8).collect()),
    };
    Tensor::new(shape, data).expect("as many numbers as the shape has elements")
}

fn numbers(fill: Fill, shape: &[usize], s: &mut Stream) -> Vec<f64> {
    let len: usize = shape.iter().product();
    match fill {
        Fill::Normal => (0..len).map(|_| s.normal()).collect(),
        Fill::Positive => (0..len).map(|_| s.range(0.2, 2.0)).collect(),
        Fill::Distinct => {
            let mut v: Vec<f64> = (0..len).map(|i| (i as f64 - (len / 2) as f64 + 0.5) * 0.1).collect();
            s.shuffle(&mut v);
            v
        }
        Fill::Labels(classes) => (0..len).map(|_| s.below(classes) as f64).collect(),
        Fill::Bytes => (0..len).map(|_| s.below(256) as f64).collect(),
        Fill::Key => (0..len).map(|_| f64::from(s.next_u32() as i32)).collect(),
        Fill::Indices(plane) => {
            let outputs: usize = shape.iter().skip(2).product();
            let planes = len.checked_div(outputs).unwrap_or(0);
            let mut places: Vec<f64> = (0..plane).map(|i| i as f64).collect();
            assert!(outputs <= plane, "{outputs} distinct indices below {plane}");
            (0..planes)
                .flat_map(|_| {
                    s.shuffle(&mut places);
                    places[..outputs].to_vec()
                })
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filling_keeps_its_promise() {
        let mut s = Stream::new(1, 0, 0, op::TEST);
        let mut v = numbers(Fill::Distinct, &[5, 9], &mut s);
        v.sort_by(f64::total_cmp);
        assert!(v.windows(2).all(|w| w[1] - w[0] > 0.099) && v.iter().all(|x| x.abs() > 0.04));
        assert!(numbers(Fill::Positive, &[99], &mut s).iter().all(|&x| (0.2..2.0).contains(&x)));
        assert!(numbers(Fill::Labels(3), &[99], &mut s).iter().all(|&x| (0.0..3.0).contains(&x)));
        let at = numbers(Fill::Indices(7), &[2, 3, 5], &mut s);
        for plane in at.chunks(5) {
            let mut p = plane.to_vec();
            p.sort_by(f64::total_cmp);
            p.dedup();
            assert!(p.len() == 5 && p.iter().all(|&i| (0.0..7.0).contains(&i)), "{plane:?}");
        }
    }
}
