use super::*;

fn numbers(text: &str) -> Option<Matrix> {
    Some(text.parse().unwrap())
}

fn asked(values: &str, filter: &str, window: WindowOptions) -> ArithmeticOptions {
    ArithmeticOptions { values: numbers(values), filter: numbers(filter), window, ..Default::default() }
}

/// Sums of all steps from their own terms are the outputs of the reference.
fn check(a: &Arithmetic) {
    for s in &a.steps {
        let sum: f64 = s.terms.iter().map(|t| t.x * t.w).sum();
        assert!((sum - s.sum).abs() < 1e-9, "{}: {:?} {sum} {}", a.heading(), s.position, s.sum);
    }
}

const X: &str = "[[3,3,2,1,0],[0,0,1,3,1],[3,1,2,2,3],[2,0,0,2,2],[2,0,0,0,1]]";
const K: &str = "0,1,2; 2,2,0; 0,1,2";

#[test]
fn the_lectures_examples() {
    let o = WindowOptions::default;
    let one = |p: Padding| arithmetic(&asked("1,0,2,2,3,1", "3,2,2", o().padding(p))).unwrap();
    assert_eq!(one(Padding::Valid).output.values, [7.0, 8.0, 16.0, 14.0]);
    assert_eq!(one(Padding::Explicit(vec![(0, 1)])).output.values, [7.0, 8.0, 16.0, 14.0, 11.0]);
    let same = one(Padding::Same);
    assert_eq!(same.output.values, [2.0, 7.0, 8.0, 16.0, 14.0, 11.0]);
    assert_eq!(same.sum_text(0), "0·3 + 1·2 + 0·2 = 2");
    assert_eq!(same.notes(), ["same: as many outputs as ceil(n/s); padding 1 before and 1 after"]);
    let two = arithmetic(&asked(X, K, o())).unwrap();
    assert_eq!(two.output.values, [12., 12., 17., 10., 17., 19., 9., 6., 14.]);
    let strided = arithmetic(&asked(X, K, o().stride(&[2]).padding(Padding::all(1)))).unwrap();
    assert_eq!(strided.output.values, [6., 17., 3., 8., 17., 13., 6., 4., 4.]);
    assert_eq!(strided.formulas(), ["o = (n + 2p − k)/s + 1 = (5 + 2·1 − 3)/2 + 1 = 3"]);
    [&two, &strided, &same].into_iter().for_each(check);
}

#[test]
fn what_does_not_fit_is_said_in_words() {
    let of = |input: &[usize], kernel: &[usize], stride: &[usize], padding: Padding| {
        let window = WindowOptions::new(kernel).stride(stride).padding(padding);
        arithmetic(&ArithmeticOptions { input: input.to_vec(), dims: input.len(), window, ..Default::default() })
            .unwrap()
    };
    let seven = of(&[7, 7], &[3, 3], &[3, 3], Padding::Valid);
    assert_eq!(seven.formulas(), ["o = floor((n − k)/s) + 1 = floor((7 − 3)/3) + 1 = floor(1.33) + 1 = 2"]);
    assert!(
        seven.notes()[0].starts_with("7×7 with 3×3, stride 3: the last row and column are dropped (4 is no multiple")
    );
    let gone = seven.animation().cells.iter().filter(|c| c.dropped).count();
    assert_eq!(gone, 13);
    let long = of(&[13], &[6], &[5], Padding::Valid);
    assert!(
        long.notes()[0].contains("the last 2 elements are dropped (7 is no multiple of 5; 3 more"),
        "{:?}",
        long.notes()
    );
    assert!(of(&[13], &[6], &[5], Padding::Same).notes()[0].ends_with("padding 1 before and 2 after"));
    let wide = of(&[7, 8], &[2, 2], &[3, 3], Padding::Valid);
    assert_eq!(wide.formulas().len(), 2);
    assert_eq!(
        wide.notes()[1],
        "1 row and 2 columns between windows are read by none: stride 3 is larger than the window of 2"
    );
    let end = of(&[6, 6], &[3, 3], &[2, 2], Padding::all(1));
    assert_eq!(end.notes(), ["the last row and column of padding are read by no window"]);
    let dilated = WindowOptions::new(&[3]).dilation(&[2]).padding(Padding::all(1));
    let dilated =
        arithmetic(&ArithmeticOptions { input: vec![7], dims: 1, window: dilated, ..Default::default() }).unwrap();
    assert_eq!(dilated.formulas(), ["o = (n + 2p − d·(k − 1) − 1)/s + 1 = (7 + 2·1 − 2·(3 − 1) − 1)/1 + 1 = 5"]);
    check(&dilated);
}

/// Every geometry of a grid, transposed and not: what is drawn is what the reference computes.
#[test]
fn drawn_sums_are_the_references() {
    let mut seen = 0;
    for transposed in [false, true] {
        for (n, k, s, p, d) in (0..720).map(|i| (i % 6 + 1, i / 6 % 4 + 1, i / 24 % 3 + 1, i / 72 % 5, i / 360 % 2 + 1))
        {
            for extra in [0, 1] {
                let window = WindowOptions::new(&[k, 2]).stride(&[s, 2]).dilation(&[d, 1]);
                let window = window.padding(Padding::Explicit(vec![(p, p / 2), (1, 0)]));
                let output_padding = if extra > 0 { vec![extra, 0] } else { vec![] };
                let o =
                    ArithmeticOptions { input: vec![n, 3], window, transposed, output_padding, ..Default::default() };
                if let Ok(a) = arithmetic(&o) {
                    check(&a);
                    assert_eq!(a.animation().steps.len(), a.output.values.len());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 900, "{seen}");
}

#[test]
fn transposed_convolutions() {
    let window = WindowOptions::new(&[3]).stride(&[2]).padding(Padding::all(1));
    let o = ArithmeticOptions { transposed: true, ..asked("1,2", "1,10,100", window) };
    let a = arithmetic(&o).unwrap();
    // By hand: 1·[1 10 100] at 0 and 2·[1 10 100] at 2, one element taken off each end.
    assert_eq!(a.output.values, [10.0, 102.0, 20.0]);
    assert_eq!(a.formulas(), ["o = (n − 1)·s − 2p + (k − 1) + 1 = (2 − 1)·2 − 2·1 + (3 − 1) + 1 = 3"]);
    assert!(a.notes()[0].contains("checkerboard"));
    let svg = a.animation();
    assert_eq!(
        (svg.filter.numbers.join(" "), svg.given.unwrap().numbers.join(" ")),
        ("100 10 1".into(), "1 10 100".into())
    );
}

#[test]
fn what_cannot_be_is_refused() {
    let says = |o: ArithmeticOptions| arithmetic(&o).unwrap_err().to_string();
    let input =
        |n: &[usize], w: WindowOptions| ArithmeticOptions { input: n.to_vec(), window: w, ..Default::default() };
    assert_eq!(
        says(input(&[4], WindowOptions::new(&[7]).padding(Padding::all(1)))),
        "kernel_size 7 is larger than the padded input 4 + 1 + 1 = 6 in spatial dimension 0; right would be: kernel_size \
         at most 6, or more padding"
    );
    assert!(says(input(&[5], WindowOptions::new(&[3]).stride(&[0]))).contains("at least 1"));
    assert!(says(input(&[30], WindowOptions::default())).contains("784 steps, too many"));
    assert!(says(input(&[1 << 40], WindowOptions::default())).contains("must be below"));
    assert!(says(input(&[1 << 30], WindowOptions::default())).contains("too large to be drawn"));
    assert!(says(input(&[99], WindowOptions::new(&[50]))).contains("a filter of 2500 elements"));
    assert!(says(asked("1,2,3", "1,2;3,4", WindowOptions::default())).contains("values: 3 numbers in one row"));
    let o = ArithmeticOptions { output_padding: vec![1], ..Default::default() };
    assert!(says(o).contains("output_padding is of transposed"));
    let o = ArithmeticOptions { input: vec![4], ..asked("1,2,3", "1,2", WindowOptions::default()) };
    assert_eq!(says(o), "values: 3 numbers (3) for extents 4; right would be: 4 numbers");
}

#[test]
fn numbers_as_they_are_typed() {
    let m = |t: &str| t.parse::<Matrix>().map(|m| (m.shape, m.values)).map_err(|e| e.to_string());
    assert_eq!(m("1, -2,0.5"), Ok((vec![3], vec![1.0, -2.0, 0.5])));
    assert_eq!(m("[1 2]"), Ok((vec![2], vec![1.0, 2.0])));
    assert_eq!(m("[[1,2] , [3,−4]]"), Ok((vec![2, 2], vec![1.0, 2.0, 3.0, -4.0])));
    assert_eq!(m("[[1,2]]"), Ok((vec![1, 2], vec![1.0, 2.0])));
    assert_eq!(m("1 2;3 4;"), Ok((vec![2, 2], vec![1.0, 2.0, 3.0, 4.0])));
    for wrong in ["", "[]", "[[]]", "1,x", "[[1,2],[3]]", "[[1,2],3]", "[1,2", "nan", "[[1,2][3,4]]"] {
        assert!(m(wrong).unwrap_err().contains("right would be: numbers such as"), "{wrong}");
    }
    let n = |v: f64| words::number(v);
    assert_eq!([n(3.0), n(-2.0), n(0.125), n(-0.0), n(1234.5678)].join(" "), "3 −2 0.125 0 1234.5678");
    let cells =
        ["1234567", "123456789", "−0.33333333333", "1234.5678", "0.000012345", "−123456789"].map(words::fitting);
    // Sums of numbers in eighths stay what they are.
    let sums = ["45162.375", "−1.5", "1234567.125"].map(String::from);
    assert_eq!(words::fitting_all(sums), (["45162.375", "−1.5", "1234567.1"].map(String::from).to_vec(), 1));
    assert_eq!(cells.join(" "), "1234567 123456789 −0.333333 1234.5678 1.2345e−5 −1.2346e8");
    // Sums are exact for what stands there: 0.1 · 3 is 0.3, and 12 digits stay 12.
    let sum = |pairs: &[(f64, f64)]| {
        let terms: Vec<Term> = pairs.iter().map(|&(x, w)| Term { tap: vec![0], at: None, x, w }).collect();
        words::exact(pairs.iter().map(|p| p.0 * p.1).sum(), &terms)
    };
    assert_eq!(sum(&[(0.1, 3.0)]), "0.3");
    assert_eq!(sum(&[(1.23456789, 0.1), (1234567.0, 100000.0)]), "123456700000.123456789");
    assert_eq!(sum(&[(1e20, 1.0), (0.5, 0.25)]), "100000000000000000000.125");
    assert_eq!((sum(&[(-0.25, 0.5)]), sum(&[(0.1, 0.0)]), sum(&[])), ("−0.125".into(), "0".into(), "0".into()));
    // More digits than paper has: what the numbers of 64 bits say.
    assert_eq!(sum(&[(1e300, 1.0)]), "1e300");
    assert_eq!((sum(&[(1e-300, 1.0)]), sum(&[(1e-30, 1e-30)])), ("1e−300".into(), "1.0000000000000001e−60".into()));
}
