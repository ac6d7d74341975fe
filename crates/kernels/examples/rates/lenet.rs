//! A training step of LeNet-5: forward, backward and the update by gradient descent, without the loss.

use crate::run::{Buffer, Program};
use gabor_kernels::pointwise::{Access, Instruction, MapKernel, Program as Map};
use gabor_kernels::{
    ConvFilterGradKernel, ConvKernel, Epilogue, Isa, MatMul, MatMulKernel, MaxPoolKernel, MaxUnpoolKernel,
    ReduceKernel, SoftmaxKernel,
};
use gabor_tensor::{Binary, ConvGeometry, Padding, Reduction, Window, WindowOptions};
use std::sync::Arc;

/// Buffers live as long as the process.
fn buffer(len: usize) -> &'static Buffer {
    Box::leak(Box::new(Buffer::new(len)))
}

struct Net {
    program: Program<'static>,
    isa: Isa,
}

/// A weight, its bias and the gradients of both.
#[derive(Clone, Copy)]
struct Layer {
    w: &'static Buffer,
    b: &'static Buffer,
    dw: &'static Buffer,
    db: &'static Buffer,
}

impl Layer {
    fn new(w: usize, b: usize) -> Self {
        Layer { w: buffer(w), b: buffer(b), dw: buffer(w), db: buffer(b) }
    }
}

impl Net {
    fn conv(&mut self, g: &ConvGeometry, n: usize, x: &'static Buffer, l: Layer) -> &'static Buffer {
        let y = buffer(g.output_shape(n).iter().product());
        let k = Arc::new(ConvKernel::forward(g, n, self.isa).expect("two dimensions"));
        self.program.add(&*k.clone(), move |_, task, _, scratch| {
            let e = Epilogue { bias: Some(l.b.read()), relu: true, ..Default::default() };
            // SAFETY: the program keeps phases and kernels apart; so below.
            unsafe { k.run(task, x.read(), l.w.read(), e, y.shared(), scratch) }
        });
        y
    }
    fn conv_grad(&mut self, g: &ConvGeometry, n: usize, x: &'static Buffer, dy: &'static Buffer, l: Layer) {
        let k = Arc::new(ConvFilterGradKernel::new(g, n, self.isa).expect("two dimensions"));
        self.program.add(&*k.clone(), move |phase, task, workspace, scratch| {
            // SAFETY: see above.
            unsafe { k.run(phase, task, x.read(), dy.read(), l.dw.shared(), workspace, scratch) }
        });
        self.reduce(&[n, g.co, g.window.output_len()], &[0, 2], dy, l.db);
    }
    fn conv_dx(&mut self, g: &ConvGeometry, n: usize, dy: &'static Buffer, l: Layer) -> &'static Buffer {
        let dx = buffer(g.input_shape(n).iter().product());
        let k = Arc::new(ConvKernel::input_grad(g, n, self.isa).expect("two dimensions"));
        self.program.add(&*k.clone(), move |_, task, _, scratch| {
            // SAFETY: see above.
            unsafe { k.run(task, dy.read(), l.w.read(), Epilogue::default(), dx.shared(), scratch) }
        });
        dx
    }
    fn pool(&mut self, w: &Window, planes: usize, x: &'static Buffer) -> (&'static Buffer, &'static Buffer<i32>) {
        let y = buffer(planes * w.output_len());
        let switches: &'static Buffer<i32> = Box::leak(Box::new(Buffer::new(planes * w.output_len())));
        let k = Arc::new(MaxPoolKernel::new(w, planes, self.isa).expect("two dimensions"));
        self.program.add(&*k.clone(), move |_, task, _, scratch| {
            // SAFETY: see above.
            unsafe { k.run(task, x.read(), y.shared(), switches.shared(), scratch) }
        });
        (y, switches)
    }
    fn unpool(&mut self, w: &Window, planes: usize, dy: &'static Buffer, s: &'static Buffer<i32>) -> &'static Buffer {
        let dx = buffer(planes * w.input_len());
        let k = Arc::new(MaxUnpoolKernel::new(w, planes, self.isa));
        self.program.add(&*k.clone(), move |_, task, _, _| {
            // SAFETY: see above.
            unsafe { k.run(task, dy.read(), s.read(), dx.shared()) }
        });
        dx
    }
    fn product(
        &mut self,
        p: MatMul,
        a: &'static Buffer,
        b: &'static Buffer,
        c: &'static Buffer,
        e: Option<(Layer, bool)>,
    ) {
        let k = Arc::new(MatMulKernel::new(p, self.isa));
        self.program.add(&*k.clone(), move |phase, task, workspace, scratch| {
            let e = e.map_or(Epilogue::default(), |(l, relu)| Epilogue {
                bias: Some(l.b.read()),
                relu,
                ..Default::default()
            });
            // SAFETY: see above.
            unsafe { k.run(phase, task, a.read(), b.read(), e, c.shared(), workspace, scratch) }
        });
    }
    fn reduce(&mut self, shape: &[usize], axes: &[usize], x: &'static Buffer, y: &'static Buffer) {
        let k = Arc::new(ReduceKernel::new(Reduction::Sum, shape, axes, self.isa).expect("a sum over two runs"));
        self.program.add(&*k.clone(), move |phase, task, workspace, _| {
            // SAFETY: see above.
            unsafe { k.run(phase, task, x.read(), y.shared(), workspace) }
        });
    }
    /// `to = f(a, b)`, or `to = a − 0.01·b` without a function.
    fn map(&mut self, f: Option<Binary>, a: &'static Buffer, b: &'static Buffer, to: &'static Buffer) {
        use Instruction::{Binary as Two, Constant, Load};
        let map = match f {
            Some(f) => Map { instructions: vec![Load(0), Load(1), Two(f, 0, 1)], outputs: vec![2] },
            None => Map {
                instructions: vec![Load(0), Load(1), Constant(0.01), Two(Binary::Mul, 1, 2), Two(Binary::Sub, 0, 3)],
                outputs: vec![4],
            },
        };
        let k = Arc::new(MapKernel::new(map, vec![Access::Full; 2], to.read().len(), self.isa));
        self.program.add(&*k.clone(), move |_, task, _, scratch| {
            let inputs = [a.read().as_ptr(), b.read().as_ptr()];
            // SAFETY: see above; inputs and output are equally long.
            unsafe { k.run(task, &inputs, &[to.shared()], scratch) }
        });
    }
}

/// Measures a step with `n` images.
pub fn step(n: usize, isa: Isa, threads: usize) {
    let geometry = |ci, co, size, pad| {
        let o = WindowOptions::new(&[]).padding(Padding::all(pad));
        ConvGeometry::new(ci, &[size; 2], &[co, ci, 5, 5], 1, &o).expect("a geometry")
    };
    let window = |size| WindowOptions::new(&[2, 2]).stride(&[2]).resolve(&[size; 2]).expect("a window");
    let (g1, g2, w1, w2) = (geometry(1, 6, 28, 2), geometry(6, 16, 14, 0), window(28), window(10));
    let mut net = Net { program: Program::default(), isa };
    let (c1, c2) = (Layer::new(150, 6), Layer::new(2400, 16));
    let sizes = [400, 120, 84, 10];
    let fc: Vec<Layer> = (0..3).map(|i| Layer::new(sizes[i] * sizes[i + 1], sizes[i + 1])).collect();
    let x = buffer(n * 784);
    let y1 = net.conv(&g1, n, x, c1);
    let (p1, s1) = net.pool(&w1, n * 6, y1);
    let y2 = net.conv(&g2, n, p1, c2);
    let (p2, s2) = net.pool(&w2, n * 16, y2);
    let mut values = vec![p2];
    for i in 0..3 {
        let y = buffer(n * sizes[i + 1]);
        let p = MatMul { transpose_b: true, ..MatMul::new(n, sizes[i + 1], sizes[i]) };
        net.product(p, values[i], fc[i].w, y, Some((fc[i], i < 2)));
        values.push(y);
    }
    let (logits, probabilities) = (values[3], buffer(n * 10));
    let k = Arc::new(SoftmaxKernel::new(&[n, 10], 1, false, isa));
    net.program.add(&*k.clone(), move |_, task, _, scratch| {
        // SAFETY: see above.
        unsafe { k.run(task, logits.read(), probabilities.shared(), scratch) }
    });
    let mut dy = probabilities;
    for i in (0..3).rev() {
        let (a, b) = (sizes[i], sizes[i + 1]);
        net.product(MatMul { transpose_a: true, ..MatMul::new(b, a, n) }, dy, values[i], fc[i].dw, None);
        net.reduce(&[n, b], &[0], dy, fc[i].db);
        let dx = buffer(n * a);
        net.product(MatMul::new(n, a, b), dy, fc[i].w, dx, None);
        if i > 0 {
            net.map(Some(Binary::Gate), dx, values[i], dx);
        }
        dy = dx;
    }
    let dy2 = net.unpool(&w2, n * 16, dy, s2);
    net.map(Some(Binary::Gate), dy2, y2, dy2);
    net.conv_grad(&g2, n, p1, dy2, c2);
    let dp1 = net.conv_dx(&g2, n, dy2, c2);
    let dy1 = net.unpool(&w1, n * 6, dp1, s1);
    net.map(Some(Binary::Gate), dy1, y1, dy1);
    net.conv_grad(&g1, n, x, dy1, c1);
    for l in [c1, c2].into_iter().chain(fc) {
        net.map(None, l.w, l.dw, l.w);
        net.map(None, l.b, l.db, l.b);
    }
    net.program.report(&format!("lenet step n={n}"), threads, 0.0);
}
