//! A map of pictures in two dimensions: a page to wander about in, and a drawing.

mod draw;
mod page;

use crate::Picture;
use crate::style::CLASSES;

/// A picture on the map.
#[derive(Clone, Debug, PartialEq)]
pub struct AtlasPoint {
    /// Where it is; only relations count.
    pub place: [f64; 2],
    /// Its class, an index of [`Atlas::classes`].
    pub class: u32,
    /// What it is called.
    pub id: String,
    /// The picture, small.
    pub picture: Picture,
    /// Its nearest pictures by features, as indices of [`Atlas::points`].
    pub near: Vec<u32>,
}

/// A map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Atlas {
    /// The heading.
    pub title: String,
    /// A line below it: model, layer, method.
    pub subtitle: String,
    /// Figures with their names, such as how far the map can be believed.
    pub figures: Vec<(String, String)>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The pictures.
    pub points: Vec<AtlasPoint>,
}

const SHAPES: usize = 6;

/// Colour and shape of a class: 20 classes differ in colour, neighbours in the list in both, and 120 classes in at least one.
fn mark(class: usize) -> (usize, usize) {
    (class % CLASSES.len(), (class + 3 * (class / CLASSES.len())) % SHAPES)
}

/// A mark of radius 1 about the origin, as the path of an SVG or a canvas.
const PATHS: [&str; SHAPES] = [
    "M1 0A1 1 0 1 1 -1 0A1 1 0 1 1 1 0Z",
    "M-.9 -.9H.9V.9H-.9Z",
    "M0 -1.15L1.1 .8H-1.1Z",
    "M0 -1.25L1.25 0L0 1.25L-1.25 0Z",
    "M0 1.15L1.1 -.8H-1.1Z",
    "M-.4 -1.15H.4V-.4H1.15V.4H.4V1.15H-.4V.4H-1.15V-.4H-.4Z",
];

impl Atlas {
    /// Smallest and largest place of each axis, of points that have one.
    fn bounds(&self) -> [(f64, f64); 2] {
        [0, 1].map(|c| {
            let all = self.points.iter().map(|p| p.place[c]).filter(|v| v.is_finite());
            let (a, b) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
            if a <= b { (a, b) } else { (0.0, 0.0) }
        })
    }
    /// The classes that occur, in order.
    fn present(&self) -> Vec<usize> {
        let mut seen = vec![false; self.classes.len()];
        self.points.iter().for_each(|p| {
            if let Some(s) = seen.get_mut(p.class as usize) {
                *s = true;
            }
        });
        (0..seen.len()).filter(|&c| seen[c]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn classes_can_be_told_apart() {
        assert_eq!((0..20).map(|c| mark(c).0).collect::<HashSet<_>>().len(), 20);
        assert_eq!((0..120).map(mark).collect::<HashSet<_>>().len(), 120);
        assert!((0..119).all(|c| mark(c).0 != mark(c + 1).0 && mark(c).1 != mark(c + 1).1));
    }

    pub(super) fn small() -> Atlas {
        let point = |i: usize| AtlasPoint {
            place: [i as f64, -(i as f64) * 0.5],
            class: (i % 2) as u32,
            id: format!("</script><b>{i}"),
            picture: Picture::new(3, 2, if i == 1 { 1 } else { 3 }, vec![i as u8 * 9; if i == 1 { 6 } else { 18 }])
                .unwrap(),
            near: vec![(i as u32 + 1) % 4],
        };
        Atlas {
            title: "A & B".into(),
            subtitle: "t-SNE".into(),
            figures: vec![("trust".into(), "0.9".into())],
            classes: vec!["cat".into(), "dog".into(), "none".into()],
            points: (0..4).map(point).collect(),
        }
    }

    #[test]
    fn pages_and_drawings_hold_everything() {
        let a = small();
        let page = a.to_html();
        assert!(page.contains("A &amp; B") && !page.contains("</script><b>") && page.contains("<\\/script><b>3"));
        assert!(page.contains("data:image/png;base64,") && !page.contains("http"));
        let points = a.to_svg(false);
        assert_eq!(points.matches("<use").count(), 4 + 2, "points, and the classes that occur");
        assert!(points.contains(">cat<") && !points.contains(">none<"));
        assert!(a.to_svg(true).matches("<image").count() >= 2);
        // Every class that occurs stands in the legend, however many there are.
        let classes: Vec<String> = (0..300).map(|i| format!("class {i}")).collect();
        let points = (0..300).map(|i| AtlasPoint { class: i as u32, ..a.points[0].clone() }).collect();
        let many = Atlas { classes: classes.clone(), points, ..a.clone() }.to_svg(false);
        assert!(classes.iter().all(|c| many.contains(&format!(">{c}<"))), "a class is missing");
        let one = Atlas { points: vec![AtlasPoint { place: [f64::NAN, 1.0], ..a.points[0].clone() }], ..a.clone() };
        assert!(!one.to_svg(false).contains("NaN") && !one.to_html().contains("NaN,"));
        assert!(
            Atlas::default().to_svg(true).ends_with("</svg>\n") && Atlas::default().to_html().ends_with("</html>\n")
        );
    }
}
