//! candle: inference with batch normalisation folded into the convolutions, and training steps (forward, cross-entropy,
//! backward, SGD with momentum 0.9, written out since candle's SGD has none).
//!
//! Its gradient of max pooling needs stride = kernel and is a quarter of what it should be where one of four numbers is the
//! largest, so that trainings take the largest of slices instead. Its threads are set by RAYON_NUM_THREADS.

mod networks;

use bench_common::{Arguments, Array, Given, Peer, Result, cannot, measure};
use candle_core::{DType, Device, ModuleT, Tensor, Var};
use candle_nn::{VarBuilder, VarMap, loss::cross_entropy};
use networks::{LeNet, ResNet18};

const PEER: Peer = Peer { name: "candle", package: "candle-core", variant: "default" };

fn main() -> Result<()> {
    let a = Arguments::read()?;
    a.check_rayon()?;
    match a.workload.as_str() {
        "infer/resnet18/n1" | "infer/resnet18/n16" => infer(&a),
        "train/lenet5/n64" => train(&a, LeNet::new),
        "train/resnet18/n16" => train(&a, ResNet18::new),
        _ => cannot(&a, "not written for candle"),
    }
}

fn infer(a: &Arguments) -> Result<()> {
    let given = Given::read(a)?;
    let variables = VarMap::new();
    let mut net = ResNet18::new(VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
    load(&variables, &given)?;
    net.fold()?;
    let x = tensor(given.images()?)?;
    let scores = net.forward_t(&x, false)?.flatten_all()?.to_vec1()?;
    let difference = given.check_scores(&scores)?;
    measure(a, &Peer { variant: "folded", ..PEER }, difference, || Ok(drop(net.forward_t(&x, false)?)))
}

fn train<N: ModuleT>(a: &Arguments, new: impl FnOnce(VarBuilder<'_>) -> candle_core::Result<N>) -> Result<()> {
    let given = Given::read(a)?;
    let variables = VarMap::new();
    let net = new(VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
    load(&variables, &given)?;
    let x = tensor(given.images()?)?;
    let labels: Vec<u32> = given.labels().iter().map(|&l| l as u32).collect();
    let labels = Tensor::new(labels, &Device::Cpu)?;
    let mut momenta: Vec<(Var, Option<Tensor>)> = variables.all_vars().into_iter().map(|v| (v, None)).collect();
    let mut step = || -> Result<Tensor> {
        let loss = cross_entropy(&net.forward_t(&x, true)?, &labels)?;
        let gradients = loss.backward()?;
        for (variable, momentum) in &mut momenta {
            // Running statistics have no gradient.
            let Some(gradient) = gradients.get(variable) else { continue };
            let step = match momentum.take() {
                Some(m) => ((m * 0.9)? + gradient)?,
                None => gradient.clone(),
            };
            variable.set(&(variable.as_tensor() - (&step * 1e-3)?)?)?;
            *momentum = Some(step.detach());
        }
        Ok(loss.detach())
    };
    let losses = (0..given.steps()).map(|_| Ok(step()?.to_scalar()?)).collect::<Result<Vec<f32>>>()?;
    let difference = given.check_losses(&losses)?;
    measure(a, &PEER, difference, || Ok(drop(step()?)))
}

fn tensor(array: &Array) -> candle_core::Result<Tensor> {
    Tensor::from_slice(&array.data, array.shape.as_slice(), &Device::Cpu)
}

/// Gives all variables their values.
fn load(variables: &VarMap, given: &Given) -> Result<()> {
    let all = variables.data().lock().map_err(|e| e.to_string())?;
    for (name, variable) in all.iter() {
        variable.set(&tensor(given.weight(name)?)?)?;
    }
    Ok(())
}
