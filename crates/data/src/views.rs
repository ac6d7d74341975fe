//! Several views of one image, over which a prediction is averaged (test-time augmentation).

use crate::{Color, Dataset, Error, Image, Preprocessing, Scratch};
use gabor_tensor::Rule;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

/// Which views of an image a network looks at. Its probabilities are averaged over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Views {
    /// The image as the preprocessing gives it.
    #[default]
    One,
    /// That and its mirror image.
    Flip,
    /// Four corners and the centre of the resized image and their mirror images, as in Krizhevsky, Sutskever, Hinton,
    /// *ImageNet Classification with Deep Convolutional Neural Networks* (2012), section 4.1.
    TenCrop,
}

impl Views {
    /// All of them.
    pub const ALL: [Views; 3] = [Views::One, Views::Flip, Views::TenCrop];
    /// Views an image.
    pub fn count(self) -> usize {
        match self {
            Views::One => 1,
            Views::Flip => 2,
            Views::TenCrop => 10,
        }
    }
    /// `none`, `flip`, `tencrop`.
    pub fn name(self) -> &'static str {
        match self {
            Views::One => "none",
            Views::Flip => "flip",
            Views::TenCrop => "tencrop",
        }
    }
    /// The views of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.name() == name)
    }
}

impl Preprocessing {
    /// The views of an image as pictures of the model's size, before normalisation. The first of [`Views::One`] and
    /// [`Views::Flip`] is [`prepared`](Preprocessing::prepared); of [`Views::TenCrop`] it is the fifth, and its mirror image
    /// the tenth.
    ///
    /// # Errors
    /// Ten crops of a preprocessing without a crop: nothing is left to crop from.
    pub fn views(&self, image: &Image<'_>, views: Views) -> Result<Vec<Image<'static>>, Error> {
        self.can_view(views)?;
        let mut out = match views {
            Views::One => return Ok(vec![self.prepared(image)?]),
            Views::Flip => vec![self.prepared(image)?],
            Views::TenCrop => {
                let whole = self.resized(image, false, &mut Scratch::default())?;
                let [_, h, w] = self.input();
                let (bottom, right) = (whole.height() - h, whole.width() - w);
                let corners = [(0, 0), (0, right), (bottom, 0), (bottom, right)];
                let mut out: Vec<Image<'static>> = corners.iter().map(|&at| cut(&whole, at, [h, w])).collect();
                out.push(self.prepared(image)?);
                out
            }
        };
        out.extend(out.iter().map(mirrored).collect::<Vec<_>>());
        Ok(out)
    }
    /// The views of an image as floats, `[views, c, h, w]`.
    ///
    /// # Errors
    /// As [`views`](Preprocessing::views).
    pub fn apply_views(&self, image: &Image<'_>, views: Views) -> Result<Vec<f32>, Error> {
        let size = self.input().iter().product::<usize>();
        let mut out = vec![0.0; size * views.count()];
        let mut table = Vec::new();
        for (view, out) in self.views(image, views)?.iter().zip(out.chunks_exact_mut(size)) {
            self.normalise(view.data(), out, &mut table)?;
        }
        Ok(out)
    }
    /// Whether an image has these views under this preprocessing.
    ///
    /// # Errors
    /// As [`views`](Preprocessing::views).
    pub fn can_view(&self, views: Views) -> Result<(), Error> {
        self.validate()?;
        if views == Views::TenCrop && self.crop.is_none() {
            let [_, h, w] = self.input();
            let rule = Rule::new(format!("ten crops of {h} × {w} where the whole image is resized to {h} × {w}"));
            return Err(Error::new("preprocessing", rule.right("flip, or a preprocessing with a crop")));
        }
        Ok(())
    }
    /// What makes floats of pictures that are of the model's size already.
    fn of_prepared(&self) -> Preprocessing {
        let [_, height, width] = self.input();
        Preprocessing { resize: crate::Resize::Exact { height, width }, crop: None, ..self.clone() }
    }
}

fn cut(image: &Image<'_>, (top, left): (usize, usize), [h, w]: [usize; 2]) -> Image<'static> {
    let c = image.channels();
    let row = |y: usize| &image.data()[((top + y) * image.width() + left) * c..][..w * c];
    let data: Vec<u8> = (0..h).flat_map(row).copied().collect();
    Image::trusted(h, w, image.color(), data)
}

fn mirrored(image: &Image<'static>) -> Image<'static> {
    let (c, w) = (image.channels(), image.width());
    let rows = image.data().chunks_exact(w * c);
    let data: Vec<u8> = rows.flat_map(|row| row.chunks_exact(c).rev().flatten()).copied().collect();
    Image::trusted(image.height(), w, image.color(), data)
}

/// How many images' views are kept, for threads that are not quite at the same place.
const KEPT: usize = 8;

/// The views of another data set's images, one after the other: sample `i` is view `i % views` of image `i / views`.
pub struct ViewDataset {
    inner: Arc<dyn Dataset>,
    preprocessing: Preprocessing,
    views: Views,
    labels: Vec<u32>,
    /// Views made last; whoever goes on to the next view finds them here.
    recent: Mutex<VecDeque<(usize, Arc<Vec<Image<'static>>>)>>,
}

impl ViewDataset {
    /// The views of a data set under a preprocessing, and the preprocessing that their pictures then need: they are of the
    /// model's size.
    ///
    /// # Errors
    /// As [`Preprocessing::views`].
    pub fn new(
        inner: Arc<dyn Dataset>,
        preprocessing: &Preprocessing,
        views: Views,
    ) -> Result<(Self, Preprocessing), Error> {
        preprocessing.can_view(views)?;
        let labels = inner.labels().iter().flat_map(|&l| std::iter::repeat_n(l, views.count())).collect();
        let own = preprocessing.of_prepared();
        Ok((ViewDataset { inner, preprocessing: preprocessing.clone(), views, labels, recent: Mutex::default() }, own))
    }
    fn all(&self, i: usize) -> Result<Arc<Vec<Image<'static>>>, Error> {
        if let Ok(recent) = self.recent.lock()
            && let Some((_, found)) = recent.iter().find(|r| r.0 == i)
        {
            return Ok(found.clone());
        }
        let image = self.inner.image_at_least(i, &|whole| self.preprocessing.enough(whole))?;
        let made = self.preprocessing.views(&image, self.views);
        let made = made.map_err(|e| Error::new(format!("{}: {}", self.inner.id(i), e.place()), e.rule().clone()))?;
        let made = Arc::new(made);
        if let Ok(mut recent) = self.recent.lock() {
            recent.truncate(KEPT - 1);
            recent.push_front((i, made.clone()));
        }
        Ok(made)
    }
}

impl Dataset for ViewDataset {
    fn labels(&self) -> &[u32] {
        &self.labels
    }
    fn classes(&self) -> &[String] {
        self.inner.classes()
    }
    fn id(&self, i: usize) -> String {
        self.inner.id(i / self.views.count())
    }
    fn image(&self, i: usize) -> Result<Image<'_>, Error> {
        let n = self.views.count();
        if i >= self.labels.len() {
            return Err(crate::source::out_of_range(i, self.labels.len()));
        }
        Ok(self.all(i / n)?[i % n].clone())
    }
    fn shape(&self) -> Option<[usize; 3]> {
        // A set of known extents holds grey or RGB images.
        (self.preprocessing.color != Color::Bgr).then(|| self.preprocessing.input())
    }
    fn is_remote(&self) -> bool {
        self.inner.is_remote()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Filter, Loader, MemoryDataset, Resize};

    fn photo(h: usize, w: usize) -> Image<'static> {
        let data: Vec<u8> = (0..h * w * 3).map(|i| (i * 7 % 251) as u8).collect();
        Image::new(h, w, Color::Rgb, data).unwrap()
    }

    fn cropped() -> Preprocessing {
        Preprocessing {
            resize: Resize::ShortSide { to: 6 },
            filter: Filter::Bilinear,
            crop: Some([4, 4]),
            ..Preprocessing::exact([3, 4, 4]).unwrap()
        }
    }

    #[test]
    fn ten_crops_are_corners_and_centre_and_mirrors() {
        let p = cropped();
        // As large as the resize wants it, so that pixels can be found again.
        let image = photo(6, 9);
        let pixel = |y: usize, x: usize| image.data()[(y * 9 + x) * 3..][..3].to_vec();
        let views = p.views(&image, Views::TenCrop).unwrap();
        assert_eq!(views.len(), Views::TenCrop.count());
        for (view, (y, x)) in views.iter().zip([(0, 0), (0, 5), (2, 0), (2, 5), (1, 2)]) {
            assert_eq!((view.height(), view.width()), (4, 4));
            assert_eq!(view.data()[..3], pixel(y, x));
            assert_eq!(view.data()[45..], pixel(y + 3, x + 3));
        }
        assert_eq!(views[4], p.prepared(&image).unwrap());
        for (view, mirror) in views[..5].iter().zip(&views[5..]) {
            assert_eq!(mirrored(mirror), *view);
            assert_eq!(mirror.data()[..3], view.data()[9..12]);
        }
        let flip = p.views(&photo(31, 17), Views::Flip).unwrap();
        assert_eq!(flip[0], p.prepared(&photo(31, 17)).unwrap());
        assert_eq!((flip.len(), mirrored(&flip[0])), (2, flip[1].clone()));
        let e = Preprocessing::exact([3, 8, 8]).unwrap().views(&image, Views::TenCrop).unwrap_err().to_string();
        assert!(e.contains("ten crops of 8 × 8 where the whole image is resized") && e.contains("flip"), "{e}");
        assert!(Views::ALL.iter().all(|v| Views::by_name(v.name()) == Some(*v)) && Views::by_name("x").is_none());
    }

    #[test]
    fn a_loader_gives_views_one_after_the_other() {
        let data: Vec<u8> = (0..3 * 12 * 10 * 3).map(|i| (i % 253) as u8).collect();
        let names = vec!["a".to_string(), "b".into()];
        let inner: Arc<dyn Dataset> =
            Arc::new(MemoryDataset::new("m", 12, 10, Color::Rgb, data, vec![0, 1, 1], names).unwrap());
        for color in [Color::Rgb, Color::Bgr, Color::Grey] {
            let c = color.channels();
            let p = Preprocessing { color, mean: vec![0.25; c], std: vec![0.5; c], ..cropped() };
            let (views, own) = ViewDataset::new(inner.clone(), &p, Views::TenCrop).unwrap();
            assert_eq!((views.len(), views.labels()[9], views.labels()[10]), (30, 0, 1));
            assert_eq!(views.id(19), inner.id(1));
            assert!(views.image(30).is_err());
            let loader = Loader::evaluation(Arc::new(views), own, 10, 2).unwrap();
            for (i, batch) in loader.epoch(0, 0).enumerate() {
                let batch = batch.unwrap();
                let centre = &batch.images.as_f32().unwrap()[4 * 16 * c..5 * 16 * c];
                assert_eq!(centre, p.apply(&inner.image(i).unwrap()).unwrap());
            }
        }
    }
}
