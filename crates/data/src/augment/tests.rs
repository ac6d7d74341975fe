//! Pipelines as a whole.

use super::*;

fn ramp(h: usize, w: usize) -> Image<'static> {
    Image::new(h, w, Color::Grey, (0..h * w).map(|v| (v * 7 % 251) as u8).collect::<Vec<_>>()).unwrap()
}
fn of(text: &str) -> Augmentation {
    text.parse().unwrap()
}
fn draw(text: &str, sample: u32) -> Vec<u8> {
    of(text).apply(&ramp(9, 9), [9, 9], 1, 2, sample).unwrap().into_data()
}

#[test]
fn draws_are_keyed() {
    let a = "handwriting,mirror,brightness:0.2,contrast:0.2";
    assert_eq!(draw(a, 3), draw(a, 3));
    assert_ne!(draw(a, 3), draw(a, 4));
    // Cutout is drawn by itself: elsewhere the picture is the same.
    let cut = draw(&format!("{a},cutout:3"), 3);
    let differing = cut.iter().zip(&draw(a, 3)).filter(|(x, y)| x != y).count();
    assert!((1..=9).contains(&differing), "{differing}");
    // An operation that is never applied changes no other's draw, wherever it stands; a second of a kind draws anew.
    assert_eq!(draw("flip@0,rotate:30@0.99,contrast", 3), draw("rotate:30,contrast", 3));
    assert_ne!(draw("shift:3,+shift:3", 3), draw("shift:3", 3));
}

#[test]
fn mirror_and_shift_move_whole_pixels() {
    let image = ramp(9, 9);
    let reversed: Vec<u8> = image.data().chunks(9).flat_map(|r| r.iter().rev().copied()).collect();
    let seen: Vec<Vec<u8>> = (0..20).map(|s| draw("mirror", s)).collect();
    assert!(seen.iter().all(|v| *v == image.data() || *v == reversed));
    assert!(seen.contains(&reversed) && seen.iter().any(|v| v == image.data()));
    assert_eq!(draw("mirror@1,+mirror@1", 0), image.data());
    for s in 0..50 {
        let out = draw("shift:20,fill:255,mirror", s);
        assert!(out.iter().all(|v| *v == 255 || image.data().contains(v)));
    }
    let crop = of("random_crop");
    let corners: std::collections::BTreeSet<u8> =
        (0..200).map(|s| crop.apply(&image, [8, 8], 0, 0, s).unwrap().data()[0]).collect();
    assert_eq!(corners.len(), 4);
}

#[test]
fn texts_and_data_read_back_to_the_same() {
    for (name, text, _) in text::PRESETS {
        assert_eq!(of(name), of(text), "{name}");
    }
    for text in [
        "none",
        "handwriting,rotate:15",
        "mirror@0.25,random_resized_crop:0.25..1:ratio=1,fill:1/2/3",
        "rotate,+rotate:3@0.5,translate:y=0,fill:7",
    ] {
        let a = of(text);
        assert_eq!(of(&a.to_string()), a, "{a}");
        let json = serde_json::to_string(&a).unwrap();
        assert_eq!(serde_json::from_str::<Augmentation>(&json).unwrap(), a, "{json}");
    }
    assert_eq!(of("handwriting,rotate:15").to_string(), "scale:0.1,stretch:0.05,shear:x=5:y=0,rotate:15,shift:1");
    assert_eq!(of("mirror,random_crop,-mirror").to_string(), "random_crop");
    assert_eq!(of("random_crop,random_resized_crop").operations.len(), 1);
    assert!(of("").is_off() && of("mirror,none").is_off());
    assert_eq!(serde_json::from_str::<Augmentation>("{}").unwrap(), Augmentation::default());
}

#[test]
fn mistakes_are_answered() {
    let e = |text: &str| text.parse::<Augmentation>().unwrap_err().to_string();
    assert_eq!(e("rotate:400"), "rotate of degrees = 400; right would be: a number from 0 to 180");
    for (text, parts) in [
        ("mirrors", vec!["no augmentation is called `mirrors`", "`mirror`"]),
        ("rotate:NaN", vec!["`rotate` with degrees", "0 to 180"]),
        ("rotate:1:2", vec!["1 parameters, given one more: `2`"]),
        ("rotate:degree=3", vec!["no parameter `degree`", "degrees"]),
        ("mirror:2", vec!["given one more"]),
        ("mirror@1.5", vec!["probability from 0 to 1"]),
        ("random_crop@0.5", vec!["always done"]),
        ("-mirror", vec!["no such operation to leave out"]),
        ("fill:300", vec!["fill:GREY"]),
        ("shift:2.5", vec!["whole number"]),
        ("random_resized_crop:0.5..0.1", vec!["LOW..HIGH"]),
    ] {
        assert!(parts.iter().all(|p| e(text).contains(p)), "{text}: {}", e(text));
    }
    let many = Augmentation { operations: vec![Step::new(Operation::Flip {}); 33], ..Default::default() };
    assert!(many.validate().unwrap_err().to_string().contains("at most 32"));
    let late = Augmentation {
        operations: vec![Step::new(Operation::Flip {}), Step::new(Operation::RandomCrop {})],
        ..Default::default()
    };
    assert!(late.validate().unwrap_err().to_string().contains("a crop comes first"));
    let json = |text: &str| serde_json::from_str::<Augmentation>(text).unwrap_err().to_string();
    assert!(json("{\"rotate\":3}").contains("unknown field"));
    assert!(json("{\"operation\":[{\"name\":\"rotate\",\"degrees\":\"x\"}]}").contains("degrees = \"x\""));
    assert!(json("{\"operation\":[{\"degrees\":3}]}").contains("without a name"));
    assert!(Augmentation::default().apply(&ramp(4, 4), [5, 4], 0, 0, 0).is_err());
    assert!(of("short_side:10").apply(&ramp(4, 4), [12, 4], 0, 0, 0).unwrap_err().to_string().contains("at least 12"));
}

/// Every geometric operation takes a painted dot to where it takes the dot's point, and a label picture to where it
/// takes the picture.
#[test]
fn targets_move_with_the_image() {
    let geometric = [
        "random_crop",
        "short_side:80..110",
        "random_resized_crop:0.5..1",
        "shift:4",
        "mirror@1",
        "flip@1",
        "rotate:40",
        "translate:0.1:0.2",
        "scale:0.3",
        "stretch:0.3",
        "shear:20:10",
        "rotate:30,brightness,shear:20:0,mirror",
        "handwriting",
        "perspective@1",
        "lens",
        "elastic:60:6",
    ];
    for text in geometric {
        let mut checked = 0;
        for sample in 0..20 {
            let mut s = gabor_tensor::Stream::new(5, 0, sample, gabor_tensor::rng::op::TEST);
            let (h, w) = (64, 80);
            let (x, y) = (16 + s.below(48), 12 + s.below(40));
            let mut data = vec![0; h * w];
            for dy in 0..5 {
                data[(y + dy - 2) * w + x - 2..][..5].fill(240);
            }
            let image = Image::new(h, w, Color::Grey, data.clone()).unwrap();
            let mask = Image::new(h, w, Color::Grey, data.iter().map(|v| v / 240).collect::<Vec<_>>()).unwrap();
            let (px, py) = (x as f64 + 0.5, y as f64 + 0.5);
            let mut t = Targets {
                points: vec![[px, py]],
                boxes: vec![[px - 2.5, py - 2.5, px + 2.5, py + 2.5]],
                mask: Some(mask),
                mask_fill: 9,
            };
            let out = of(text).apply_with(&image, &mut t, [56, 72], 3, 1, sample).unwrap();
            let [tx, ty] = t.points[0];
            if !(5.0..67.0).contains(&tx) || !(5.0..51.0).contains(&ty) {
                continue;
            }
            checked += 1;
            // The centre of gravity of the dot, and its extent.
            let (mut sum, mut cx, mut cy) = (0.0, 0.0, 0.0);
            for (i, &v) in out.data().iter().enumerate() {
                let v = f64::from(v);
                (sum, cx, cy) = (sum + v, cx + v * ((i % 72) as f64 + 0.5), cy + v * ((i / 72) as f64 + 0.5));
            }
            let (cx, cy) = (cx / sum, cy / sum);
            // A dot has an extent, over which an elastic field varies.
            let near = if text.starts_with("elastic") { 1.0 } else { 0.3 };
            assert!((cx - tx).abs() < near && (cy - ty).abs() < near, "{text}: ({cx}, {cy}), point ({tx}, {ty})");
            let b = t.boxes[0];
            assert!(b[0] < cx && cx < b[2] && b[1] < cy && cy < b[3], "{text}: {b:?}");
            let mask = t.mask.unwrap();
            assert_eq!([mask.height(), mask.width()], [56, 72]);
            for (i, (&m, &v)) in mask.data().iter().zip(out.data()).enumerate() {
                let (mx, my) = ((i % 72) as f64 + 0.5, (i / 72) as f64 + 0.5);
                if m == 1 {
                    assert!(b[0] - 0.51 < mx && mx < b[2] + 0.51 && b[1] - 0.51 < my && my < b[3] + 0.51);
                }
                // Where the label is, the picture is light; interpolation blurs edges by a pixel.
                assert!(m == 9 || (v > 200) <= (m == 1), "{text}: mask {m}, picture {v} at {i}");
            }
        }
        assert!(checked >= 5, "{text}: {checked}");
    }
}
