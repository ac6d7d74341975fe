//! The order in which nodes run.

use gabor_graph::{Graph, Phase, Source, ValueId};

/// A gradient of that many bytes is large,
const LARGE: usize = 4 << 20;
/// and made of little if it takes that many times the memory of what it is made of.
const MANIFOLD: usize = 8;

/// An order of the nodes in which a parameter's update runs as soon as it can: when its gradient is there and nothing of
/// the network or its backward pass reads the old value any more. Gradients then do not live until the end of the step.
/// A large gradient that is made of little, as that of a fully connected layer, is made at the end, when the feature maps
/// are gone. All other nodes stay in their order.
pub(crate) fn updates_early(graph: &Graph, n: usize) -> Vec<usize> {
    let nodes = graph.nodes();
    let maker = |v: ValueId| match graph.value(v).source {
        Source::Node(n, _) => Some(n.0 as usize),
        _ => None,
    };
    let is_update = |i: usize| nodes[i].phase == Phase::Update;
    let bytes = |ids: &[ValueId]| ids.iter().map(|&v| graph.shape(v).len_at(n) * 4).sum::<usize>();
    let mut read_outside = vec![false; graph.values().len()];
    for v in (0..nodes.len()).filter(|&i| !is_update(i)).flat_map(|i| &nodes[i].inputs) {
        read_outside[v.0 as usize] = true;
    }
    let is_late = |i: usize| {
        let (node, made) = (&nodes[i], bytes(&nodes[i].outputs));
        let for_updates = node.phase == Phase::Backward && !node.outputs.iter().any(|o| read_outside[o.0 as usize]);
        for_updates && made >= LARGE && made >= MANIFOLD * bytes(&node.inputs)
    };
    // Nodes outside the update, in their new order, and where they stand in it.
    let (late, mut sequence): (Vec<usize>, Vec<usize>) =
        (0..nodes.len()).filter(|&i| !is_update(i)).partition(|&i| is_late(i));
    sequence.extend(late);
    let mut place = vec![0; nodes.len()];
    for (at, &i) in sequence.iter().enumerate() {
        place[i] = at;
    }
    // The place of the last of them that reads each value.
    let mut last_reader = vec![None; graph.values().len()];
    for (at, &i) in sequence.iter().enumerate() {
        for v in &nodes[i].inputs {
            last_reader[v.0 as usize] = Some(at);
        }
    }
    // Nodes of the update that a node needs, itself included, in order; and the place of the last one outside.
    let cone = |root: usize| {
        let (mut inside, mut outside) = (std::collections::BTreeSet::new(), None);
        let mut stack = vec![root];
        while let Some(i) = stack.pop() {
            if inside.insert(i) {
                for m in nodes[i].inputs.iter().filter_map(|&v| maker(v)) {
                    if is_update(m) { stack.push(m) } else { outside = outside.max(Some(place[m])) }
                }
            }
        }
        (inside, outside)
    };
    let mut ready = vec![Vec::new(); sequence.len()];
    for &(parameter, v) in graph.updates() {
        let Some(root) = maker(v).filter(|&i| is_update(i)) else { continue };
        let (inside, outside) = cone(root);
        if let Some(at) = outside.max(last_reader[parameter.0 as usize]) {
            ready[at].push(inside);
        }
    }
    let mut order = Vec::with_capacity(nodes.len());
    let mut done = vec![false; nodes.len()];
    let mut emit = |i: usize| {
        if !std::mem::replace(&mut done[i], true) {
            order.push(i);
        }
    };
    for (at, &i) in sequence.iter().enumerate() {
        for m in nodes[i].inputs.iter().filter_map(|&v| maker(v)).filter(|&m| is_update(m)) {
            cone(m).0.into_iter().for_each(&mut emit);
        }
        emit(i);
        ready[at].iter().flatten().copied().for_each(&mut emit);
    }
    (0..nodes.len()).for_each(emit);
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_graph::{Initializer, Parameter};
    use gabor_tensor::{DType, Shape, Unary};

    #[test]
    fn updates_follow_their_gradients() {
        let mut g = Graph::new("two layers");
        let x = g.input("x", Shape::fixed(&[4]), DType::F32).unwrap();
        let p = |g: &mut Graph, n: &str| g.parameter(n, &[4], Parameter::weight(Initializer::Zeros)).unwrap();
        let (a, b) = (p(&mut g, "a"), p(&mut g, "b"));
        g.set_phase(Phase::Backward);
        let gradient_b = g.mul(x, x).unwrap(); // 0
        let through = g.mul(gradient_b, b).unwrap(); // 1: the last that reads b
        let gradient_a = g.unary(Unary::Exp, through).unwrap(); // 2
        let rest = g.unary(Unary::Sqrt, gradient_a).unwrap(); // 3
        g.set_phase(Phase::Update);
        let step = g.scale(a, 0.1).unwrap(); // 4
        let new_a = g.sub(step, gradient_a).unwrap(); // 5
        let new_b = g.sub(b, gradient_b).unwrap(); // 6
        let norm = g.add(gradient_a, rest).unwrap(); // 7
        g.update(a, new_a).unwrap();
        g.update(b, new_b).unwrap();
        g.output("norm", norm);
        assert_eq!(updates_early(&g, 1), [0, 1, 6, 2, 4, 5, 3, 7]);
    }

    #[test]
    fn large_gradients_of_little_come_last() {
        let mut g = Graph::new("fully connected");
        let x = g.input("x", Shape::batch(&[2000]), DType::F32).unwrap();
        let w = g.parameter("w", &[1000, 2000], Parameter::weight(Initializer::Zeros)).unwrap();
        let y = g.matmul(x, w, false, true).unwrap(); // 0
        g.set_phase(Phase::Backward);
        let gradient = g.matmul(y, x, true, false).unwrap(); // 1
        let dx = g.matmul(y, w, false, false).unwrap(); // 2
        g.set_phase(Phase::Update);
        let new = g.sub(w, gradient).unwrap(); // 3
        g.update(w, new).unwrap();
        g.output("dx", dx);
        assert_eq!(updates_early(&g, 4), [0, 2, 1, 3]);
        // Of a large batch it is made at once; the update waits for the last that reads the old weights.
        assert_eq!(updates_early(&g, 400), [0, 1, 2, 3]);
    }
}
