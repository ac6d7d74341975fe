//! tract: inference of our ONNX files, with the batch size fixed before its optimiser runs, and its matrix products on
//! `--threads` threads (its default is one). It does not train.

use bench_common::{Arguments, Given, Peer, Result, cannot, measure};
use tract_onnx::prelude::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

const PEER: Peer = Peer { name: "tract", package: "tract-onnx", variant: "optimized" };

fn main() -> Result<()> {
    let a = Arguments::read()?;
    if !a.workload.starts_with("infer/resnet18/") {
        cannot(&a, "tract does not train");
    }
    let given = Given::read(&a)?;
    let images = given.images()?;
    let shape = images.extents::<4>()?;
    if a.threads > 1 {
        set_default_executor(Executor::multithread(a.threads));
    }
    let model = tract_onnx::onnx()
        .model_for_path(a.model("resnet18"))?
        .with_input_fact(0, f32::fact(shape).into())?
        .into_optimized()?
        .into_runnable()?;
    let x: Tensor = tract_ndarray::Array4::from_shape_vec(shape, images.data.clone())?.into();
    let x: TValue = x.into();
    let mut state = model.spawn()?;
    let scores = state.run(tvec!(x.clone()))?.remove(0);
    let difference = given.check_scores(scores.to_plain_array_view::<f32>()?.as_slice().ok_or("scores with gaps")?)?;
    measure(&a, &PEER, difference, || Ok(drop(state.run(tvec!(x.clone()))?)))
}
