//! Layers with numbers: convolutional, connected and locally connected.

use super::cfg::Section;
use super::layers::{Builder, Norm, Output, inside};
use crate::Result;
use gabor_graph::{Initializer, Parameter};
use gabor_tensor::{Padding, Rule, WindowOptions};

impl Builder<'_> {
    pub(super) fn convolutional(&mut self, s: &Section<'_>, x: Output) -> Result<Output> {
        s.refuse(&[
            ("binary", "binary filters are not known"),
            ("xnor", "binary filters are not known"),
            ("flipped", "filters stored as [input, output] are not known"),
            ("antialiasing", "antialiased convolution is not known"),
            ("share_index", "filters shared between layers are not known"),
            ("deform", "deformed filters are not known"),
            ("rotate", "rotated filters are not known"),
            ("sway", "swaying filters are not known"),
            ("stretch", "stretched filters are not known"),
            ("stretch_sway", "stretched filters are not known"),
            ("assisted_excitation", "assisted excitation is not known"),
            ("coordconv", "coordinates as channels are not known"),
        ])?;
        s.ignore(&["steps", "reverse", "angle", "grad_centr"]);
        let (filters, size) = (s.positive("filters", 1)?, s.positive("size", 1)?);
        let (stride, groups) = (s.positive("stride", 1)?, s.positive("groups", 1)?);
        let (sy, sx) = (s.positive("stride_y", stride)?, s.positive("stride_x", stride)?);
        let dilation = s.positive("dilation", 1)?;
        let given = s.size("padding", 0)?;
        let pad = if s.flag("pad")? { size / 2 } else { given };
        if dilation > 1 && 2 * pad != size - 1 {
            let rule = Rule::new(format!("dilation {dilation} with size {size} and padding {pad}"));
            return Err(s.error_at("dilation", rule.right("pad=1 and an odd size")));
        }
        if !x.c.is_multiple_of(groups) || !filters.is_multiple_of(groups) {
            let rule = Rule::new(format!("{groups} groups of {} channels and {filters} filters", x.c));
            return Err(s.error(rule.right("a number that divides both")));
        }
        let normalised = s.flag("batch_normalize")?;
        self.convs += 1;
        let (name, bn) = (format!("conv{}", self.convs), format!("bn{}", self.convs));
        let norm = self.norm(normalised.then_some(&*bn), &format!("{name}.bias"), filters).map_err(|e| inside(s, e))?;
        let weight = Parameter::weight(Initializer::KaimingNormal { a: 0.0, fan_out: false });
        let w = self.parameter(&format!("{name}.weight"), &[filters, x.c / groups, size, size], weight);
        let w = w.map_err(|e| inside(s, e))?;
        let pad = pad.saturating_mul(dilation);
        let options = WindowOptions::default().stride(&[sy, sx]).dilation(&[dilation, dilation]);
        let options = options.padding(Padding::all(pad));
        self.g.scope(&*name);
        let image = self.image(x)?;
        let y = self.g.conv(image, w, groups, &options).map_err(|e| inside(s, e.into()))?;
        let value = self.apply(norm, y)?;
        let y = self.output_of(value);
        self.activation(s, "logistic", &format!("act{}", self.convs), y)
    }

    pub(super) fn connected(&mut self, s: &Section<'_>, x: Output) -> Result<Output> {
        let outputs = s.positive("output", 1)?;
        let inputs = x.c.saturating_mul(x.h).saturating_mul(x.w);
        let normalised = s.flag("batch_normalize")?;
        self.connected += 1;
        let name = format!("fc{}", self.connected);
        let flat = self.flat(x)?;
        let weight = Parameter::weight(Initializer::KaimingUniform { a: 1.0 });
        let weight_name = format!("{name}.weight");
        // Here the file has the biases first, then the matrix, then the rest of the batch normalisation.
        let bias_name = if normalised { format!("{name}_bn.bias") } else { format!("{name}.bias") };
        let bias = self.parameter(&bias_name, &[outputs], Parameter::bias(Initializer::Zeros));
        let bias = bias.map_err(|e| inside(s, e))?;
        if let Some(numbers) = &mut self.numbers {
            let t = numbers.matrix(&weight_name, outputs, inputs).map_err(|e| inside(s, e))?;
            self.weights.insert(&*weight_name, t);
        }
        let w = self.g.parameter(&weight_name, &[outputs, inputs], weight).map_err(|e| inside(s, e.into()))?;
        self.g.scope(&*name);
        let value = if normalised {
            let bn = format!("{name}_bn");
            let gamma = self.parameter(&format!("{bn}.weight"), &[outputs], Parameter::bias(Initializer::Ones))?;
            let mean =
                self.parameter(&format!("{bn}.running_mean"), &[outputs], Parameter::state(Initializer::Zeros))?;
            let var_name = format!("{bn}.running_var");
            if let Some(numbers) = &mut self.numbers {
                let t = numbers.variance(&var_name, outputs)?;
                self.weights.insert(&*var_name, t);
            }
            let var = self.g.parameter(&var_name, &[outputs], Parameter::state(Initializer::Ones))?;
            let y = self.g.linear(flat, w, None)?;
            self.apply(Norm::Batch(bn, [gamma, bias, mean, var]), y)?
        } else {
            self.g.linear(flat, w, Some(bias))?
        };
        self.activation(s, "logistic", &format!("fc{}_act", self.connected), Output { value, c: outputs, h: 1, w: 1 })
    }

    pub(super) fn local(&mut self, s: &Section<'_>, x: Output) -> Result<Output> {
        let (filters, size) = (s.positive("filters", 1)?, s.positive("size", 1)?);
        let (stride, pad) = (s.positive("stride", 1)?, s.flag("pad")?);
        if pad && size != 3 {
            let rule = Rule::new(format!("pad=1 with size={size}: Darknet itself computes sizes that do not agree"));
            return Err(s.error_at("pad", rule.right("size=3, or pad=0")));
        }
        self.locals += 1;
        let name = format!("local{}", self.locals);
        let options =
            WindowOptions::new(&[size, size]).stride(&[stride, stride]).padding(Padding::all(usize::from(pad)));
        let window = options.resolve(&[x.h, x.w]).map_err(|r| s.error(r))?;
        let (h, w) = (window.output()[0], window.output()[1]);
        let bias = self.parameter(&format!("{name}.bias"), &[filters, h, w], Parameter::bias(Initializer::Zeros));
        let bias = bias.map_err(|e| inside(s, e))?;
        let taps = x.c.saturating_mul(size).saturating_mul(size);
        let weight = Parameter::weight(Initializer::KaimingUniform { a: 1.0 });
        let weight = self.parameter(&format!("{name}.weight"), &[h.saturating_mul(w), filters, taps], weight);
        let weight = weight.map_err(|e| inside(s, e))?;
        self.g.scope(&*name);
        let image = self.image(x)?;
        let y = self.g.locally_connected(image, weight, &options).map_err(|e| inside(s, e.into()))?;
        let value = self.g.add(y, bias)?;
        self.activation(s, "logistic", &format!("{name}_act"), Output { value, c: filters, h, w })
    }
}
