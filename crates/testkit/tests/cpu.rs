//! The CPU backend and every one of its candidates against the reference in 64 bits.

use gabor_compile::fused::{FusedBatchNorm, FusedBatchNormGrad, FusedConv, FusedMap, FusedMatMul, FusedProductMap};
use gabor_compile::{Backend, CompileOptions, Program};
use gabor_cpu::reference::Precision;
use gabor_cpu::{CpuBackend, CpuOptions, Isa};
use gabor_graph::{Operation, Problem};
use gabor_tensor::Tensor;
use gabor_testkit::{Bindings, build, conforms, difference, fill, reference};

/// Runs a problem as the backend would inside a network.
fn run(backend: &CpuBackend, fuse: bool, problem: &Problem, bindings: &Bindings) -> Vec<Tensor> {
    let built = build(problem).unwrap();
    let names: Vec<String> = built.inputs.iter().map(|&v| built.graph.value(v).name.clone()).collect();
    let outputs = built.outputs.len();
    let program = Program::single("problem", built.graph.validate().unwrap());
    let options = CompileOptions { fuse, ..Default::default() };
    let mut exe = backend.compile(&program, &options).unwrap();
    let inputs: Vec<(&str, &Tensor)> = names.iter().map(String::as_str).zip(bindings).collect();
    // Twice: a kernel must not depend on what its memory held before.
    for _ in 0..2 {
        exe.run(0, problem.n, &inputs).unwrap_or_else(|e| panic!("{}: {e}", problem.to_text()));
    }
    (0..outputs).map(|i| exe.output(&format!("y{i}")).unwrap().to_tensor()).collect()
}

fn backend(isa: Isa, threads: usize, refuse: &[&str]) -> CpuBackend {
    let refuse = refuse.iter().map(|r| r.to_string()).collect();
    CpuBackend::new(CpuOptions { threads: Some(threads), isa: Some(isa), refuse, ..Default::default() }).unwrap()
}

#[test]
fn every_instruction_set_conforms() {
    for isa in Isa::available() {
        let b = backend(isa, 2, &[]);
        let count = conforms(|p, bindings| run(&b, true, p, bindings)).unwrap_or_else(|e| panic!("{isa}:\n{e}"));
        assert!(count > 300, "{count} problems");
    }
}

#[test]
fn without_fusion_it_conforms() {
    let b = backend(Isa::best(), 1, &[]);
    conforms(|p, bindings| run(&b, false, p, bindings)).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn instruction_sets_and_threads_give_the_same_bits() {
    let first = backend(Isa::PORTABLE, 1, &[]);
    let exact = Isa::available().into_iter().filter(|isa| isa.is_exact());
    let others: Vec<CpuBackend> = exact.flat_map(|isa| [1, 3].map(|threads| backend(isa, threads, &[]))).collect();
    for sample in gabor_testkit::problems() {
        let bindings = fill(&sample, 3);
        let want = run(&first, true, &sample, &bindings);
        for b in &others {
            let got = run(b, true, &sample, &bindings);
            let bits = |t: &[Tensor]| -> Vec<u64> { t.iter().flat_map(|t| t.to_f64()).map(f64::to_bits).collect() };
            assert!(bits(&got) == bits(&want), "{}", sample.to_text());
        }
    }
}

#[test]
fn fused_operations_conform() {
    let fused = backend(Isa::best(), 2, &[]);
    let plain = backend(
        Isa::best(),
        1,
        &["fused_conv.bands", "fused_matmul.tiles", "fused_map.program", "fused_product_map.rows"],
    );
    let norms = [FusedBatchNorm::samples(), FusedBatchNormGrad::samples()].concat();
    let samples =
        [FusedConv::samples(), FusedMap::samples(), FusedMatMul::samples(), FusedProductMap::samples(), norms].concat();
    for problem in samples {
        let bindings = fill(&problem, 5);
        let want = reference(&problem, &bindings, Precision::F64).unwrap();
        for b in [&fused, &plain] {
            for (got, want) in run(b, true, &problem, &bindings).iter().zip(&want) {
                assert_eq!(difference(got, want), None, "{}", problem.to_text());
            }
        }
    }
}
