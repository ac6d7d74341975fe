//! What a check of data found, as a page with pictures.

use gabor_data::{CheckReport, Color, Example, Finding, FindingKind, Image, Place, Preprocessing, Severity, Splits};
use gabor_report::{Figure, Gallery, Picture, Row, Section, Shown, bytes, class_name, class_names, count};

/// Longest side of a picture on the page.
const SIDE: usize = 160;
/// Pictures of a group that are shown.
const MEMBERS: usize = 6;
/// Remarks on files that pictures say nothing about.
const WITHOUT_PICTURES: [FindingKind; 5] = [
    FindingKind::NotCompared,
    FindingKind::Source,
    FindingKind::ClassMissing,
    FindingKind::FewSamples,
    FindingKind::Imbalance,
];

/// The page of a check: numbers of the parts, then every finding with its pictures side by side, at most `shown`
/// instances of each. Pictures are decoded again, one at a time.
pub fn check_page(title: &str, splits: &Splits, report: &CheckReport, shown: usize) -> Gallery {
    let samples: usize = report.parts.iter().map(|p| p.samples).sum();
    let figure = |severity, what: &str| {
        let n = report.count(severity) as u64;
        Figure::new(what, count(n), if n == 1 { "kind" } else { "kinds" })
    };
    let files: u64 = report.parts.iter().map(|p| p.bytes).sum();
    let size = if files > 0 { bytes(files) } else { String::new() };
    Gallery {
        eyebrow: "gabor · check of data".into(),
        title: title.into(),
        subtitle: format!("{}, {} classes.", report.kind, report.classes.len()),
        figures: vec![
            Figure::new("samples", count(samples as u64), size),
            figure(Severity::Error, "errors"),
            figure(Severity::Warning, "warnings"),
            figure(Severity::Note, "notes"),
        ],
        tables: tables(report),
        sections: report.findings.iter().map(|f| section(splits, f, shown)).collect(),
    }
}

/// Heads and rows.
type Table = (Vec<String>, Vec<Vec<String>>);

fn tables(report: &CheckReport) -> Vec<Table> {
    let three = |v: Option<[u32; 3]>| v.map_or("–".into(), |[a, b, c]| format!("{a} / {b} / {c}"));
    let listed = |all: &std::collections::BTreeMap<String, usize>| {
        let all: Vec<String> = all.iter().map(|(name, n)| format!("{} {name}", count(*n as u64))).collect();
        if all.is_empty() { "–".into() } else { all.join(", ") }
    };
    let head = ["part", "samples", "width (least / middle / largest)", "height", "formats", "colours"];
    let rows = report.parts.iter().map(|p| {
        let sizes = [three(p.width), three(p.height), listed(&p.formats), listed(&p.modes)];
        [p.name.clone(), count(p.samples as u64)].into_iter().chain(sizes).collect()
    });
    let mut out = vec![(head.map(String::from).to_vec(), rows.collect())];
    if report.classes.len() <= 100 {
        let head = std::iter::once("class".to_string()).chain(report.parts.iter().map(|p| p.name.clone())).collect();
        let counts =
            |c: usize| report.parts.iter().map(move |p| count(p.per_class.get(c).copied().unwrap_or(0) as u64));
        let rows = class_names(&report.classes)
            .into_iter()
            .enumerate()
            .map(|(c, n)| std::iter::once(n).chain(counts(c)).collect());
        out.push((head, rows.collect()));
    }
    out
}

fn section(splits: &Splits, f: &Finding, shown: usize) -> Section {
    let mark = match f.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let pictures = !WITHOUT_PICTURES.contains(&f.kind);
    Section {
        title: f.text.clone(),
        mark: mark.into(),
        note: if f.right.is_empty() { String::new() } else { format!("Right would be: {}.", f.right) },
        rows: f.examples.iter().take(shown).map(|e| row(splits, e, pictures)).collect(),
        left_out: f.examples.len().saturating_sub(shown),
    }
}

fn row(splits: &Splits, e: &Example, pictures: bool) -> Row {
    let shown = e.samples.iter().take(if pictures { MEMBERS } else { 0 }).map(|p| Shown {
        picture: picture(splits, p),
        name: short(&p.id),
        about: format!("{} · {}", p.part, class_name(&p.class)),
    });
    let more = e.samples.len().saturating_sub(MEMBERS);
    let text = if more > 0 { format!("{} · and {more} more", e.text) } else { e.text.clone() };
    Row { pictures: shown.collect(), text }
}

/// The last two parts of a path.
fn short(id: &str) -> String {
    let parts: Vec<&str> = id.rsplit(['/', '\\']).take(2).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// A sample made small; `None` where it cannot be read.
fn picture(splits: &Splits, place: &Place) -> Option<Picture> {
    let set = match place.part.as_str() {
        "train" => splits.train.as_ref(),
        "validation" => splits.validation.as_ref(),
        _ => splits.test.as_ref(),
    };
    let image = set?.image(place.index).ok()?;
    let image = small(&image)?;
    Picture::new(image.width(), image.height(), image.channels(), image.data().to_vec())
}

fn small(image: &Image<'_>) -> Option<Image<'static>> {
    let (h, w) = (image.height(), image.width());
    let most = h.max(w);
    if most <= SIDE && image.color() != Color::Bgr {
        return Some(image.view().into_owned());
    }
    let most = most.max(SIDE);
    let channels = if image.color() == Color::Grey { 1 } else { 3 };
    let to = |side: usize| (side * SIDE / most).max(1);
    Preprocessing::exact([channels, to(h), to(w)]).ok()?.prepared(image).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_data::{CheckOptions, Near, check, digits};

    #[test]
    fn a_page_shows_pictures_of_what_was_found() {
        let splits = digits();
        let options = CheckOptions { near: Near::Bits(10), ..Default::default() };
        let report = check(&splits, &options, &mut |_, _| {}).unwrap();
        let page = check_page("digits", &splits, &report, 3);
        let near = page.sections.iter().find(|s| s.mark == "warning").unwrap();
        assert!(near.rows.len() <= 3 && near.rows[0].pictures.iter().all(|p| p.picture.is_some()), "{near:?}");
        let html = page.to_html();
        assert!(html.contains("data:image/png") && !html.contains("http"));
        assert_eq!(short("/a/b/train/ants/x.jpg"), "ants/x.jpg");
        let long = Image::new(10, 4000, Color::Rgb, vec![1; 120_000]).unwrap();
        assert_eq!(small(&long).map(|i| (i.height(), i.width())), Some((1, 160)));
    }
}
