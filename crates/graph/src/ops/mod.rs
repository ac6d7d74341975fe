//! One file per operation, and the list of them all. Adding a derived operation costs its file and a row here; a
//! primitive also a reference kernel and a row in the backend's table.

mod activation;
mod adaptive_avg_pool;
mod adaptive_max_pool;
mod adaptive_pool;
mod avg_pool;
mod avg_pool_grad;
mod batch_norm;
mod batch_norm_grad;
mod batch_norm_inference;
mod binary;
mod broadcast;
mod cast;
mod clip;
mod concat;
mod conv;
mod conv_filter_grad;
mod conv_input_grad;
mod conv_transpose;
mod cross_entropy;
mod cross_entropy_soft;
mod dropout;
mod elu;
mod embed;
mod fold;
mod gather;
mod gelu;
mod global_avg_pool;
mod global_lp_pool;
mod global_max_pool;
mod global_pool;
mod group_norm;
mod hard_sigmoid;
mod hard_swish;
mod hinge_loss;
mod huber_loss;
mod instance_norm;
mod k_max_pool;
mod l1_loss;
mod layer_norm;
mod layers;
mod leaky_relu;
mod linf_pool;
mod local_response_norm;
mod locally_connected;
mod log_softmax;
mod logistic_loss;
mod loss;
mod lp_pool;
mod matmul;
mod max_pool;
mod max_pool_gather;
mod max_unpool;
mod maxout;
mod mse_loss;
mod multi_margin_loss;
mod normalise;
mod one_hot;
mod pad;
mod pad_grad;
mod prelu;
mod random_uniform;
mod reduce;
mod reshape;
mod scatter_add;
mod selu;
mod silu;
mod size;
mod slice;
mod softmax;
mod softplus;
mod sum_of_squares;
mod transpose;
mod unary;
mod unfold;
mod upsample_nearest;

pub use adaptive_avg_pool::AdaptiveAvgPool;
pub use adaptive_max_pool::AdaptiveMaxPool;
pub use avg_pool::AvgPool;
pub use avg_pool_grad::AvgPoolGrad;
pub use batch_norm::BatchNorm;
pub use batch_norm_grad::BatchNormGrad;
pub use batch_norm_inference::BatchNormInference;
pub use binary::BinaryMap;
pub use broadcast::Broadcast;
pub use cast::Cast;
pub use clip::Clip;
pub use concat::Concat;
pub use conv::Conv;
pub use conv_filter_grad::ConvFilterGrad;
pub use conv_input_grad::ConvInputGrad;
pub use conv_transpose::ConvTranspose;
pub use cross_entropy::CrossEntropy;
pub use cross_entropy_soft::CrossEntropySoft;
pub use dropout::Dropout;
pub use elu::Elu;
pub use embed::Embed;
pub use fold::Fold;
pub use gather::Gather;
pub use gelu::Gelu;
pub use global_avg_pool::GlobalAvgPool;
pub use global_lp_pool::GlobalLpPool;
pub use global_max_pool::GlobalMaxPool;
pub use group_norm::GroupNorm;
pub use hard_sigmoid::HardSigmoid;
pub use hard_swish::HardSwish;
pub use hinge_loss::HingeLoss;
pub use huber_loss::HuberLoss;
pub use instance_norm::InstanceNorm;
pub use k_max_pool::KMaxPool;
pub use l1_loss::L1Loss;
pub use layer_norm::LayerNorm;
pub use leaky_relu::LeakyRelu;
pub use linf_pool::LinfPool;
pub use local_response_norm::LocalResponseNorm;
pub use locally_connected::LocallyConnected;
pub use log_softmax::LogSoftmax;
pub use logistic_loss::LogisticLoss;
pub use lp_pool::LpPool;
pub use matmul::MatMul;
pub use max_pool::MaxPool;
pub use max_pool_gather::MaxPoolGather;
pub use max_unpool::MaxUnpool;
pub use maxout::Maxout;
pub use mse_loss::MseLoss;
pub use multi_margin_loss::MultiMarginLoss;
pub use one_hot::OneHot;
pub use pad::Pad;
pub use pad_grad::PadGrad;
pub use prelu::PRelu;
pub use random_uniform::RandomUniform;
pub use reduce::Reduce;
pub use reshape::Reshape;
pub use scatter_add::ScatterAdd;
pub use selu::Selu;
pub use silu::Silu;
pub use size::Size;
pub use slice::Slice;
pub use softmax::Softmax;
pub use softplus::Softplus;
pub use sum_of_squares::SumOfSquares;
pub use transpose::Transpose;
pub use unary::UnaryMap;
pub use unfold::Unfold;
pub use upsample_nearest::UpsampleNearest;

use crate::{OperationSpec, ValueType};
use gabor_tensor::{DType, Dim, Rule, Shape, Window};

/// Every operation, primitives first. An explicit list: nothing is left to the linker.
pub fn registry() -> &'static [OperationSpec] {
    const ALL: &[OperationSpec] = &[
        OperationSpec::of::<Conv>(),
        OperationSpec::of::<ConvInputGrad>(),
        OperationSpec::of::<ConvFilterGrad>(),
        OperationSpec::of::<MatMul>(),
        OperationSpec::of::<Unfold>(),
        OperationSpec::of::<Fold>(),
        OperationSpec::of::<MaxPool>(),
        OperationSpec::of::<MaxUnpool>(),
        OperationSpec::of::<MaxPoolGather>(),
        OperationSpec::of::<AvgPool>(),
        OperationSpec::of::<AvgPoolGrad>(),
        OperationSpec::of::<UnaryMap>(),
        OperationSpec::of::<BinaryMap>(),
        OperationSpec::of::<Reduce>(),
        OperationSpec::of::<Broadcast>(),
        OperationSpec::of::<Reshape>(),
        OperationSpec::of::<Transpose>(),
        OperationSpec::of::<Concat>(),
        OperationSpec::of::<Slice>(),
        OperationSpec::of::<Embed>(),
        OperationSpec::of::<Pad>(),
        OperationSpec::of::<PadGrad>(),
        OperationSpec::of::<Softmax>(),
        OperationSpec::of::<LogSoftmax>(),
        OperationSpec::of::<BatchNorm>(),
        OperationSpec::of::<BatchNormGrad>(),
        OperationSpec::of::<BatchNormInference>(),
        OperationSpec::of::<Gather>(),
        OperationSpec::of::<ScatterAdd>(),
        OperationSpec::of::<OneHot>(),
        OperationSpec::of::<Cast>(),
        OperationSpec::of::<RandomUniform>(),
        OperationSpec::of::<Size>(),
        OperationSpec::of::<LeakyRelu>(),
        OperationSpec::of::<PRelu>(),
        OperationSpec::of::<Elu>(),
        OperationSpec::of::<Selu>(),
        OperationSpec::of::<Gelu>(),
        OperationSpec::of::<Silu>(),
        OperationSpec::of::<Softplus>(),
        OperationSpec::of::<Clip>(),
        OperationSpec::of::<HardSigmoid>(),
        OperationSpec::of::<HardSwish>(),
        OperationSpec::of::<Maxout>(),
        OperationSpec::of::<LpPool>(),
        OperationSpec::of::<KMaxPool>(),
        OperationSpec::of::<LinfPool>(),
        OperationSpec::of::<GlobalAvgPool>(),
        OperationSpec::of::<GlobalMaxPool>(),
        OperationSpec::of::<GlobalLpPool>(),
        OperationSpec::of::<AdaptiveAvgPool>(),
        OperationSpec::of::<AdaptiveMaxPool>(),
        OperationSpec::of::<ConvTranspose>(),
        OperationSpec::of::<LocallyConnected>(),
        OperationSpec::of::<UpsampleNearest>(),
        OperationSpec::of::<LocalResponseNorm>(),
        OperationSpec::of::<LayerNorm>(),
        OperationSpec::of::<GroupNorm>(),
        OperationSpec::of::<InstanceNorm>(),
        OperationSpec::of::<Dropout>(),
        OperationSpec::of::<L1Loss>(),
        OperationSpec::of::<MseLoss>(),
        OperationSpec::of::<SumOfSquares>(),
        OperationSpec::of::<HuberLoss>(),
        OperationSpec::of::<HingeLoss>(),
        OperationSpec::of::<MultiMarginLoss>(),
        OperationSpec::of::<LogisticLoss>(),
        OperationSpec::of::<CrossEntropy>(),
        OperationSpec::of::<CrossEntropySoft>(),
    ];
    ALL
}

// --- checks that several operations share -----------------------------------------------------------------------------

/// An error unless the value has this element type.
pub(crate) fn want_type(name: &str, ty: &ValueType, dtype: DType) -> Result<(), Rule> {
    if ty.dtype == dtype {
        return Ok(());
    }
    Err(Rule::new(format!("{name} has elements of type {}, {dtype} is wanted", ty.dtype)).right(format!("{dtype}")))
}

/// An error unless the axis exists.
pub(crate) fn want_axis(axis: usize, shape: &Shape) -> Result<(), Rule> {
    if axis < shape.rank() {
        return Ok(());
    }
    Err(Rule::new(format!("axis {axis} of a value {shape} with {} axes", shape.rank()))
        .right(format!("an axis below {}", shape.rank())))
}

/// An error unless the value is `[n, c, spatial…]` with these spatial extents; returns `n` and `c`.
pub(crate) fn want_spatial(name: &str, shape: &Shape, spatial: &[usize]) -> Result<(Dim, Dim), Rule> {
    let fits = shape.rank() == spatial.len() + 2 && shape.0[2..].iter().zip(spatial).all(|(d, &s)| *d == Dim::Fixed(s));
    if fits {
        return Ok((shape.0[0], shape.0[1]));
    }
    let list: Vec<String> = spatial.iter().map(|s| s.to_string()).collect();
    Err(Rule::new(format!("{name} is {shape}, the window wants [n, c, {}]", list.join(", "))))
}

/// `[n, c, spatial…]`.
pub(crate) fn spatial_shape(n: Dim, c: Dim, spatial: Vec<usize>) -> Shape {
    Shape([n, c].into_iter().chain(spatial.into_iter().map(Dim::Fixed)).collect())
}

/// Extents of the spatial axes of a value `[n, c, spatial…]`.
pub(crate) fn spatial_of(shape: &Shape) -> Result<Vec<usize>, Rule> {
    let wrong = || Rule::new(format!("a value {shape} where [n, c, spatial…] with known extents is wanted"));
    if shape.rank() < 3 {
        return Err(wrong().right("at least one spatial dimension"));
    }
    shape.0[2..].iter().map(|d| d.fixed()).collect::<Option<Vec<_>>>().ok_or_else(wrong)
}

/// A window of pooling samples, written by hand.
pub(crate) fn sample_window(text: &str) -> Window {
    <Window as crate::Text>::from_text(text).expect("a window like in7,7/k3,3/s2,2/d1,1/p0:0,0:0")
}
