use super::super::Adam;
use super::super::tests::{agree, floats, golden, lens, of_text, small};
use super::*;

fn pixels(golden: &gabor_tensor::Weights, name: &str) -> Pixels {
    let t = golden.get(name).unwrap();
    Pixels { values: t.as_f32().unwrap().to_vec(), size: [t.shape()[2], t.shape()[3]] }
}

#[test]
fn losses_and_their_gradient_agree_with_pytorch() {
    let golden = golden();
    let s = small(&golden);
    let [content, style, now] = ["style.content", "style.style", "style.now"].map(|n| pixels(&golden, n));
    let relu = s.layers().into_iter().find(|l| l.name.contains("relu")).unwrap();
    let gelu = s.last_map().unwrap();
    assert!(gelu.name.contains("gelu"), "{}", gelu.name);
    let o = StyleOptions { content_weight: 3.0, style_weight: 20.0, ..Default::default() };
    let layers: [&[Layer]; 2] = [std::slice::from_ref(&gelu), &[relu, gelu.clone()]];
    let mut losses = Losses::new(&s, &lens(), &content, &style, layers, &o).unwrap();
    let mut d = vec![0.0; now.values.len()];
    let both = losses.run(&now.values, &mut d).unwrap();
    agree("losses", &both, floats(&golden, "style.losses"), 1e-5);
    agree("gradient", &d, floats(&golden, "style.gradient"), 2e-5);
}

#[test]
fn a_picture_has_its_own_style() {
    let golden = golden();
    let s = small(&golden);
    let picture = pixels(&golden, "style.content");
    let o = StyleOptions { steps: 3, variation: 0.0, ..Default::default() };
    let made = transfer(&s, &lens(), [&picture; 2], &o, &mut Adam::new(0.02), &mut |_| Ok(())).unwrap();
    assert!(made.curve[0].iter().all(|&v| v < 1e-10), "{:?}", made.curve[0]);
}

#[test]
fn style_comes_and_content_stays() {
    let golden = golden();
    for s in
        [small(&golden), of_text("INPUT 3x16x16 -> conv3-8 relu maxpool conv3-8 relu maxpool conv3-8 relu -> FC-3", 2)]
    {
        let [content, style] = ["style.content", "style.style"].map(|n| pixels(&golden, n));
        let run = |o: &StyleOptions| {
            transfer(&s, &lens(), [&content, &style], o, &mut Adam::new(0.02), &mut |_| Ok(())).unwrap()
        };
        let o = StyleOptions { steps: 60, ..Default::default() };
        let made = run(&o);
        let (first, last) = (made.curve[0], made.curve[59]);
        assert!(first[0] < 1e-10 && last[1] < 0.6 * first[1], "{first:?} {last:?}");
        assert!(made.picture.size == content.size && made.picture.values.iter().all(|v| (0.0..=1.0).contains(v)));
        assert!(!made.style_layers.is_empty() && made.content_layers.len() == 1);
        let held = run(&StyleOptions { content_weight: 20000.0, ..o.clone() });
        assert!(held.curve[59][0] < last[0]);
        assert_eq!(made, run(&o));
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let golden = golden();
    let s = small(&golden);
    let picture = pixels(&golden, "style.content");
    let e = |o: &StyleOptions, p: &Pixels| {
        transfer(&s, &lens(), [&picture, p], o, &mut Adam::new(0.02), &mut |_| Ok(())).unwrap_err().to_string()
    };
    let o = StyleOptions::default();
    assert!(
        e(&StyleOptions { style_layers: vec!["conv7".into()], ..o.clone() }, &picture).contains("no layer `conv7`")
    );
    assert!(
        e(&StyleOptions { content_layers: vec!["fc".into()], ..o.clone() }, &picture).contains("which has no places")
    );
    assert!(e(&StyleOptions { style_weight: f64::NAN, ..o.clone() }, &picture).contains("style-weight"));
    assert!(e(&o, &Pixels { values: vec![0.0; 4], size: [2, 2] }).contains("3 channels of them"));
}
