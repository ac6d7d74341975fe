//! burn on its CPU backend flex: inference of the network as it is after folding batch normalisation into the
//! convolutions (burn does not fold itself), and training steps (forward, cross-entropy, backward, SGD with momentum).
//! Its threads are set by RAYON_NUM_THREADS.
//!
//! Of its other backends for a CPU, ndarray is deprecated in favour of flex, libtorch is PyTorch's C++, and cpu fetches
//! LLVM's C++ while it builds.

mod networks;

use bench_common::{Arguments, Array, Given, Peer, Result, cannot, measure};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use networks::{LeNet, Network, ResNet18};

const PEER: Peer = Peer { name: "burn", package: "burn", variant: "flex" };

fn main() -> Result<()> {
    let a = Arguments::read()?;
    a.check_rayon()?;
    match a.workload.as_str() {
        "infer/resnet18/n1" | "infer/resnet18/n16" => infer(&a),
        "train/lenet5/n64" => train(&a, LeNet::new),
        "train/resnet18/n16" => train(&a, |given, device| ResNet18::new(given, false, device)),
        _ => cannot(&a, "not written for burn"),
    }
}

fn infer(a: &Arguments) -> Result<()> {
    let given = Given::read(a)?;
    let device = Device::flex();
    let net = ResNet18::new(&given, true, &device)?;
    let x = images(given.images()?, &device)?;
    let run = || net.forward(x.clone()).into_data();
    let difference = given.check_scores(&numbers(run())?)?;
    measure(a, &Peer { variant: "flex, folded", ..PEER }, difference, || Ok(drop(run())))
}

fn train<N: Network>(a: &Arguments, new: impl FnOnce(&Given, &Device) -> Result<N>) -> Result<()> {
    let given = Given::read(a)?;
    let device = Device::flex().autodiff();
    let mut net = Some(new(&given, &device)?);
    let x = images(given.images()?, &device)?;
    let labels: Vec<i64> = given.labels().iter().map(|&l| l.into()).collect();
    let n = labels.len();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [n]), &device);
    let criterion = CrossEntropyLossConfig::new().init(&device);
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let mut optimiser = SgdConfig::new().with_momentum(Some(momentum)).init();
    let mut step = || -> Result<TensorData> {
        let now = net.take().ok_or("a step ended early")?;
        let loss = criterion.forward(now.forward(x.clone()), labels.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &now);
        net = Some(optimiser.step(1e-3, now, gradients));
        Ok(loss.into_data())
    };
    let losses = (0..given.steps()).map(|_| Ok(numbers(step()?)?[0])).collect::<Result<Vec<f32>>>()?;
    let difference = given.check_losses(&losses)?;
    measure(a, &PEER, difference, || Ok(drop(step()?)))
}

fn images(array: &Array, device: &Device) -> Result<Tensor<4>> {
    Ok(Tensor::from_data(TensorData::new(array.data.clone(), array.extents::<4>()?), device))
}

fn numbers(data: TensorData) -> Result<Vec<f32>> {
    data.try_to_vec().map_err(|e| format!("{e:?}").into())
}
