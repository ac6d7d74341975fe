use super::*;

fn block(title: &str, kind: BlockKind) -> Block {
    let (name, title) = (format!("layer.{title}"), title.to_string());
    Block { name, kind, title, extras: vec!["relu".into()], output: "8×4×4".into(), parameters: 10 }
}
/// An input, `times` residual blocks of two convolutions, an output.
fn residual(times: usize) -> Diagram {
    let mut d = Diagram { title: "r & <b>".into(), subtitle: "\"s\"".into(), ..Default::default() };
    d.blocks.push(block("in", BlockKind::Input));
    for _ in 0..times {
        let at = d.blocks.len();
        for (title, kind) in [("a", BlockKind::Conv), ("b", BlockKind::Conv), ("add", BlockKind::Join)] {
            d.blocks.push(block(title, kind));
        }
        d.links.extend([(at - 1, at), (at, at + 1), (at + 1, at + 2), (at - 1, at + 2)]);
    }
    d.blocks.push(block("out", BlockKind::Output));
    d.links.push((d.blocks.len() - 2, d.blocks.len() - 1));
    d
}

/// Whether every tag is closed, in order, and quotes are paired: what a reader of XML wants.
pub(crate) fn is_well_formed(xml: &str) -> bool {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        let entities = ["&amp;", "&lt;", "&gt;", "&quot;"].iter().map(|e| text.matches(e).count()).sum::<usize>();
        let Some(end) = rest[at..].find('>') else { return false };
        let tag = &rest[at + 1..at + end];
        if text.contains('>')
            || text.matches('&').count() != entities
            || !tag.matches('"').count().is_multiple_of(2)
            || tag.contains('<')
        {
            return false;
        }
        match (tag.strip_prefix('/'), tag.strip_suffix('/')) {
            (Some(name), _) => {
                if open.pop() != Some(name) {
                    return false;
                }
            }
            (None, Some(_)) => {}
            (None, None) => open.push(tag.split(' ').next().unwrap_or_default()),
        }
        rest = &rest[at + end + 1..];
    }
    open.is_empty() && rest.trim().is_empty()
}

#[test]
fn repeats_are_drawn_once() {
    let (folded, frames) = residual(5).folded();
    assert_eq!(folded.blocks.len(), 5);
    assert_eq!(folded.links, [(0, 1), (0, 3), (1, 2), (2, 3), (3, 4)]);
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].times, frames[0].blocks.as_slice()), (5, &[1, 2, 3][..]));
    // Other extents, other blocks.
    let mut other = residual(4);
    other.blocks[4].output = "16×2×2".into();
    let (folded, frames) = other.folded();
    assert_eq!((folded.blocks.len(), frames.len(), frames[0].times), (11, 1, 2));
    // A pair that repeats: a b a b a b.
    let mut chain = Diagram { blocks: vec![block("in", BlockKind::Input)], ..Default::default() };
    chain.links.push((0, 1));
    for i in 1..7 {
        chain.blocks.push(block(if i % 2 == 0 { "a" } else { "b" }, BlockKind::Conv));
        chain.links.push((i, i + 1));
    }
    let (folded, frames) = chain.folded();
    assert_eq!((folded.blocks.len(), frames[0].times), (3, 3));
    assert_eq!(folded.links, [(0, 1), (1, 2)]);
    assert_eq!(Diagram::default().folded().0, Diagram::default());
}

#[test]
fn boxes_do_not_overlap_and_arrows_go_down() {
    // A module of four branches of different lengths, twice, with an arrow around both.
    let mut links = Vec::new();
    let mut n = 1;
    for _ in 0..2 {
        let from = n - 1;
        let mut ends = Vec::new();
        for length in 1..5 {
            let mut last = from;
            for _ in 0..length {
                links.push((last, n));
                last = n;
                n += 1;
            }
            ends.push(last);
        }
        links.extend(ends.into_iter().map(|e| (e, n)));
        n += 1;
    }
    links.push((0, n - 1));
    let sizes: Vec<(f64, f64)> = (0..n).map(|i| (80.0 + 9.0 * (i % 5) as f64, 40.0 + 3.0 * (i % 3) as f64)).collect();
    let l = layout::layout(&sizes, &links);
    for (i, a) in l.boxes.iter().enumerate() {
        assert!(
            a.x - a.width / 2.0 >= -1e-6 && a.x + a.width / 2.0 <= l.width + 1e-6 && a.y + a.height / 2.0 <= l.height
        );
        for b in &l.boxes[i + 1..] {
            let apart =
                ((a.x - b.x).abs() - (a.width + b.width) / 2.0).max((a.y - b.y).abs() - (a.height + b.height) / 2.0);
            assert!(apart > 5.0, "{a:?} {b:?}");
        }
    }
    for (path, &(a, b)) in l.paths.iter().zip(&links) {
        assert!(path.windows(2).all(|w| w[0].1 <= w[1].1 + 1e-9), "{path:?}");
        assert!(l.boxes[a].y < l.boxes[b].y);
        // No arrow runs through a box that it does not belong to.
        for (i, p) in l.boxes.iter().enumerate().filter(|(i, _)| *i != a && *i != b) {
            for w in path.windows(2).filter(|w| w[0].0 == w[1].0) {
                let beside = (w[0].0 - p.x).abs() > p.width / 2.0;
                let outside = w[1].1 <= p.y - p.height / 2.0 || w[0].1 >= p.y + p.height / 2.0;
                assert!(beside || outside, "link {a}→{b} through {i}");
            }
        }
    }
    // Blocks that stand alone in their rank stand one below the other.
    let spine: Vec<f64> = [0, n - 1].iter().map(|&i| l.boxes[i].x).collect();
    assert!((spine[0] - spine[1]).abs() < 1.0, "{spine:?}");
}

#[test]
fn files_are_well_formed() {
    for folded in [false, true] {
        let svg = residual(3).to_svg(folded);
        assert!(is_well_formed(&svg), "{svg}");
        assert!(svg.contains("r &amp; &lt;b&gt;") && svg.contains("&quot;s&quot;"));
        assert_eq!(svg.contains("× 3"), folded);
        assert!(!svg.contains("http://") || svg.matches("http").count() == 1, "only the name space");
        let dot = residual(3).to_dot(folded);
        assert_eq!(dot.contains("× 3"), folded);
        assert!(dot.starts_with("digraph \"r & <b>\" {") && dot.contains("b0 -> b1 [label=\" 8×4×4\"];"), "{dot}");
    }
    // Names that would end an attribute, a text or a string; links that lead nowhere; nothing at all.
    let mut strange = residual(1);
    strange.blocks[1].name = "a\"><script>\u{1}".into();
    strange.blocks[1].title = "x\\\"\n]; y".repeat(30);
    strange.links.extend([(7, 9), (3, 1), (1, 1)]);
    assert!(is_well_formed(&strange.to_svg(true)) && is_well_formed(&strange.to_svg(false)));
    let dot = strange.to_dot(false);
    let strings = dot.replace("\\\\", "").replace("\\\"", "");
    assert!(strings.lines().all(|l| l.matches('"').count() % 2 == 0), "{dot}");
    assert!(is_well_formed(&Diagram::default().to_svg(true)));
    assert!(Diagram::default().to_dot(true).ends_with("}\n"));
    assert!(!is_well_formed("<a><b></a>") && !is_well_formed("<a>&</a>") && !is_well_formed("<a b=\"></a>"));
}

/// Thousands of blocks and arrows past all of them take no long time.
#[test]
fn large_networks_are_drawn() {
    let mut d = Diagram::default();
    for i in 0..400 {
        d.blocks.push(block(&format!("l{i}"), BlockKind::Conv));
        d.links.extend((i % 50..i).rev().take(25).map(|from| (from, i)));
    }
    let since = std::time::Instant::now();
    assert!(is_well_formed(&d.to_svg(true)));
    assert!(since.elapsed().as_secs() < 20, "{:?}", since.elapsed());
}

/// A long title does not make a narrow network wide, and does not run out of the picture.
#[test]
fn long_titles_are_fitted() {
    let words = "a network with a very long name, of a file in a folder that has one, too ".repeat(4);
    let mut d = Diagram { title: words.clone(), subtitle: words, ..Default::default() };
    d.blocks.push(block("a", BlockKind::Conv));
    let svg = d.to_svg(true);
    let width: f64 = svg.split(" width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
    assert!(width < 500.0 && svg.contains('…') && svg.matches("class=\"m\" x=\"28\"").count() > 1, "{svg}");
}
