//! rten: inference of our ONNX files with prepacked weights. It does not train.

mod unpack;

use bench_common::{Arguments, Result, cannot, measure, noise};
use rten::{ModelOptions, RunOptions, ThreadPool};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use std::sync::Arc;

fn main() -> Result<()> {
    let a = Arguments::read()?;
    let n = match a.workload.as_str() {
        "infer/resnet18/n1" => 1,
        "infer/resnet18/n16" => 16,
        _ => cannot(&a, "not for rten"),
    };
    let file = std::fs::read(a.model("resnet18"))?;
    let file = unpack::unpack(&file, &unpack::MODEL).ok_or("the model is damaged")?;
    let model = ModelOptions::with_all_ops().prepack_weights(true).load(file)?;
    let (input, output) = (model.input_ids()[0], model.output_ids()[0]);
    let options = RunOptions::default().with_thread_pool(Some(Arc::new(ThreadPool::with_num_threads(a.threads))));
    let shape = [n, 3, 224, 224];
    let x = NdTensor::from_data(shape, noise(shape.iter().product()));
    measure(&a, "rten", "rten", "prepacked", || {
        let y = model.run(vec![(input, x.view().into())], &[output], Some(options.clone()))?;
        assert_eq!(y[0].shape().to_vec(), [n, 1000]);
        Ok(())
    })
}
