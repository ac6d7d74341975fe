//! Layers without numbers: pooling, softmax, and what joins or moves other layers' outputs.

use super::cfg::Section;
use super::layers::{Builder, Output};
use crate::Result;
use gabor_tensor::{Binary, Padding, PoolDivisor, Rule, Shape, Unary, WindowOptions};

impl Builder<'_> {
    /// Padding is one number for both sides: half of it, rounded down, stands before. By default it is `size - 1`.
    pub(super) fn maxpool(&mut self, s: &Section<'_>, x: Output, index: usize) -> Result<Output> {
        s.refuse(&[
            ("maxpool_depth", "pooling over channels is not known"),
            ("antialiasing", "antialiased pooling is not known"),
        ])?;
        s.ignore(&["out_channels"]);
        let stride = s.positive("stride", 1)?;
        let (sy, sx) = (s.positive("stride_y", stride)?, s.positive("stride_x", stride)?);
        let size = s.positive("size", stride)?;
        let padding = s.size("padding", size - 1)?;
        let pads = Padding::Explicit(vec![(padding / 2, padding - padding / 2)]);
        let options = WindowOptions::new(&[size, size]).stride(&[sy, sx]).padding(pads);
        self.named(s, index, |b| {
            let v = b.image(x)?;
            let value = b.g.max_pool(v, &options)?;
            Ok(b.output_of(value))
        })
    }

    pub(super) fn softmax(&mut self, s: &Section<'_>, x: Output, index: usize) -> Result<Output> {
        s.refuse(&[("tree", "a hierarchy of classes, which stands in another file, is not known")])?;
        s.ignore(&["noloss"]);
        let groups = s.positive("groups", 1)?;
        let (temperature, spatial) = (s.float("temperature", 1.0)?, s.float("spatial", 0.0)? != 0.0);
        let all = x.c.saturating_mul(x.h).saturating_mul(x.w);
        if temperature <= 0.0 {
            return Err(s.error_at("temperature", Rule::new(format!("it is {temperature}")).right("more than 0")));
        }
        if !all.is_multiple_of(groups) {
            let rule = Rule::new(format!("{groups} groups of {all} numbers"));
            return Err(s.error_at("groups", rule.right("a number that divides them")));
        }
        self.named(s, index, |b| {
            let mut v = if spatial { b.image(x)? } else { b.flat(x)? };
            if temperature != 1.0 {
                v = b.g.scale(v, 1.0 / temperature)?;
            }
            if spatial {
                return Ok(Output { value: b.g.softmax(v, 1)?, ..x });
            }
            let flat = Output { value: v, c: all, h: 1, w: 1 };
            if groups == 1 {
                return Ok(Output { value: b.g.softmax(v, 1)?, ..flat });
            }
            let v = b.g.reshape(v, &Shape::batch(&[groups, all / groups]))?;
            let v = b.g.softmax(v, 2)?;
            Ok(Output { value: b.g.reshape(v, &Shape::batch(&[all]))?, ..flat })
        })
    }

    /// `alpha · x + beta · from`, over the channels that both have; of a larger layer, every second element or so.
    pub(super) fn shortcut(&mut self, s: &Section<'_>, x: Output, index: usize) -> Result<Output> {
        s.refuse(&[("weights_type", "weighted shortcuts are not known")])?;
        s.ignore(&["weights_normalization"]);
        let from = s.layers("from", index)?;
        let (alpha, beta) = (s.float("alpha", 1.0)?, s.float("beta", 1.0)?);
        let y = self.named(s, index, |b| {
            let mut value = b.image(x)?;
            for &i in &from {
                let other = b.outputs[i];
                let step = other.w / x.w;
                if step == 0 || step != other.h / x.h {
                    let rule = Rule::new(format!(
                        "{} × {} and layer {i} is {} × {}: a shortcut to larger extents is not known",
                        x.h, x.w, other.h, other.w
                    ));
                    return Err(s.error_at("from", rule.right("a layer whose extents are as large, or a multiple")));
                }
                let common = x.c.min(other.c);
                let mut image = b.image(other)?;
                if (other.h, other.w) != (x.h, x.w) {
                    // Every so many elements, from the first.
                    image = b.g.slice(image, 2, 0, x.h * step, step)?;
                    image = b.g.slice(image, 3, 0, x.w * step, step)?;
                }
                let add = if other.c > common { b.g.slice(image, 1, 0, common, 1)? } else { image };
                let add = if beta != 1.0 { b.g.scale(add, beta)? } else { add };
                let own = if x.c > common { b.g.slice(value, 1, 0, common, 1)? } else { value };
                let own = if alpha != 1.0 { b.g.scale(own, alpha)? } else { own };
                let sum = b.g.add(own, add)?;
                value = if x.c > common {
                    let rest = b.g.slice(value, 1, common, x.c, 1)?;
                    b.g.concat(&[sum, rest], 1)?
                } else {
                    sum
                };
            }
            Ok(Output { value, ..x })
        })?;
        self.activation(s, "linear", &format!("act_{index}"), y)
    }

    pub(super) fn route(&mut self, s: &Section<'_>, index: usize) -> Result<Output> {
        let layers = s.layers("layers", index)?;
        let (groups, group) = (s.positive("groups", 1)?, s.size("group_id", 0)?);
        if group >= groups {
            let rule = Rule::new(format!("group {group} of {groups}")).right(format!("0 to {}", groups - 1));
            return Err(s.error_at("group_id", rule));
        }
        let Some(&first) = layers.first() else {
            return Err(s.error_at("layers", Rule::new("no layers").right("at least one")));
        };
        let first = self.outputs[first];
        self.named(s, index, |b| {
            let mut parts = Vec::new();
            let mut c = 0usize;
            for &i in &layers {
                let from = b.outputs[i];
                if (from.h, from.w) != (first.h, first.w) || !from.c.is_multiple_of(groups) {
                    let rule = Rule::new(format!(
                        "layer {i} is {} × {} × {}, beside {} × {} in {groups} groups",
                        from.c, from.h, from.w, first.h, first.w
                    ));
                    return Err(s.error_at("layers", rule.right("equal height and width, channels in whole groups")));
                }
                let share = from.c / groups;
                let mut v = b.image(from)?;
                if groups > 1 {
                    v = b.g.slice(v, 1, group * share, (group + 1) * share, 1)?;
                }
                parts.push(v);
                c = c.saturating_add(share);
            }
            let value = if parts.len() == 1 { parts[0] } else { b.g.concat(&parts, 1)? };
            Ok(Output { value, c, ..first })
        })
    }

    /// Darknet takes the input's memory for an image of fewer channels and more pixels; YOLOv2's weights rely on it.
    pub(super) fn reorg(&mut self, s: &Section<'_>, x: Output, index: usize) -> Result<Output> {
        s.refuse(&[
            ("flatten", "the flattening form of [reorg] is not known"),
            ("extra", "the appending form of [reorg] is not known"),
        ])?;
        let (k, reverse) = (s.positive("stride", 1)?, s.flag("reverse")?);
        let square = k.saturating_mul(k);
        let fits = x.c.is_multiple_of(square) && (reverse || x.h.is_multiple_of(k) && x.w.is_multiple_of(k));
        if !fits {
            let rule = Rule::new(format!("stride {k} of {} × {} × {}", x.c, x.h, x.w));
            return Err(s.error_at("stride", rule.right("channels in multiples of stride², extents of stride")));
        }
        let (c, h, w) = (x.c / square, x.h, x.w);
        self.named(s, index, |b| {
            let v = b.image(x)?;
            if reverse {
                let v = b.g.reshape(v, &Shape::batch(&[k, k, c, h, w]))?;
                let v = b.g.transpose(v, &[0, 3, 4, 1, 5, 2])?;
                let value = b.g.reshape(v, &Shape::batch(&[c, h * k, w * k]))?;
                return Ok(Output { value, c, h: h * k, w: w * k });
            }
            let v = b.g.reshape(v, &Shape::batch(&[c, h, k, w, k]))?;
            let v = b.g.transpose(v, &[0, 3, 5, 1, 2, 4])?;
            let shape = [x.c.saturating_mul(square), h / k, w / k];
            let value = b.g.reshape(v, &Shape::batch(&shape))?;
            Ok(Output { value, c: shape[0], h: shape[1], w: shape[2] })
        })
    }

    /// The centre, and values from [0, 1] brought to [-1, 1].
    pub(super) fn crop(&mut self, s: &Section<'_>, x: Output, index: usize) -> Result<Output> {
        s.ignore(&["flip", "angle", "saturation", "exposure", "shift"]);
        let (h, w) = (s.positive("crop_height", 1)?, s.positive("crop_width", 1)?);
        let adjust = !s.flag("noadjust")?;
        if h > x.h || w > x.w {
            let rule = Rule::new(format!("a crop of {h} × {w} from {} × {}", x.h, x.w));
            return Err(s.error(rule.right("at most that")));
        }
        self.named(s, index, |b| {
            let mut v = b.image(x)?;
            for (axis, (have, want)) in [(2, (x.h, h)), (3, (x.w, w))] {
                let at = (have - want) / 2;
                if have > want {
                    v = b.g.slice(v, axis, at, at + want, 1)?;
                }
            }
            if adjust {
                v = b.g.scale(v, 2.0)?;
                v = b.g.shift(v, -1.0)?;
            }
            Ok(Output { value: v, c: x.c, h, w })
        })
    }

    /// Darknet begins its running sum one channel short: the square of channel `size/2` is missing everywhere. Networks
    /// were trained that way, so it is computed that way.
    pub(super) fn normalization(&mut self, s: &Section<'_>, x: Output, index: usize) -> Result<Output> {
        let (alpha, beta, kappa) = (s.float("alpha", 1e-4)?, s.float("beta", 0.75)?, s.float("kappa", 1.0)?);
        let size = s.positive("size", 5)?;
        self.named(s, index, |b| {
            let v = b.image(x)?;
            let square = b.g.unary(Unary::Square, v)?;
            let plane = x.h.saturating_mul(x.w);
            let rows = b.g.reshape(square, &Shape::batch(&[1, x.c, plane]))?;
            let pads = Padding::Explicit(vec![((size - 1) / 2, size / 2), (0, 0)]);
            let window = WindowOptions::new(&[size, 1]).padding(pads);
            let sum = b.g.avg_pool_with(rows, &window, PoolDivisor::One)?;
            let mut sum = b.g.reshape(sum, &Shape::batch(&[x.c, x.h, x.w]))?;
            if size / 2 < x.c {
                let missing = b.g.slice(square, 1, size / 2, size / 2 + 1, 1)?;
                sum = b.g.sub(sum, missing)?;
            }
            let sum = b.g.scale(sum, alpha)?;
            let sum = b.g.shift(sum, kappa)?;
            let power = b.g.number(-beta);
            let factor = b.g.binary(Binary::Pow, sum, power)?;
            Ok(Output { value: b.g.mul(v, factor)?, ..x })
        })
    }

    /// Another layer's channels times numbers of this one: one per channel, or one per pixel.
    pub(super) fn scale_channels(&mut self, s: &Section<'_>, x: Output, index: usize) -> Result<Output> {
        let from = self.one_layer(s, index)?;
        let by_pixel = s.flag("scale_wh")?;
        let right = if by_pixel { (1, from.h, from.w) } else { (from.c, 1, 1) };
        if (x.c, x.h, x.w) != right {
            let rule = Rule::new(format!("factors of {} × {} × {}", x.c, x.h, x.w));
            return Err(s.error(rule.right(format!("{} × {} × {}", right.0, right.1, right.2))));
        }
        let y = self.named(s, index, |b| {
            let (factors, image) = (b.image(x)?, b.image(from)?);
            Ok(Output { value: b.g.mul(image, factors)?, ..from })
        })?;
        self.activation(s, "linear", &format!("act_{index}"), y)
    }
}
