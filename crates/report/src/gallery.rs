//! A page of pictures that stand side by side, in sections with text: what a check of data found.

use crate::chart::escape;
use crate::page::frame;
use crate::{Figure, Picture};
use std::fmt::Write;

/// A picture with what it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The picture; `None` where there is none to show, such as of a damaged file.
    pub picture: Option<Picture>,
    /// Its name, such as a path.
    pub name: String,
    /// What to know of it: its class, its part.
    pub about: String,
}

/// Pictures that belong together, and a sentence on them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// The pictures; may be none.
    pub pictures: Vec<Shown>,
    /// The sentence.
    pub text: String,
}

/// A part of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// A word before the title: `error`, `warning`.
    pub mark: String,
    /// Remarks below the title.
    pub note: String,
    /// Its rows.
    pub rows: Vec<Row>,
    /// How many rows there are beyond those.
    pub left_out: usize,
}

/// A page of pictures in sections.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gallery {
    /// A word above the title.
    pub eyebrow: String,
    /// The title.
    pub title: String,
    /// A sentence below it.
    pub subtitle: String,
    /// Numbers at the head.
    pub figures: Vec<Figure>,
    /// Tables below them: heads and rows. Columns of numbers are aligned to the right.
    pub tables: Vec<(Vec<String>, Vec<Vec<String>>)>,
    /// The sections.
    pub sections: Vec<Section>,
}

impl Gallery {
    /// The page as HTML that needs nothing else.
    ///
    /// ```
    /// use gabor_report::{Gallery, Section};
    /// let section = Section { title: "2 <copies>".into(), mark: "warning".into(), ..Default::default() };
    /// let page = Gallery { title: "photos".into(), sections: vec![section], ..Default::default() }.to_html();
    /// assert!(page.contains("2 &lt;copies&gt;"));
    /// ```
    pub fn to_html(&self) -> String {
        let mut out = crate::sections::title(&self.eyebrow, &self.title, &self.subtitle, &self.figures);
        for (head, rows) in &self.tables {
            out += &format!("<section>\n{}</section>\n", table(head, rows));
        }
        self.sections.iter().for_each(|s| out += &section(s));
        frame(&self.title, &out)
    }
}

/// A table; columns whose cells begin with digits are aligned to the right.
pub(crate) fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let digits = |t: &String| !t.contains(char::is_alphabetic) && t.starts_with(|c: char| !c.is_alphabetic());
    let numeric = |c: usize| c > 0 && rows.iter().filter_map(|r| r.get(c)).all(digits);
    let class = |c: usize| if numeric(c) { " class=\"num\"" } else { "" };
    let mut out = "<div class=\"scroll\"><table class=\"layers\"><thead><tr>".to_string();
    for (c, text) in head.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(c), escape(text));
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in rows {
        out += "<tr>";
        for (c, cell) in row.iter().enumerate() {
            let _ = write!(out, "<td{}>{}</td>", class(c), escape(cell));
        }
        out += "</tr>\n";
    }
    out + "</tbody></table></div>\n"
}

fn section(s: &Section) -> String {
    let mark = match s.mark.as_str() {
        "" => String::new(),
        mark => format!("<span class=\"tag {}\">{}</span>", escape(mark), escape(mark)),
    };
    let mut out = format!("<section>\n<h2>{mark}{}</h2>\n", escape(&s.title));
    if !s.note.is_empty() {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(&s.note));
    }
    let pairs = s.rows.iter().all(|r| r.pictures.len() <= 2);
    let single = s.rows.iter().all(|r| r.pictures.len() == 1 && r.pictures[0].picture.is_some());
    let _ = writeln!(
        out,
        "<ul class=\"rows{}\">",
        if single {
            " single"
        } else if pairs {
            " pairs"
        } else {
            ""
        }
    );
    for row in &s.rows {
        out += "<li>";
        let _ = write!(out, "<div class=\"group\">");
        for p in &row.pictures {
            let image = p.picture.as_ref().map_or("<div class=\"nothing\">no picture</div>".to_string(), |picture| {
                let small = if picture.width.max(picture.height) < 96 { " class=\"pixels\"" } else { "" };
                format!("<img{small} src=\"{}\" alt=\"{}\">", picture.to_uri(), escape(&p.name))
            });
            let (name, about) = (escape(&p.name), escape(&p.about));
            let _ = write!(
                out,
                "<figure title=\"{name}\">{image}<figcaption>{name}<small>{about}</small></figcaption></figure>"
            );
        }
        let _ = writeln!(out, "</div><p>{}</p></li>", escape(&row.text));
    }
    out += "</ul>\n";
    if s.left_out > 0 {
        let _ = writeln!(out, "<p class=\"note\">… and {} more</p>", crate::count(s.left_out as u64));
    }
    out + "</section>\n"
}
