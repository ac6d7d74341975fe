//! tract: inference of our ONNX files, with the batch size fixed before its optimiser runs, and its matrix products on
//! `--threads` threads (its default is one). It does not train.

use bench_common::{Arguments, Result, cannot, measure, noise};
use tract_onnx::prelude::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

fn main() -> Result<()> {
    let a = Arguments::read()?;
    let n = match a.workload.as_str() {
        "infer/resnet18/n1" => 1,
        "infer/resnet18/n16" => 16,
        _ => cannot(&a, "not for tract"),
    };
    if a.threads > 1 {
        set_default_executor(Executor::multithread(a.threads));
    }
    let shape = [n, 3, 224, 224];
    let model = tract_onnx::onnx()
        .model_for_path(a.model("resnet18"))?
        .with_input_fact(0, f32::fact(shape).into())?
        .into_optimized()?
        .into_runnable()?;
    let x: Tensor = tract_ndarray::Array4::from_shape_vec(shape, noise(shape.iter().product()))?.into();
    let x: TValue = x.into();
    let mut state = model.spawn()?;
    measure(&a, "tract-onnx", "tract", "default", || {
        let y = state.run(tvec!(x.clone()))?;
        assert_eq!(y[0].shape(), [n, 1000]);
        Ok(())
    })
}
