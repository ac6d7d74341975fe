//! JPEGs decoded at a fraction of their size: the picture that comes of it must be that of the whole.

use gabor_data::decode::decode_at_least;
use gabor_data::{Dataset, Filter, Limits, Preprocessing, Resize, decode};
use std::path::Path;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/large").join(name)).unwrap()
}

fn short_side(to: usize, filter: Filter) -> Preprocessing {
    Preprocessing { resize: Resize::ShortSide { to }, crop: Some([to, to]), filter, ..Preprocessing::imagenet() }
}

#[test]
fn extents_are_at_least_those_asked_for() {
    let limits = Limits::default();
    let extents = |name: &str, want: [usize; 2]| {
        let image = decode_at_least(&file(name), &limits, |_| want).unwrap();
        (image.height(), image.width(), image.original())
    };
    // Colours are stored at half the size here, and must be enough, too.
    assert_eq!(extents("photo.jpg", [1, 1]), (113, 151, [451, 601]));
    assert_eq!(extents("photo.jpg", [56, 75]), (113, 151, [451, 601]));
    assert_eq!(extents("photo.jpg", [57, 75]), (451, 601, [451, 601]));
    assert_eq!(extents("turned.jpg", [75, 56]), (151, 113, [601, 451]));
    assert_eq!(extents("grey.jpg", [57, 75]), (113, 151, [451, 601]));
    assert_eq!(extents("progressive.jpg", [1, 1]), (113, 151, [451, 601]));
    assert_eq!(extents("grey.jpg", [1, 1]), (113, 151, [451, 601]));
    // Only whole ones of four colours.
    assert_eq!(extents("cmyk.jpg", [1, 1]), (451, 601, [451, 601]));
    let mut seen = [0, 0];
    decode_at_least(&file("turned.jpg"), &limits, |whole| {
        seen = whole;
        whole
    })
    .unwrap();
    assert_eq!(seen, [601, 451], "extents are those of the upright picture");
}

#[test]
fn what_the_model_sees_is_that_of_the_whole() {
    let limits = Limits::default();
    for name in ["photo.jpg", "turned.jpg", "progressive.jpg", "grey.jpg"] {
        let sizes = if name == "grey.jpg" { [56, 28] } else { [28, 14] };
        for to in sizes {
            for filter in [Filter::Bilinear, Filter::Bicubic] {
                let p = short_side(to, filter);
                let (whole, part) = (decode(&file(name), &limits).unwrap(), p.decode(&file(name), &limits).unwrap());
                assert_eq!(part.height(), whole.height().div_ceil(4), "{name} to {to}");
                let (a, b) = (p.prepared(&whole).unwrap(), p.prepared(&part).unwrap());
                assert_eq!((a.height(), a.width()), (b.height(), b.width()));
                let far = |(a, b): (&u8, &u8)| f64::from(a.abs_diff(*b));
                let most = a.data().iter().zip(b.data()).map(far).fold(0.0, f64::max);
                let mean = a.data().iter().zip(b.data()).map(far).sum::<f64>() / a.data().len() as f64;
                // libjpeg's own reductions to an eighth, bilinear, differ by 0.8 and 5 (grey: 0.5 and 3).
                let bounds = (1.3, 9.0);
                assert!(mean < bounds.0 && most <= bounds.1, "{name} to {to} by {filter:?}: mean {mean}, most {most}");
            }
        }
    }
}

/// The loader, a single file and `apply` must not see different pixels.
#[test]
fn a_data_set_decodes_as_prediction_does() {
    let dir = std::env::temp_dir().join(format!("gabor-data-reduced-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("a")).unwrap();
    for name in ["photo.jpg", "turned.jpg"] {
        std::fs::write(dir.join("a").join(name), file(name)).unwrap();
    }
    let (set, _) = gabor_data::source::FileDataset::folder(&dir, &Limits::default()).unwrap();
    let p = short_side(28, Filter::Bilinear);
    let set = std::sync::Arc::new(set);
    let loader = gabor_data::Loader::evaluation(set.clone(), p.clone(), 2, 0).unwrap();
    let batch = loader.epoch(0, 0).next().unwrap().unwrap();
    for (i, path) in set.files().iter().enumerate() {
        let image = p.decode_file(path, &Limits::default()).unwrap();
        assert_eq!(set.image_at_least(i, &|whole| p.enough(whole)).unwrap(), image);
        assert!(image.original() != [image.height(), image.width()]);
        let seen = &batch.images.as_f32().unwrap()[i * 3 * 28 * 28..][..3 * 28 * 28];
        assert_eq!(seen, p.apply(&image).unwrap());
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The same photographs must be the same pixels to the network, whatever holds them.
#[test]
fn every_source_decodes_alike() {
    use gabor_data::{ConvertOptions, OpenOptions, Target, convert, open};
    let dir = std::env::temp_dir().join(format!("gabor-data-alike-{}", std::process::id()));
    for class in ["a", "b"] {
        std::fs::create_dir_all(dir.join("folder").join(class)).unwrap();
        std::fs::write(dir.join("folder").join(class).join("photo.jpg"), file("photo.jpg")).unwrap();
    }
    let options = OpenOptions { test_fraction: 0.0, ..Default::default() };
    let folder = open(dir.join("folder"), &options).unwrap();
    let p = short_side(28, Filter::Bilinear);
    let train = folder.train().unwrap();
    let image = train.image_at_least(0, &|whole| p.enough(whole)).unwrap();
    assert!(image.original() != [image.height(), image.width()]);
    let targets = [("tar", Target::Tar), ("folder", Target::Folder)].into_iter();
    #[cfg(feature = "parquet")]
    let targets = targets.chain([("parquet", Target::Parquet)]);
    for (name, target) in targets {
        let to = dir.join(format!("as {name}"));
        convert(&folder, &to, &ConvertOptions::new(target), &mut |_, _| {}).unwrap();
        let copy = open(&to, &options).unwrap();
        let copied = copy.train().unwrap();
        assert_eq!(copied.image_at_least(0, &|whole| p.enough(whole)).unwrap(), image, "{name}");
        assert_eq!(copied.image(1).unwrap(), train.image(1).unwrap(), "{name}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
