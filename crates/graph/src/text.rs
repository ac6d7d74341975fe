//! Text form of attributes: a problem is one line of text, the same in tests, benchmarks, logs and bug reports.

use gabor_tensor::{
    Binary, ConvGeometry, Dim, PadMode, Padding, PoolDivisor, Reduction, Rule, Shape, Unary, Window, WindowOptions,
};

/// A value with a text form without spaces that reads back to the same value.
pub trait Text: Sized {
    /// The text form.
    fn to_text(&self) -> String;
    /// Reads the text form.
    ///
    /// # Errors
    /// Text that is not such a form.
    fn from_text(text: &str) -> Result<Self, Rule>;
}

fn bad(what: &str, text: &str) -> Rule {
    Rule::new(format!("`{text}` is not {what}"))
}

macro_rules! by_parse {
    ($($t:ty: $what:literal),*) => {$(
        impl Text for $t {
            fn to_text(&self) -> String { self.to_string() }
            fn from_text(text: &str) -> Result<Self, Rule> { text.parse().map_err(|_| bad($what, text)) }
        }
    )*};
}
by_parse!(usize: "a whole number", isize: "a whole number", u32: "a whole number", f64: "a number", bool: "true or false");

macro_rules! by_name {
    ($($t:ident),*) => {$(
        impl Text for $t {
            fn to_text(&self) -> String { self.name().to_string() }
            fn from_text(text: &str) -> Result<Self, Rule> {
                $t::from_name(text).ok_or_else(|| {
                    let all: Vec<_> = $t::ALL.iter().map(|f| f.name()).collect();
                    bad("known", text).right(format!("one of {}", all.join(", ")))
                })
            }
        }
    )*};
}
by_name!(Unary, Binary, Reduction, PadMode, PoolDivisor);

impl<T: Text> Text for Vec<T> {
    fn to_text(&self) -> String {
        self.iter().map(Text::to_text).collect::<Vec<_>>().join(",")
    }
    fn from_text(text: &str) -> Result<Self, Rule> {
        if text.is_empty() { Ok(Vec::new()) } else { text.split(',').map(T::from_text).collect() }
    }
}

impl Text for (usize, usize) {
    fn to_text(&self) -> String {
        format!("{}:{}", self.0, self.1)
    }
    fn from_text(text: &str) -> Result<Self, Rule> {
        let (a, b) = text.split_once(':').ok_or_else(|| bad("a pair a:b", text))?;
        Ok((usize::from_text(a)?, usize::from_text(b)?))
    }
}

impl Text for Shape {
    fn to_text(&self) -> String {
        self.0.iter().map(|d| d.to_string()).collect::<Vec<_>>().join("x")
    }
    fn from_text(text: &str) -> Result<Self, Rule> {
        if text.is_empty() {
            return Ok(Shape::scalar());
        }
        let dim = |t: &str| match t.strip_suffix('n') {
            Some("") => Ok(Dim::Batch(1)),
            Some(k) => usize::from_text(k).map(Dim::Batch),
            None => usize::from_text(t).map(Dim::Fixed),
        };
        text.split('x').map(dim).collect::<Result<Vec<_>, _>>().map(Shape)
    }
}

impl Text for Window {
    /// `in7,7/k3,3/s2,2/d1,1/p0:0,0:0`, with `/ceil` in ceil mode.
    fn to_text(&self) -> String {
        let o = self.options();
        let Padding::Explicit(pads) = &o.padding else { return String::new() };
        format!(
            "in{}/k{}/s{}/d{}/p{}{}",
            self.input().to_text(),
            o.kernel_size.to_text(),
            o.stride.to_text(),
            o.dilation.to_text(),
            pads.to_text(),
            if o.ceil_mode { "/ceil" } else { "" }
        )
    }
    fn from_text(text: &str) -> Result<Self, Rule> {
        let (mut input, mut o) = (Vec::new(), WindowOptions::default());
        for part in text.split('/') {
            if let Some(t) = part.strip_prefix("in") {
                input = Vec::from_text(t)?;
            } else if let Some(t) = part.strip_prefix('k') {
                o.kernel_size = Vec::from_text(t)?;
            } else if let Some(t) = part.strip_prefix('s') {
                o.stride = Vec::from_text(t)?;
            } else if let Some(t) = part.strip_prefix('d') {
                o.dilation = Vec::from_text(t)?;
            } else if let Some(t) = part.strip_prefix('p') {
                o.padding = Padding::Explicit(Vec::from_text(t)?);
            } else if part == "ceil" {
                o.ceil_mode = true;
            } else {
                return Err(bad("part of a window", part).right("in…/k…/s…/d…/p…"));
            }
        }
        o.resolve(&input)
    }
}

impl Text for ConvGeometry {
    /// `ci3/co8/g1/` and the window.
    fn to_text(&self) -> String {
        format!("ci{}/co{}/g{}/{}", self.ci, self.co, self.groups, self.window.to_text())
    }
    fn from_text(text: &str) -> Result<Self, Rule> {
        let wrong = || bad("a convolution's geometry", text).right("ci…/co…/g…/in…/k…/s…/d…/p…");
        let mut parts = text.splitn(4, '/');
        let mut number = |prefix: &str| {
            let t = parts.next().and_then(|p| p.strip_prefix(prefix)).ok_or_else(wrong)?;
            usize::from_text(t)
        };
        let (ci, co, groups) = (number("ci")?, number("co")?, number("g")?);
        let window = Window::from_text(parts.next().ok_or_else(wrong)?)?;
        if groups == 0 {
            return Err(wrong());
        }
        let weight = [&[co, ci / groups], &window.kernel()[..]].concat();
        ConvGeometry::new(ci, &window.input(), &weight, groups, &window.options())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometry_round_trip() {
        let o = WindowOptions::new(&[3, 2]).stride(&[2, 1]).padding(Padding::Explicit(vec![(1, 0), (0, 1)]));
        let g = ConvGeometry::new(4, &[9, 7], &[6, 2, 3, 2], 2, &o).unwrap();
        assert_eq!(ConvGeometry::from_text(&g.to_text()).unwrap(), g);
        let w = WindowOptions::new(&[3]).stride(&[2]).ceil_mode(true).resolve(&[6]).unwrap();
        assert_eq!(w.to_text(), "in6/k3/s2/d1/p0:0/ceil");
        assert_eq!(Window::from_text(&w.to_text()).unwrap(), w);
    }
}
