//! Preprocessing against Pillow, and its JSON form.

use gabor_data::{Color, Dataset, Filter, Image, MemoryDataset, Preprocessing, Resize, Scratch};

/// The picture of `make_resize_goldens.py`.
fn picture(h: usize, w: usize, color: Color) -> Image<'static> {
    let mut data = Vec::new();
    for y in 0..h {
        for x in 0..w {
            for c in 0..color.channels() {
                data.push(((x * 37 + y * 91 + c * 53 + (x * y) % 17 * 11 + (x / 5 + y / 3) % 2 * 90) % 256) as u8);
            }
        }
    }
    Image::new(h, w, color, data).unwrap()
}

fn exact(color: Color, height: usize, width: usize, filter: Filter) -> Preprocessing {
    let mut p = Preprocessing::exact([color.channels(), height, width]).unwrap();
    p.filter = filter;
    p
}

#[test]
fn resize_agrees_with_pillow() {
    let (mut count, mut different, mut levels) = (0, 0, 0);
    for line in include_str!("resize_goldens.txt").lines().filter(|l| !l.starts_with('#')) {
        let f: Vec<&str> = line.split(' ').collect();
        let n = |i: usize| f[i].parse::<usize>().unwrap();
        let color = if f[0] == "L" { Color::Grey } else { Color::Rgb };
        let filter: Filter = serde_json::from_str(&format!("\"{}\"", f[5])).unwrap();
        let got = exact(color, n(3), n(4), filter).prepared(&picture(n(1), n(2), color)).unwrap();
        let want: Vec<u8> =
            (0..f[6].len()).step_by(2).map(|i| u8::from_str_radix(&f[6][i..i + 2], 16).unwrap()).collect();
        assert_eq!(got.data().len(), want.len());
        for (g, w) in got.data().iter().zip(&want) {
            let bound = u8::from(!matches!(filter, Filter::Nearest | Filter::Box));
            assert!(g.abs_diff(*w) <= bound, "{} {g} {w}", &line[..30]);
            different += usize::from(g != w);
            levels += 1;
        }
        count += 1;
    }
    assert_eq!(count, 168);
    // Coefficients of 15 bits move a level by one now and then.
    assert!(different * 5 < levels, "{different} of {levels} levels differ by one");
}

#[test]
fn crop_is_the_window_of_the_whole_resize() {
    let image = picture(37, 53, Color::Rgb);
    let mut p = Preprocessing::imagenet();
    (p.resize, p.crop) = (Resize::ShortSide { to: 20 }, Some([16, 18]));
    let cropped = p.prepared(&image).unwrap();
    // ⌊20 · 53 / 37⌋ = 28 columns; (28 − 18) / 2 = 5 and (20 − 16) / 2 = 2 are cut off.
    let whole = exact(Color::Rgb, 20, 28, Filter::Bilinear).prepared(&image).unwrap();
    for y in 0..16 {
        assert_eq!(cropped.data()[y * 54..][..54], whole.data()[((y + 2) * 28 + 5) * 3..][..54]);
    }
}

#[test]
fn normalisation_is_channels_first_and_as_pytorch_computes_it() {
    let p = Preprocessing { resize: Resize::Exact { height: 2, width: 2 }, crop: None, ..Preprocessing::imagenet() };
    let image = Image::new(2, 2, Color::Rgb, (0..12).map(|v| v * 20).collect::<Vec<u8>>()).unwrap();
    let out = p.apply(&image).unwrap();
    assert_eq!(out[4 + 2], (140.0f32 / 255.0 - 0.456) / 0.224);
    let (mut again, mut scratch) = (vec![0.0; 12], Scratch::default());
    for _ in 0..2 {
        p.apply_into(&image, &mut again, &mut scratch).unwrap();
        assert_eq!(again, out);
    }
    assert!(
        p.apply_into(&image, &mut [0.0; 11], &mut scratch)
            .unwrap_err()
            .to_string()
            .starts_with("preprocessing: 11 floats")
    );
}

#[test]
fn statistics_are_those_of_the_pixels() {
    let names = vec!["a".to_string()];
    let set = MemoryDataset::new("s", 1, 2, Color::Grey, vec![0, 255, 51, 102], vec![0, 0], names).unwrap();
    let p = Preprocessing::for_dataset(&set, [1, 1, 2]).unwrap();
    assert_eq!(p.mean, [0.4]);
    assert!((p.std[0] - 0.374_165_74).abs() < 1e-6, "{:?}", p.std);
    assert!(set.sample(2).is_err());
}

#[test]
fn json_is_strict() {
    let good = Preprocessing::imagenet().to_json();
    assert_eq!(
        good,
        r#"{"color":"rgb","resize":{"short_side":{"to":256}},"filter":"bilinear","crop":[224,224],"divisor":255.0,"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}"#
    );
    for (from, to, message) in [
        ("\"filter\"", "\"fliter\"", "unknown field `fliter`"),
        ("{\"to\":256}", "{\"to\":256,\"too\":1}", "unknown field `too`"),
        ("bilinear", "mitchell", "unknown variant `mitchell`"),
        ("\"to\":256", "\"to\":0", "a resized height of 0"),
        ("\"to\":256", "\"to\":99999999", "right would be: 1 to 16384"),
        ("\"to\":256", "\"to\":200", "a crop of 224 × 224 from 200 × 200"),
        ("\"crop\":[224,224],", "", "short_side without a crop"),
        ("255.0", "0.0", "a divisor of 0"),
        ("0.229,", "-1.0,", "a std of -1"),
        ("0.229,", "", "2 values of std for 3 channels"),
        ("0.485", "1e999", "not the JSON"),
        ("\"rgb\"", "\"grey\"", "3 values of mean for 1 channels"),
    ] {
        let e = Preprocessing::from_json(&good.replace(from, to)).unwrap_err().to_string();
        assert!(e.contains(message), "{message}: {e}");
    }
}

#[test]
fn extreme_aspect_ratios_are_refused_not_computed() {
    let image = Image::new(1, 1_000_000, Color::Rgb, vec![0u8; 3_000_000]).unwrap();
    let e = Preprocessing::imagenet().apply(&image).unwrap_err().to_string();
    assert!(e.contains("1 × 1000000 becomes 256 × 256000000"), "{e}");
}

#[test]
fn fields_set_by_hand_are_checked_at_use() {
    let image = picture(8, 8, Color::Rgb);
    let mut p = Preprocessing::exact([3, 4, 4]).unwrap();
    p.crop = Some([9, 9]);
    let e = p.apply_into(&image, &mut [0.0; 243], &mut Scratch::default()).unwrap_err().to_string();
    assert_eq!(e, "preprocessing: a crop of 9 × 9 from 4 × 4; right would be: a crop inside the resized image");
}

#[test]
fn a_picture_of_the_wanted_size_is_only_cut() {
    let image = picture(6, 5, Color::Rgb);
    for filter in [Filter::Nearest, Filter::Box, Filter::Bilinear, Filter::Hamming, Filter::Bicubic, Filter::Lanczos] {
        let whole = exact(Color::Rgb, 6, 5, filter);
        let cut = Preprocessing { crop: Some([2, 3]), ..whole.clone() }.prepared(&image).unwrap();
        let rows = (2..4).flat_map(|y| image.data()[(y * 5 + 1) * 3..(y * 5 + 4) * 3].to_vec());
        assert_eq!(cut.data(), rows.collect::<Vec<u8>>());
        assert_eq!(whole.prepared(&image).unwrap().data(), image.data());
    }
}

/// Small pictures in files of one size are prepared as the same pictures in one file are.
#[test]
fn small_files_of_one_size_are_prepared_as_idx_and_cifar_are() {
    use gabor_data::{ConvertOptions, OpenOptions, Target, common_shape, convert, digits, open};
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("alike");
    let _ = std::fs::remove_dir_all(&dir);
    convert(&digits(), &dir, &ConvertOptions::new(Target::Folder), &mut |_, _| {}).unwrap();
    let read = || open(&dir, &OpenOptions::default()).unwrap().train.unwrap();
    let set = read();
    assert_eq!((set.shape(), common_shape(&*set)), (None, Some([1, 8, 8])));
    let inputs = [[1, 8, 8], [3, 32, 32]];
    for input in inputs {
        let own = Preprocessing::for_dataset(&**digits().train().unwrap(), input).unwrap();
        assert_eq!(Preprocessing::for_dataset(&*set, input).unwrap(), own);
    }
    // A single other size makes them pictures of many sizes.
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images/rgb.png"), dir.join("train/3/zz.png")).unwrap();
    let p = Preprocessing::for_dataset(&*read(), [1, 8, 8]).unwrap();
    assert_eq!((common_shape(&*read()), p.crop), (None, Some([8, 8])));
}
