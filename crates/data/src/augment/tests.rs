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
    let centre = |text: &str| of(text).apply(&image, [7, 7], 0, 0, 1).unwrap().data().to_vec();
    assert_eq!(centre("center_crop"), centre("none"));
    assert_eq!(of("photos,center_crop"), of("center_crop,mirror"));
    let e = of("center_crop").check([9, 9], 1, false).unwrap_err().to_string();
    assert!(e.contains("center_crop without a crop"), "{e}");
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
        "alexnet",
        "pca_noise:0.1:0.2/0.1/0.05:1/0/0/0/1/0/0/0/1,randaugment:style=timm,trivialaugment",
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

/// `goldens.txt`, by `make_goldens.py`: what torchvision and Pillow make of a picture with the same parameters. Levels
/// differ by at most one, by two where several roundings meet.
#[test]
fn pixels_are_torchvisions() {
    use super::map::{about, inverse, product, quadrilateral};
    use super::pixels::Act;
    let goldens: std::collections::BTreeMap<&str, (usize, usize, usize, Vec<u8>)> = include_str!("goldens.txt")
        .lines()
        .map(|line| {
            let f: Vec<&str> = line.split(' ').collect();
            let n = |i: usize| f[i].parse::<usize>().unwrap();
            let bytes = (0..f[4].len() / 2).map(|i| u8::from_str_radix(&f[4][2 * i..2 * i + 2], 16).unwrap());
            (f[0], (n(1), n(2), n(3), bytes.collect()))
        })
        .collect();
    let (h, w, _, picture) = goldens["picture"].clone();
    let grey = &goldens["grey_picture"].3;
    let centre = (w as f64 / 2.0, h as f64 / 2.0);
    let turn = |degrees: f64| {
        let (sin, cos) = degrees.to_radians().sin_cos();
        about([cos, -sin, sin, cos], centre)
    };
    // torchvision: place = shift · rotation · shear · scale of a place about the centre, angles with the clock.
    let forward = |m: [f64; 4]| about(m, centre);
    let affine = product(
        &[1.0, 0.0, 2.0, 0.0, 1.0, -1.0, 0.0, 0.0, 1.0],
        &product(
            &turn(-20.0),
            &product(&forward([1.0, -10f64.to_radians().tan(), 0.0, 1.0]), &forward([1.3, 0.0, 0.0, 1.3])),
        ),
    );
    let moved = [(1.0, 2.0), (11.5, 0.5), (12.0, 10.0), (0.5, 9.0)];
    let perspective = quadrilateral((w as f64, h as f64), moved).unwrap();
    let of = |name: &str| match name {
        "brightness" => Act::Brightness(1.4),
        "darkness" => Act::Brightness(0.35),
        "contrast" => Act::Contrast(1.7),
        "posterize" => Act::Posterize(3),
        "solarize" => Act::Solarize(110.0),
        "invert" => Act::Invert,
        "autocontrast" => Act::Autocontrast,
        "equalize" => Act::Equalize,
        "sharp" => Act::Sharpness(1.9),
        "soft" => Act::Sharpness(0.2),
        "blur" => Act::Blur { sigma: 1.3, radius: 3 },
        "saturation" => Act::Saturation(1.8),
        "desaturation" => Act::Saturation(0.3),
        "hue" => Act::Hue(0.2),
        "hue_back" => Act::Hue(-0.37),
        "grey" => Act::Grey,
        "rotate" => Act::Warp(inverse(&turn(-25.0)).unwrap()),
        "affine" => Act::Warp(inverse(&affine).unwrap()),
        "perspective" => Act::Warp(inverse(&perspective).unwrap()),
        _ => panic!("{name}"),
    };
    let mut wrong = Vec::new();
    for (name, (gh, gw, gc, want)) in goldens.iter().filter(|g| !g.0.ends_with("picture")) {
        let mut picture = if *gc == 1 { grey.clone() } else { picture.clone() };
        if *gh == 2 * h {
            // Four times the picture: two rows of two.
            let rows: Vec<u8> = picture.chunks(w * gc).flat_map(|r| [r, r].concat()).collect();
            picture = [&rows[..], &rows[..]].concat();
        }
        let colors: &[Color] = if *gc == 1 { &[Color::Grey] } else { &[Color::Rgb, Color::Bgr] };
        for &color in colors {
            let image = Image::new(*gh, *gw, if *gc == 1 { Color::Grey } else { Color::Rgb }, picture.clone()).unwrap();
            let image = image.to_color(color).into_owned();
            let mut buffers = Buffers::default();
            let fill = if matches!(*name, "perspective") { [0; 3] } else { [9; 3] };
            let mut canvas = Canvas {
                source: Some(&image),
                size: [*gh, *gw],
                color,
                fill,
                filter: Filter::Bilinear,
                buffers: &mut buffers,
                targets: None,
            };
            canvas.open(None, Key { seed: 0, epoch: 0, sample: 0 });
            canvas.act(of(name.strip_prefix("grey_").unwrap_or(name)));
            canvas.settle();
            let out = Image::new(*gh, *gw, color, buffers.out).unwrap();
            let out = if color == Color::Bgr { out.to_color(Color::Rgb).into_owned() } else { out };
            let map = match of(name.strip_prefix("grey_").unwrap_or(name)) {
                Act::Warp(m) => Some(m),
                _ => None,
            };
            let mut worst = 0;
            for (i, (a, b)) in out.data().iter().zip(want).enumerate() {
                // Pillow cuts half of the outermost pixels off, torchvision darkens them twice; ours fade into the fill.
                let at_edge = map.is_some_and(|m| {
                    let (x, y) = ((i / gc % gw) as f64 + 0.5, (i / gc / gw) as f64 + 0.5);
                    let z = m[6] * x + m[7] * y + m[8];
                    let (u, v) = ((m[0] * x + m[1] * y + m[2]) / z, (m[3] * x + m[4] * y + m[5]) / z);
                    !(0.5..=w as f64 - 0.5).contains(&u) || !(0.5..=h as f64 - 0.5).contains(&v)
                });
                if !at_edge {
                    worst = worst.max(a.abs_diff(*b));
                }
            }
            let most = if map.is_some() || name.contains("hue") { 2 } else { 1 };
            if worst > most {
                wrong.push(format!("{name} {color:?}: {worst} levels"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// Every geometric operation takes a painted dot to where it takes the dot's point, and a label picture to where it
/// takes the picture.
#[test]
fn targets_move_with_the_image() {
    let geometric = [
        "random_crop",
        "center_crop",
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
