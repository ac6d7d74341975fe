//! A page that lays several runs beside each other.

use crate::chart::{Chart, Scale, escape};
use crate::page::frame;
use crate::{Curve, gallery, sections, table};
use std::fmt::Write;

/// How the values of a panel are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PanelScale {
    /// Linear; logarithmic if the values span more than a factor of 30.
    Auto,
    /// Linear, from zero.
    Linear,
    /// Parts of one, written as percentages.
    Percent,
}

/// Curves over each other.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePanel {
    /// What is drawn: `Loss`.
    pub title: String,
    /// How.
    pub scale: PanelScale,
    /// Curves by epoch; dashed ones are left out of the legend.
    pub curves: Vec<Curve>,
}

/// A table with a title; for a page and for a terminal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TitledTable {
    /// The title.
    pub title: String,
    /// Heads of the columns.
    pub head: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
}

impl TitledTable {
    /// A table.
    pub fn new(title: &str, head: &[&str], rows: Vec<Vec<String>>) -> Self {
        TitledTable { title: title.into(), head: head.iter().map(|h| h.to_string()).collect(), rows }
    }
    /// The table as text, without its title. Columns in which all cells are alike dashes are left out.
    pub fn to_text(&self) -> String {
        let empty = |c: usize| self.rows.iter().all(|r| r.get(c).is_none_or(|t| t.is_empty() || t == "–"));
        let kept: Vec<usize> = (0..self.head.len()).filter(|&c| c == 0 || !empty(c)).collect();
        let head: Vec<&str> = kept.iter().map(|&c| self.head[c].as_str()).collect();
        let pick = |r: &Vec<String>| kept.iter().map(|&c| r.get(c).cloned().unwrap_or_default()).collect();
        let rows: Vec<Vec<String>> = self.rows.iter().map(pick).collect();
        let number = |t: &str| t.starts_with(|c: char| c.is_ascii_digit() || "–−-".contains(c));
        let right: Vec<bool> =
            (0..head.len()).map(|c| c > 0 && rows.iter().all(|r: &Vec<String>| number(&r[c]))).collect();
        table(&head, &right, &rows)
    }
}

/// Several runs: curves and tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// The title.
    pub title: String,
    /// A sentence below it.
    pub subtitle: String,
    /// What solid and dashed curves are.
    pub note: String,
    /// The charts.
    pub panels: Vec<CurvePanel>,
    /// Tables, those without rows left out.
    pub tables: Vec<TitledTable>,
    /// Remarks below the first table.
    pub remarks: Vec<String>,
}

impl Comparison {
    /// The page as HTML that needs nothing else.
    ///
    /// ```
    /// use gabor_report::{Comparison, Curve, CurvePanel, PanelScale};
    /// let curves = vec![Curve::new("a", vec![(1.0, 0.5), (2.0, 0.4)]).colored(0)];
    /// let panels = vec![CurvePanel { title: "Loss".into(), scale: PanelScale::Auto, curves }];
    /// let page = Comparison { title: "1 run".into(), panels, ..Default::default() }.to_html();
    /// assert!(page.contains("<svg"));
    /// ```
    pub fn to_html(&self) -> String {
        let mut out = sections::title("gabor · comparison of runs", &self.title, &self.subtitle, &[]);
        let drawn: String = self.panels.iter().map(chart).collect();
        if !drawn.is_empty() {
            let _ = writeln!(
                out,
                "<section>\n<h2>Learning curves</h2>\n<div class=\"charts\">\n{drawn}</div>\n<p class=\"note\">{}</p>\n</section>",
                escape(&self.note)
            );
        }
        for (i, t) in self.tables.iter().enumerate().filter(|t| !t.1.rows.is_empty()) {
            out += &format!("<section>\n<h2>{}</h2>\n{}", escape(&t.title), gallery::table(&t.head, &t.rows));
            for remark in self.remarks.iter().filter(|_| i == 0) {
                let _ = writeln!(out, "<p class=\"note\">{}</p>", escape(remark));
            }
            out += "</section>\n";
        }
        frame(&self.title, &out)
    }
}

fn chart(p: &CurvePanel) -> String {
    let scale = match p.scale {
        PanelScale::Auto => Scale::Auto,
        PanelScale::Linear => Scale::Linear,
        PanelScale::Percent => Scale::Percent,
    };
    Chart { title: &p.title, curves: &p.curves, scale, mark: None, color: 0 }.to_html()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_keeps_its_colour_in_every_panel() {
        let curve = |i: usize| Curve::new(format!("run <{i}>"), vec![(1.0, 0.5), (2.0, 0.1 * i as f64)]).colored(i);
        let panels = ["Loss", "Accuracy"].map(|t| CurvePanel {
            title: t.into(),
            scale: PanelScale::Percent,
            curves: vec![curve(0), curve(9), curve(9).dashed()],
        });
        let rows = vec![vec!["a".into(), "–".into(), "1.5".into()], vec!["b".into(), "–".into(), "–".into()]];
        let t = TitledTable::new("Figures", &["run", "none", "value"], rows);
        assert_eq!(t.to_text(), "run  value\n──────────\na      1.5\nb        –\n");
        let page = Comparison {
            panels: panels.to_vec(),
            tables: vec![t],
            remarks: vec!["x <y>".into()],
            ..Default::default()
        }
        .to_html();
        // Colours come again after the eighth.
        assert_eq!(page.matches("class=\"line c1\"").count(), 2);
        assert_eq!(page.matches("class=\"line c1 dashed\"").count(), 2);
        assert_eq!(page.matches("class=\"key c1\"").count(), 2, "dashed curves have no key");
        assert!(page.contains("run &lt;9&gt;") && page.contains("x &lt;y&gt;") && !page.contains("http"));
    }
}
