//! Derivatives of every operation of the registry agree with differences in 64 bits.

use gabor_graph::{OperationSpec, registry};
use gabor_testkit::{check_gradients, check_second_derivatives};

/// Runs a check over all samples on a few threads and reports all failures together.
fn all(check: impl Fn(&OperationSpec) -> Vec<String> + Sync) {
    let parts: Vec<Vec<String>> = std::thread::scope(|s| {
        let check = &check;
        let threads: Vec<_> = (0..4)
            .map(|t| s.spawn(move || registry().iter().skip(t).step_by(4).flat_map(check).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().map(|t| t.join().expect("no panic")).collect()
    });
    let wrong: Vec<String> = parts.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn first_derivatives_of_every_operation() {
    all(|spec| (spec.samples)().iter().filter_map(|p| check_gradients(p).err()).collect());
}

/// No exception: every gradient of the registry is a graph of operations that have gradients themselves.
#[test]
fn second_derivatives_of_every_operation() {
    all(|spec| (spec.samples)().iter().filter_map(|p| check_second_derivatives(p).err()).collect());
}
