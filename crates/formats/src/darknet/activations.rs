//! Darknet's activation functions.

use gabor_graph::{Graph, ValueId};

/// All that are known.
pub(super) const ACTIVATIONS: &str = "linear, relu, relu6, leaky, logistic, loggy, tanh, elu, selu, relie, ramp, plse, hardtan, \
                           lhtan, mish, swish";

/// The function of that name; `None` if it is not known.
pub(super) fn activate(g: &mut Graph, name: &str, x: ValueId) -> Result<Option<ValueId>, gabor_graph::Error> {
    Ok(Some(match name {
        "relu" => g.relu(x)?,
        "relu6" => g.relu6(x)?,
        "leaky" => g.leaky_relu(x, 0.1)?,
        "relie" => g.leaky_relu(x, 0.01)?,
        "logistic" => g.sigmoid(x)?,
        "tanh" => g.tanh(x)?,
        "elu" => g.elu(x, 1.0)?,
        "swish" => g.silu(x)?,
        "hardtan" => g.clip(x, -1.0, 1.0)?,
        "loggy" => {
            let y = g.sigmoid(x)?;
            let y = g.scale(y, 2.0)?;
            g.shift(y, -1.0)?
        }
        "selu" => {
            let y = g.elu(x, 1.6732)?;
            g.scale(y, 1.0507)?
        }
        "ramp" => {
            let (rectified, tenth) = (g.relu(x)?, g.scale(x, 0.1)?);
            g.add(rectified, tenth)?
        }
        "mish" => {
            let soft = g.softplus(x)?;
            let t = g.tanh(soft)?;
            g.mul(x, t)?
        }
        // Two slopes that meet: a clipped line and the rest of the slope.
        "plse" => clipped(g, x, [-4.0, 4.0], 0.115, 0.01, 0.5)?,
        "lhtan" => clipped(g, x, [0.0, 1.0], 0.999, 0.001, 0.0)?,
        _ => return Ok(None),
    }))
}

/// `clip(x)·a + x·b + c`.
fn clipped(g: &mut Graph, x: ValueId, range: [f64; 2], a: f64, b: f64, c: f64) -> Result<ValueId, gabor_graph::Error> {
    let inner = g.clip(x, range[0], range[1])?;
    let (inner, outer) = (g.scale(inner, a)?, g.scale(x, b)?);
    let y = g.add(inner, outer)?;
    if c == 0.0 { Ok(y) } else { g.shift(y, c) }
}
