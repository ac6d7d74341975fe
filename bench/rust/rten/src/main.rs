//! rten: inference of our ONNX files with prepacked weights. It does not train.

use bench_common::{Arguments, Given, Peer, Result, cannot, measure};
use rten::{ModelOptions, RunOptions, ThreadPool};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use std::sync::Arc;

const PEER: Peer = Peer { name: "rten", package: "rten", variant: "prepacked" };

fn main() -> Result<()> {
    let a = Arguments::read()?;
    if !a.workload.starts_with("infer/resnet18/") {
        cannot(&a, "rten does not train");
    }
    let given = Given::read(&a)?;
    let images = given.images()?;
    let model = ModelOptions::with_all_ops().prepack_weights(true).load_file(a.model("resnet18"))?;
    let (input, output) = (model.input_ids()[0], model.output_ids()[0]);
    let options = RunOptions::default().with_thread_pool(Some(Arc::new(ThreadPool::with_num_threads(a.threads))));
    let x = NdTensor::from_data(images.extents::<4>()?, images.data.clone());
    let run = || model.run(vec![(input, x.view().into())], &[output], Some(options.clone()));
    let scores: NdTensor<f32, 2> = run()?.remove(0).try_into()?;
    let difference = given.check_scores(&scores.to_vec())?;
    measure(&a, &PEER, difference, || Ok(drop(run()?)))
}
