//! The sections of the page, top to bottom. Each is empty where the report has nothing for it.

use crate::chart::{Chart, Scale, escape};
use crate::picture::svg_uri;
use crate::{ClassScore, Confusion, Figure, Picture, Report};
use std::fmt::Write;

/// More classes than this are drawn as a picture instead of a table.
const MOST_CELLS: usize = 24;

/// Title, a sentence, and the numbers that matter.
pub(crate) fn head(r: &Report) -> String {
    let kind = if r.kind.is_empty() { "report" } else { &r.kind };
    title(&format!("gabor · {kind}"), &r.title, &r.subtitle, &r.figures)
}

/// The head of a page.
pub(crate) fn title(eyebrow: &str, title: &str, subtitle: &str, figures: &[Figure]) -> String {
    let mut out = format!(
        "<header>\n<p class=\"eyebrow\">{}</p>\n<h1>{}</h1>\n<p class=\"lead\">{}</p>\n",
        escape(eyebrow),
        escape(title),
        escape(subtitle)
    );
    if !figures.is_empty() {
        out += "<dl class=\"figures\">\n";
        for f in figures {
            let _ = writeln!(
                out,
                "<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>",
                escape(&f.label),
                escape(&f.value),
                escape(&f.note)
            );
        }
        out += "</dl>\n";
    }
    out + "</header>\n"
}

/// Loss, accuracy and learning rate by epoch.
pub(crate) fn curves(r: &Report) -> String {
    let mark = r.best_epoch;
    let rate = [r.learning_rate.clone()];
    let charts = [
        Chart { title: "Loss", curves: &r.loss, scale: Scale::Auto, mark, color: 0 },
        Chart { title: "Accuracy", curves: &r.accuracy, scale: Scale::Percent, mark, color: 0 },
        Chart { title: "Learning rate", curves: &rate, scale: Scale::Linear, mark: None, color: 2 },
    ];
    let drawn: String = charts.iter().map(Chart::to_html).collect();
    if drawn.is_empty() {
        return drawn;
    }
    let note = match mark {
        Some(e) => format!("<p class=\"note\">The dashed line marks epoch {e}, whose weights were kept.</p>\n"),
        None => String::new(),
    };
    format!("<section>\n<h2>Learning curves</h2>\n<div class=\"charts\">\n{drawn}</div>\n{note}</section>\n")
}

/// The confusion matrix, and how well each class is told from the others.
pub(crate) fn confusion(r: &Report) -> String {
    let Some(c) = r.confusion.as_ref().filter(|c| c.total() > 0) else { return String::new() };
    let on = if r.evaluated_on.is_empty() { String::new() } else { format!(" on the {} images", r.evaluated_on) };
    let matrix = if c.classes.len() <= MOST_CELLS { cells(c) } else { heat_map(c) };
    let mut facts = String::new();
    if !r.scores.is_empty() {
        facts += "<dl class=\"facts\">\n";
        for (k, v) in &r.scores {
            let _ = writeln!(facts, "<div><dt>{}</dt><dd>{}</dd></div>", escape(k), escape(v));
        }
        facts += "</dl>\n";
    }
    format!(
        "<section>\n<h2>Confusion{}</h2>\n{facts}<div class=\"split\">\n<div>{matrix}</div>\n<div>{}</div>\n</div>\n</section>\n",
        escape(&on),
        scores(c)
    )
}

/// How strongly right predictions are coloured: by their part of the class.
fn right(count: u64, row: u64) -> f64 {
    (count as f64 / row.max(1) as f64).sqrt()
}

/// How strongly mistakes are coloured: against the most frequent one, or 2 % of the class where all are rare, so that
/// they are seen however many images there are.
fn wrong(count: u64, row: u64, most: u64) -> f64 {
    0.1 + 0.65 * (count as f64 / (most as f64).max(row as f64 * 0.02).max(1.0)).sqrt().min(1.0)
}

/// The count of the most frequent mistake.
fn most_wrong(c: &Confusion) -> u64 {
    c.worst_pairs(1).first().map_or(0, |p| p.2)
}

fn cells(c: &Confusion) -> String {
    let names = c.names();
    // Long names stand upright, so that columns stay narrow and of one width.
    let longest = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let upright = if c.classes.len() > 4 && longest > 5 { " upright" } else { "" };
    let mut out = format!(
        "<div class=\"scroll\"><table class=\"matrix{upright}\">\n<thead><tr><th class=\"corner\" scope=\"col\">true \u{2193}<br>predicted \u{2192}</th>"
    );
    for name in &names {
        let _ = write!(out, "<th scope=\"col\"><span>{}</span></th>", escape(name));
    }
    out += "</tr></thead>\n<tbody>\n";
    let most = most_wrong(c);
    for (t, row) in c.counts.iter().enumerate() {
        let sum: u64 = row.iter().sum();
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(&names[t]));
        for (p, &count) in row.iter().enumerate() {
            let kind = if t == p { "right" } else { "wrong" };
            let v = if t == p { right(count, sum) } else { wrong(count, sum, most) };
            if count == 0 {
                out += "<td>\u{b7}</td>";
                continue;
            }
            let strong = if v > 0.6 { " strong" } else { "" };
            let _ = write!(
                out,
                "<td class=\"{kind}{strong}\" style=\"--v:{:.0}%\" title=\"{count} of {sum} images of {} taken for {}\">{count}</td>",
                v * 100.0,
                escape(&names[t]),
                escape(&names[p])
            );
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>\n"
}

/// Many classes: a picture of one pixel per cell, and the pairs that are taken for each other.
fn heat_map(c: &Confusion) -> String {
    let (n, most) = (c.classes.len(), most_wrong(c));
    let mut data = Vec::with_capacity(n * n * 3);
    for (t, row) in c.counts.iter().enumerate() {
        let sum: u64 = row.iter().sum();
        for (p, &count) in row.iter().enumerate() {
            let v = match count {
                0 => 0.0,
                _ if t == p => right(count, sum),
                _ => wrong(count, sum, most),
            };
            let full: [f64; 3] = if t == p { [0.0, 114.0, 178.0] } else { [213.0, 94.0, 0.0] };
            data.extend(full.map(|f| (255.0 + (f - 255.0) * v).round() as u8));
        }
    }
    let mut out = String::new();
    if let Some(p) = Picture::new(n, n, 3, data) {
        let _ = writeln!(
            out,
            "<img class=\"heat pixels\" src=\"{}\" alt=\"Confusion matrix of {n} classes: rows are true, columns predicted\">",
            p.to_uri()
        );
    }
    out += "<table><thead><tr><th>true</th><th>taken for</th><th class=\"num\">times</th></tr></thead><tbody>\n";
    let names = c.names();
    for (t, p, count) in c.worst_pairs(16) {
        let (t, p) = (escape(&names[t]), escape(&names[p]));
        let _ = writeln!(out, "<tr><td>{t}</td><td>{p}</td><td class=\"num\">{count}</td></tr>");
    }
    out + "</tbody></table>\n"
}

/// More classes than this are sorted, the worst first.
const MOST_UNSORTED: usize = 12;

fn scores(c: &Confusion) -> String {
    let mut out = "<div class=\"scroll tall\"><table class=\"scores\"><thead><tr><th scope=\"col\">class</th><th scope=\"col\" class=\"num\">images</th>\
                   <th scope=\"col\">precision</th><th scope=\"col\">recall</th><th scope=\"col\" class=\"num\">F\u{2081}</th></tr></thead>\n<tbody>\n"
        .to_string();
    let bar = |v: Option<f64>| match v {
        Some(v) => format!("<td class=\"bar\" style=\"--v:{:.1}%\"><span>{:.1} %</span></td>", v * 100.0, v * 100.0),
        None => "<td class=\"bar\" style=\"--v:0%\"><span>\u{2013}</span></td>".to_string(),
    };
    let mut all: Vec<(ClassScore, String)> = c.scores().into_iter().zip(c.names()).collect();
    let sorted = all.len() > MOST_UNSORTED;
    if sorted {
        // Classes of which nothing is known come last.
        all.sort_by(|(a, _), (b, _)| a.f1.unwrap_or(2.0).total_cmp(&b.f1.unwrap_or(2.0)).then(b.count.cmp(&a.count)));
    }
    for (s, name) in all {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"num\">{}</td>{}{}<td class=\"num\">{}</td></tr>",
            escape(&name),
            s.count,
            bar(s.precision),
            bar(s.recall),
            s.f1.map_or("\u{2013}".into(), |f| format!("{f:.3}"))
        );
    }
    out += "</tbody></table></div>\n";
    if sorted {
        out += "<p class=\"note\">Each class against all others, the worst first.</p>\n";
    }
    out
}

/// Models that were measured together.
pub(crate) fn models(r: &Report) -> String {
    let t = &r.models;
    if t.rows.is_empty() {
        return String::new();
    }
    let class = |c: usize| if c == 0 { "" } else { " class=\"num\"" };
    let mut out = "<section>\n<h2>Models</h2>\n<div class=\"scroll\"><table class=\"models\"><thead><tr>".to_string();
    for (c, head) in t.head.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(c), escape(head));
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in &t.rows {
        out += "<tr>";
        for c in 0..t.head.len() {
            let _ = write!(out, "<td{}>{}</td>", class(c), escape(row.get(c).map_or("", String::as_str)));
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>\n</section>\n"
}

/// Training samples as the network saw them.
pub(crate) fn seen(r: &Report) -> String {
    if r.seen.is_empty() {
        return String::new();
    }
    let mut out =
        "<section>\n<h2>What the network saw</h2>\n<p class=\"note\">Training images of the first epoch, after \
                   augmentation.</p>\n"
            .to_string();
    out += &list(r.seen.first().map(|s| &s.picture));
    for s in &r.seen {
        let _ = writeln!(
            out,
            "<li title=\"{}\">{}<p><b>{}</b></p></li>",
            escape(&s.id),
            image(&s.picture, &s.id),
            escape(&s.class)
        );
    }
    out + "</ul>\n</section>\n"
}

/// The worst mistakes as pictures, and the hardest images where there are few mistakes.
pub(crate) fn mistakes(r: &Report) -> String {
    let mut out = String::new();
    if !r.mistakes.is_empty() {
        out += "<section>\n<h2>Top losses</h2>\n<p class=\"note\">Wrong predictions, those first that gave the true class \
                the least probability: <b class=\"wrong\">predicted</b> above <b>true</b> class.</p>\n";
        out += &list(r.mistakes.first().map(|m| &m.picture));
        for m in &r.mistakes {
            let _ = writeln!(
                out,
                "<li title=\"{}\">{}<p><b class=\"wrong\">{}</b><span>{}</span></p><p><b>{}</b><span>{}</span></p><p class=\"loss\"><span>loss</span><span>{}</span></p></li>",
                escape(&m.id),
                image(&m.picture, &m.id),
                escape(&m.predicted),
                small_percent(m.probability),
                escape(&m.truth),
                m.truth_probability.map_or(String::new(), small_percent),
                short_loss(m.loss)
            );
        }
        out += "</ul>\n</section>\n";
    }
    if !r.hardest.is_empty() {
        let none = match (&r.confusion, r.mistakes.len()) {
            (Some(c), 0) => format!("All {} {} images are told right. ", c.total(), escape(&r.evaluated_on)),
            _ => String::new(),
        };
        let _ = writeln!(
            out,
            "<section>\n<h2>Hardest images</h2>\n<p class=\"note\">{none}Right predictions of which the network was least \
             certain.</p>"
        );
        out += &list(r.hardest.first().map(|m| &m.picture));
        for m in &r.hardest {
            let _ = writeln!(
                out,
                "<li title=\"{}\">{}<p><b>{}</b><span>{}</span></p><p class=\"loss\"><span>loss</span><span>{}</span></p></li>",
                escape(&m.id),
                image(&m.picture, &m.id),
                escape(&m.truth),
                small_percent(m.probability),
                short_loss(m.loss)
            );
        }
        out += "</ul>\n</section>\n";
    }
    out
}

fn short_loss(loss: f64) -> String {
    if loss >= 1e6 { "\u{221e}".into() } else { format!("{loss:.3}") }
}

fn small_percent(p: f64) -> String {
    if p > 0.0 && p < 0.005 { "< 1 %".replace('<', "&lt;") } else { format!("{:.0} %", p * 100.0) }
}

/// The beginning of a list of pictures like this one: photographs get more room than digits.
fn list(first: Option<&Picture>) -> String {
    let large = first.is_some_and(|p| p.width.max(p.height) >= 96);
    format!("<ul class=\"mistakes{}\">\n", if large { " large" } else { "" })
}

/// Small pictures are enlarged pixel by pixel, large ones smoothly.
fn image(p: &Picture, alt: &str) -> String {
    let class = if p.width.max(p.height) < 96 { " class=\"pixels\"" } else { "" };
    format!("<img{class} src=\"{}\" alt=\"{}\">", p.to_uri(), escape(alt))
}

/// The first layer's filters, as `gabor filters` draws them.
pub(crate) fn filters(r: &Report) -> String {
    let Some((layer, svg)) = &r.filters else { return String::new() };
    format!(
        "<section>\n<h2>First-layer filters</h2>\n<img class=\"drawing\" src=\"{}\" alt=\"Filters of {}\">\n</section>\n",
        svg_uri(svg),
        escape(layer)
    )
}

/// The table of layers.
pub(crate) fn layers(r: &Report) -> String {
    if r.layers.is_empty() {
        return String::new();
    }
    let numeric = |c: usize| {
        let digits = |t: &String| {
            t.starts_with(|x: char| x.is_ascii_digit() || x == '–') && !t.contains('×') && !t.contains('x')
        };
        r.layers.iter().filter_map(|l| l.cells.get(c)).all(|t| t.is_empty() || digits(t))
    };
    let class = |c: usize| if numeric(c) { " class=\"num\"" } else { "" };
    let mut out = "<section>\n<h2>Network</h2>\n<div class=\"scroll\"><table class=\"layers\"><thead><tr>".to_string();
    for (c, head) in r.layer_columns.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(c), escape(head));
    }
    out += "</tr></thead>\n<tbody>\n";
    for layer in &r.layers {
        out += "<tr>";
        for (c, cell) in layer.cells.iter().enumerate() {
            let _ = write!(out, "<td{}>{}</td>", class(c), escape(cell));
        }
        out += "</tr>\n";
    }
    out += "</tbody></table></div>\n";
    for note in &r.layer_notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(note));
    }
    out + "</section>\n"
}

/// Configuration, provenance and the next commands.
pub(crate) fn origin(r: &Report) -> String {
    let mut out = String::new();
    if !r.commands.is_empty() {
        out += "<section>\n<h2>What to do with it</h2>\n<dl class=\"commands\">\n";
        for (command, what) in &r.commands {
            let _ = writeln!(out, "<dt>{}</dt><dd><code>{}</code></dd>", escape(what), escape(command));
        }
        out += "</dl>\n</section>\n";
    }
    if !r.provenance.is_empty() {
        out += "<section>\n<h2>Provenance</h2>\n<dl class=\"pairs\">\n";
        for (k, v) in &r.provenance {
            let _ = writeln!(out, "<dt>{}</dt><dd>{}</dd>", escape(k), escape(v));
        }
        out += "</dl>\n</section>\n";
    }
    if !r.notes.is_empty() {
        out += "<section>\n<h2>Warnings and notes</h2>\n<ul class=\"notes\">\n";
        for note in &r.notes {
            let lines: Vec<String> = note.lines().map(|l| escape(l.trim_end())).collect();
            let _ = writeln!(out, "<li>{}</li>", lines.join("<br>"));
        }
        out += "</ul>\n</section>\n";
    }
    if !r.configuration.is_empty() {
        let _ = writeln!(
            out,
            "<section>\n<h2>Configuration</h2>\n<pre class=\"settings\">{}</pre>\n</section>",
            escape(r.configuration.trim_end())
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::*;

    #[test]
    fn everything_is_escaped_and_nothing_is_fetched() {
        let nasty = "<script>&\"".to_string();
        let picture = Picture::new(1, 1, 1, vec![7]).unwrap();
        let mut confusion = Confusion::new(vec![nasty.clone(), "b".into()]);
        confusion.add(0, 1);
        let r = Report {
            title: nasty.clone(),
            subtitle: nasty.clone(),
            figures: vec![Figure::new(&nasty, &nasty, &nasty)],
            loss: vec![Curve::new(&nasty, vec![(0.0, 1.0), (1.0, 0.5)]), Curve::new("v", vec![(1.0, 0.5)])],
            confusion: Some(confusion),
            evaluated_on: nasty.clone(),
            mistakes: vec![Mistake {
                picture: picture.clone(),
                id: nasty.clone(),
                predicted: nasty.clone(),
                probability: 0.9,
                truth: nasty.clone(),
                truth_probability: Some(1e-4),
                loss: 9.2,
            }],
            seen: vec![Seen { picture: picture.clone(), class: nasty.clone(), id: nasty.clone() }],
            models: Table { head: vec![nasty.clone(); 2], rows: vec![vec![nasty.clone()]] },
            scores: vec![(nasty.clone(), nasty.clone())],
            filters: Some((nasty.clone(), "<svg></svg>".into())),
            layer_columns: vec![nasty.clone()],
            layers: vec![LayerRow { cells: vec![nasty.clone()] }],
            layer_notes: vec![nasty.clone()],
            notes: vec![nasty.clone()],
            configuration: nasty.clone(),
            provenance: vec![(nasty.clone(), nasty.clone())],
            commands: vec![(nasty.clone(), nasty)],
            ..Default::default()
        };
        let page = r.to_html();
        assert!(!page.contains("<script") && !page.contains("http") && !page.contains("NaN"));
        assert!(page.contains("&lt;script&gt;&amp;&quot;"));
        for tag in ["section", "table", "tr", "td", "th", "ul", "li", "dl", "div", "p", "figure", "svg", "g", "main"] {
            let open = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
            assert_eq!(open, page.matches(&format!("</{tag}>")).count(), "{tag}");
        }
    }

    #[test]
    fn many_classes_are_a_picture() {
        let mut c = Confusion::new((0..30).map(|i| format!("c{i}")).collect());
        c.add(3, 4);
        c.add(5, 5);
        let wide = |names: [&str; 5]| {
            let mut c = Confusion::new(names.map(String::from).to_vec());
            c.add(0, 1);
            Report { confusion: Some(c), ..Default::default() }.to_html().contains("class=\"matrix upright\"")
        };
        assert!(wide(["automobile", "b", "c", "d", "e"]) && !wide(["a", "b", "c", "d", "e"]));
        // Tables of few and of many classes say what classes are called, and not which synset they are.
        for n in [3, 30] {
            let mut named = Confusion::new((0..n).map(|i| format!("n{i:08} c{i}")).collect());
            named.add(0, 1);
            let text = named.to_text();
            let page = Report { confusion: Some(named), ..Default::default() }.to_html();
            assert!(page.contains("c1") && !page.contains("n0000") && !text.contains("n0000"), "{text}");
        }
        let page = Report { confusion: Some(c), ..Default::default() }.to_html();
        assert!(page.contains("class=\"heat pixels\"") && page.contains("<td>c3</td><td>c4</td>"));
        let at = |class: &str| page.find(&format!("<th scope=\"row\">{class}</th>")).unwrap();
        assert!(at("c3") < at("c5") && at("c5") < at("c0"), "worst first, unknown last");
    }
}
