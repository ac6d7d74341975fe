//! The page around the sections.

use crate::Report;
use crate::chart::escape;
use crate::{inside, reliability, sections, style};

const STYLE: &str = include_str!("style.css");

impl Report {
    /// The report as one HTML page that needs nothing else.
    ///
    /// ```
    /// let page = gabor_report::Report { title: "lenet5-digits".into(), ..Default::default() }.to_html();
    /// assert!(page.starts_with("<!doctype html>") && !page.contains("http"));
    /// ```
    pub fn to_html(&self) -> String {
        let mut out = String::new();
        out += &sections::head(self);
        out += &sections::curves(self);
        out += &sections::models(self);
        out += &sections::confusion(self);
        out += &reliability::section(&self.calibration);
        out += &sections::mistakes(self);
        out += &inside::section(self);
        out += &sections::seen(self);
        out += &sections::filters(self);
        out += &sections::layers(self);
        out += &sections::origin(self);
        frame(&self.title, &out)
    }
}

/// A page around its contents, with the style inside.
pub(crate) fn frame(title: &str, contents: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · gabor</title>\n\
         <style>\n{}html {{ font-family: {}; }}\n{STYLE}</style>\n</head>\n<body>\n<main>\n{contents}</main>\n</body>\n</html>\n",
        style::variables(),
        style::FONT,
    )
}
