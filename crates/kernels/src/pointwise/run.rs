//! The interpreter: one vector loop per instruction and block.

use super::{Access, BLOCK, Home, Instruction, MapKernel, math};
use crate::SharedMut;
use crate::blocked::LANES;
use crate::simd::{Kernel, Simd16};
use gabor_tensor::{Binary, Unary};

pub(super) struct Run<'a> {
    pub kernel: &'a MapKernel,
    pub from: usize,
    pub to: usize,
    pub inputs: &'a [*const f32],
    pub outputs: &'a [SharedMut<'a, f32>],
    pub scratch: &'a mut [f32],
}

/// A block of numbers: an address, and whether it advances.
#[derive(Clone, Copy)]
struct Source {
    start: *const f32,
    step: usize,
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        // SAFETY: the contract of `MapKernel::run`.
        unsafe {
            self.splats();
            let mut at = self.from;
            while at < self.to {
                let mut len = (self.to - at).min(BLOCK);
                if let Some(row) = self.kernel.row() {
                    len = len.min(row - at % row);
                }
                self.block::<S>(at, len);
                at += len;
            }
        }
    }
}

/// Applies `$body` to every vector of a block.
macro_rules! each {
    ($S:ident, $len:ident, $to:ident, |$($v:ident: $from:ident),+| $body:expr) => {{
        let mut i = 0;
        while i + 16 <= $len {
            $(let $v = $S::load($from.start.add(i * $from.step));)+
            $S::store($to.add(i), $body);
            i += 16;
        }
        if i < $len {
            let m = $len - i;
            $(let $v = if $from.step == 0 { $S::load($from.start) } else { $S::load_part($from.start.add(i), m) };)+
            $S::store_part($to.add(i), $body, m);
        }
    }};
}

impl Run<'_> {
    /// Start of the sixteen equal numbers of that index, behind the registers.
    fn splat_at(&self, i: usize) -> usize {
        self.kernel.registers * BLOCK + i * 16
    }

    /// Fills in constants and scalar inputs, once per task.
    unsafe fn splats(&self) {
        for (step, home) in self.kernel.program.instructions.iter().zip(&self.kernel.homes) {
            let Home::Splat(s) = *home else { continue };
            let v = match *step {
                Instruction::Constant(c) => c,
                // SAFETY: a scalar input has one element.
                Instruction::Load(k) if self.kernel.access[k] == Access::Scalar => unsafe { *self.inputs[k] },
                _ => continue,
            };
            let start = self.splat_at(s);
            // SAFETY: the scratch memory is as long as `scratch_len` says, which was checked, and belongs to this call.
            unsafe { std::slice::from_raw_parts_mut(self.scratch.as_ptr().cast_mut().add(start), 16) }.fill(v);
        }
    }

    /// Address of a value's block.
    unsafe fn place(&self, i: usize, at: usize) -> *mut f32 {
        // SAFETY: inside the scratch memory, an input with full access, or an output; lengths were checked.
        unsafe {
            match self.kernel.homes[i] {
                // An input of which only a part is there starts outside of it.
                Home::Input(k) => self.inputs[k].wrapping_add(at).cast_mut(),
                Home::Output(o) => self.outputs[o].as_ptr().add(at),
                Home::Register(r) => self.scratch.as_ptr().cast_mut().add(r * BLOCK),
                Home::Splat(s) => self.scratch.as_ptr().cast_mut().add(self.splat_at(s)),
            }
        }
    }

    unsafe fn source(&self, i: usize, at: usize) -> Source {
        let step = usize::from(!matches!(self.kernel.homes[i], Home::Splat(_)));
        // SAFETY: as `place`.
        Source { start: unsafe { self.place(i, at) }, step }
    }

    #[inline(always)]
    unsafe fn block<S: Simd16>(&self, at: usize, len: usize) {
        let program = &self.kernel.program;
        // SAFETY: places are valid for `len` elements from `at`, see `place`.
        unsafe {
            for (i, step) in program.instructions.iter().enumerate() {
                let to = self.place(i, at);
                match *step {
                    Instruction::Constant(_) => {}
                    Instruction::Load(k) => {
                        let len = if matches!(self.kernel.homes[i], Home::Splat(_)) { LANES } else { len };
                        self.spread(self.kernel.access[k], self.inputs[k], at, len, to);
                    }
                    Instruction::Unary(f, a) => unary::<S>(f, self.source(a, at), len, to),
                    Instruction::Binary(f, a, b) => {
                        let exponent = match program.instructions[b] {
                            Instruction::Constant(c) => Some(c),
                            _ => None,
                        };
                        let (a, b) = (self.source(a, at), self.source(b, at));
                        match (f, exponent) {
                            (Binary::Pow, Some(c)) if quarters(c).is_some() => constant_power::<S>(a, c, len, to),
                            _ => binary::<S>(f, a, b, len, to),
                        }
                    }
                }
            }
            for (o, &i) in program.outputs.iter().enumerate() {
                let to = self.outputs[o].as_ptr().add(at);
                let from = self.source(i, at);
                if from.start != to {
                    each!(S, len, to, |a: from| a);
                }
                if self.kernel.clear {
                    self.clear::<S>(at, len, to);
                }
            }
        }
    }

    /// Writes the numbers of a channel or a repeating row that belong to a block.
    #[inline(always)]
    unsafe fn spread(&self, access: Access, from: *const f32, at: usize, len: usize, to: *mut f32) {
        if matches!(access, Access::Full | Access::Scalar) {
            return;
        }
        // SAFETY: a register has `BLOCK ≥ len` elements.
        let to = unsafe { std::slice::from_raw_parts_mut(to, len) };
        let mut done = 0;
        while done < len {
            match access {
                Access::Channel { channels, inner } => {
                    let e = at + done;
                    let run = (inner - e % inner).min(len - done);
                    // SAFETY: below the number of channels.
                    to[done..done + run].fill(unsafe { *from.add(e / inner % channels) });
                    done += run;
                }
                Access::Row { period } => {
                    let start = (at + done) % period;
                    let run = (period - start).min(len - done);
                    // SAFETY: inside the row.
                    to[done..done + run].copy_from_slice(unsafe { std::slice::from_raw_parts(from.add(start), run) });
                    done += run;
                }
                Access::Lanes { images } => {
                    let Some(e) = self.kernel.blocked else { return };
                    let (row, from_pixel) = ((at + done) / LANES / e.plane, (at + done) / LANES % e.plane);
                    let (image, block) = (row / e.blocks(), row % e.blocks());
                    let run = ((e.plane - from_pixel) * LANES).min(len - done);
                    let first = if images { image * e.c } else { 0 } + block * LANES;
                    let mut lanes = [0.0; LANES];
                    // SAFETY: the channels of the block.
                    lanes[..e.lanes(block)]
                        .copy_from_slice(unsafe { std::slice::from_raw_parts(from.add(first), e.lanes(block)) });
                    for to in to[done..done + run].as_chunks_mut::<LANES>().0 {
                        *to = lanes;
                    }
                    done += run;
                }
                Access::Full | Access::Scalar => return,
            }
        }
    }

    /// Sets the lanes beyond the channels to zero, in the output's block at `to`.
    #[inline(always)]
    unsafe fn clear<S: Simd16>(&self, at: usize, len: usize, to: *mut f32) {
        let Some(e) = self.kernel.blocked else { return };
        let mut done = 0;
        while done < len {
            let (row, from_pixel) = ((at + done) / LANES / e.plane, (at + done) / LANES % e.plane);
            let run = ((e.plane - from_pixel) * LANES).min(len - done);
            if row % e.blocks() == e.blocks() - 1 {
                for v in (done..done + run).step_by(LANES) {
                    // SAFETY: whole vectors of the block.
                    unsafe { S::store(to.add(v), S::load_part(to.add(v), e.c % LANES)) };
                }
            }
            done += run;
        }
    }
}

#[inline(always)]
unsafe fn unary<S: Simd16>(f: Unary, x: Source, len: usize, to: *mut f32) {
    // SAFETY: the caller gives valid places of `len` elements.
    unsafe {
        let (zero, one) = (S::zero(), S::splat(1.0));
        let sign = S::bits(0x8000_0000);
        match f {
            Unary::Neg => each!(S, len, to, |a: x| S::xor(a, sign)),
            Unary::Abs => each!(S, len, to, |a: x| S::and(a, S::bits(0x7FFF_FFFF))),
            Unary::Sign => each!(S, len, to, |a: x| {
                let negative = S::select(S::gt(zero, a), S::splat(-1.0), a);
                S::select(S::gt(a, zero), one, negative)
            }),
            Unary::Step => each!(S, len, to, |a: x| S::select(S::gt(a, zero), one, zero)),
            Unary::Exp => each!(S, len, to, |a: x| math::exp::<S>(a)),
            Unary::Log => each!(S, len, to, |a: x| math::log::<S>(a)),
            Unary::Log1p => each!(S, len, to, |a: x| math::log1p::<S>(a)),
            Unary::Sqrt => each!(S, len, to, |a: x| S::sqrt(a)),
            Unary::Recip => each!(S, len, to, |a: x| S::div(one, a)),
            Unary::Square => each!(S, len, to, |a: x| S::mul(a, a)),
            Unary::Sigmoid => each!(S, len, to, |a: x| math::sigmoid::<S>(a)),
            Unary::Tanh => each!(S, len, to, |a: x| math::tanh::<S>(a)),
            // A NaN stays: `max` gives its second argument where one is NaN.
            Unary::Relu => each!(S, len, to, |a: x| S::max(zero, a)),
            Unary::Erf => each!(S, len, to, |a: x| math::erf::<S>(a)),
            Unary::Sin | Unary::Cos => each!(S, len, to, |a: x| math::by_lane::<S>(a, |v| f.eval(v))),
        }
    }
}

#[inline(always)]
unsafe fn binary<S: Simd16>(f: Binary, x: Source, y: Source, len: usize, to: *mut f32) {
    // SAFETY: the caller gives valid places of `len` elements.
    unsafe {
        let (zero, one) = (S::zero(), S::splat(1.0));
        match f {
            Binary::Add => each!(S, len, to, |a: x, b: y| S::add(a, b)),
            Binary::Sub => each!(S, len, to, |a: x, b: y| S::sub(a, b)),
            Binary::Mul => each!(S, len, to, |a: x, b: y| S::mul(a, b)),
            Binary::Div => each!(S, len, to, |a: x, b: y| S::div(a, b)),
            Binary::Max => each!(S, len, to, |a: x, b: y| S::select(S::is_nan(a), a, S::max(a, b))),
            Binary::Min => each!(S, len, to, |a: x, b: y| S::select(S::is_nan(a), a, S::min(a, b))),
            Binary::Pow => each!(S, len, to, |a: x, b: y| math::pow::<S>(a, b)),
            Binary::Greater => each!(S, len, to, |a: x, b: y| S::select(S::gt(a, b), one, zero)),
            Binary::Equal => each!(S, len, to, |a: x, b: y| S::select(S::eq(a, b), one, zero)),
            Binary::Gate => each!(S, len, to, |a: x, b: y| S::select(S::gt(b, zero), a, zero)),
        }
    }
}

/// An exponent as quarters, if it is a whole number of them and small: then powers are products of roots.
fn quarters(c: f32) -> Option<u32> {
    let q = c.abs() * 4.0;
    (q == q.trunc() && (1.0..=16.0).contains(&q)).then_some(q as u32)
}

/// x^c for an exponent of whole quarters, as local response normalisation has it.
#[inline(always)]
unsafe fn constant_power<S: Simd16>(x: Source, c: f32, len: usize, to: *mut f32) {
    let Some(q) = quarters(c) else { return };
    // SAFETY: the caller gives valid places of `len` elements.
    unsafe {
        let one = S::splat(1.0);
        each!(S, len, to, |a: x| {
            let root = S::sqrt(a);
            let mut y = match q % 4 {
                0 => one,
                1 => S::sqrt(root),
                2 => root,
                _ => S::mul(root, S::sqrt(root)),
            };
            let mut k = 0;
            while k < q / 4 {
                y = S::mul(y, a);
                k += 1;
            }
            if c < 0.0 { S::div(one, y) } else { y }
        });
    }
}
