//! The section of a page that looks inside the network: why it answered so, and what its layers made of a picture.

use crate::chart::escape;
use crate::{Picture, Report};
use std::fmt::Write;

/// What the network looked at in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The picture as the network saw it.
    pub picture: Picture,
    /// What the data set calls it.
    pub id: String,
    /// Classes, each with the places that spoke for it.
    pub classes: Vec<(String, Picture)>,
}

/// A layer's strongest maps.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureStrip {
    /// The layer, its shape, and how many of its maps are zero everywhere.
    pub caption: String,
    /// The maps, the strongest first.
    pub maps: Vec<Picture>,
}

/// A look inside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inside {
    /// The layer whose maps the reasons come from.
    pub layer: String,
    /// Why the network answered so, for some pictures.
    pub reasons: Vec<Reason>,
    /// What layers made of the first of these pictures.
    pub strips: Vec<FeatureStrip>,
    /// Why there is nothing to see, with the commands that show it.
    pub left_out: String,
}

pub(crate) fn section(r: &Report) -> String {
    let Some(inside) = &r.inside else { return String::new() };
    let mut out = "<section>\n<h2>Inside the network</h2>\n".to_string();
    if !inside.left_out.is_empty() {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(&inside.left_out));
        return out + "</section>\n";
    }
    if !inside.reasons.is_empty() {
        let _ = writeln!(
            out,
            "<p class=\"note\">Which places of a picture spoke for the class that was <b class=\"wrong\">predicted</b> and \
             for the true one: Grad-CAM at <code>{}</code>, bright where the evidence is.</p>\n<ul class=\"rows why\">",
            escape(&inside.layer)
        );
        for reason in &inside.reasons {
            let mut figures = figure(&reason.picture, &reason.id, "picture");
            for (i, (class, picture)) in reason.classes.iter().enumerate() {
                let class = escape(class);
                let wrong = if i == 0 && reason.classes.len() > 1 { " class=\"wrong\"" } else { "" };
                figures += &figure(picture, &reason.id, &format!("for <b{wrong}>{class}</b>"));
            }
            let _ = writeln!(out, "<li title=\"{}\"><div class=\"trio\">{figures}</div></li>", escape(&reason.id));
        }
        out += "</ul>\n";
    }
    if !inside.strips.is_empty() {
        out += "<p class=\"note below\">What layers made of the first of these pictures: the maps with the largest values, bright \
                where a unit answers; where there are values below 0, blue is below and orange above.</p>\n";
        for s in &inside.strips {
            let maps: String = s.maps.iter().map(|m| image(m, &s.caption)).collect();
            let _ = writeln!(out, "<div class=\"strip\"><p>{}</p><div>{maps}</div></div>", escape(&s.caption));
        }
    }
    out + "</section>\n"
}

/// A picture with what stands below it, which is HTML already.
fn figure(picture: &Picture, alt: &str, below: &str) -> String {
    format!("<figure>{}<figcaption>{below}</figcaption></figure>", image(picture, alt))
}

fn image(p: &Picture, alt: &str) -> String {
    let class = if p.width.max(p.height) < 96 { " class=\"pixels\"" } else { "" };
    format!("<img{class} src=\"{}\" alt=\"{}\">", p.to_uri(), escape(alt))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_said() {
        let page = |inside: Inside| section(&Report { inside: Some(inside), ..Default::default() });
        assert!(page(Inside { left_out: "a < b".into(), ..Default::default() }).contains("a &lt; b"));
        let picture = Picture::new(1, 1, 1, vec![7]).unwrap();
        let reason = Reason {
            picture: picture.clone(),
            id: "i\"d".into(),
            classes: vec![("cat".into(), picture.clone()), ("<dog>".into(), picture.clone())],
        };
        let strips = vec![FeatureStrip { caption: "conv1".into(), maps: vec![picture; 3] }];
        let html = page(Inside { layer: "relu2".into(), reasons: vec![reason], strips, ..Default::default() });
        assert_eq!(html.matches("<img").count(), 6);
        assert!(html.contains("<b class=\"wrong\">cat</b>") && html.contains("<b>&lt;dog&gt;</b>"), "{html}");
        assert!(section(&Report::default()).is_empty());
    }
}
