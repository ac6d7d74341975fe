//! NumPy's `.npy`: one array in one file.
//!
//! Read are format versions 1, 2 and 3, both byte orders and both memory orders, elements `f2 f4 f8 i1 i2 i4 i8 u1 u2 u4
//! u8 b1`. Half floats become `f32`; whole numbers other than `u1` become `i32` if each fits; booleans become bytes 0
//! and 1. Records, complex numbers, strings and objects are refused. Source: NumPy enhancement proposal 1.

use crate::array::{Array, ElementType, Elements, encode};
use crate::error::{At, element_count};
use crate::half::f16_to_f32;
use crate::{Error, Result};
use gabor_tensor::{Data, Rule, Tensor};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read; NumPy itself refuses to trust more than 10,000 characters.
const MAX_HEADER: usize = 65_536;
/// Largest number of axes, as in NumPy 2.
const MAX_RANK: usize = 64;

/// The array in the bytes of a `.npy` file.
///
/// ```
/// use gabor_formats::npy;
/// use gabor_tensor::Tensor;
/// let t = Tensor::f32(&[2, 3], vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
/// assert_eq!(npy::read(&npy::write(&t)).unwrap(), t);
/// ```
///
/// # Errors
/// Bytes that are no such file, an element type without counterpart, too few or too many bytes for the shape, or a
/// whole number that does not fit 32 bits.
pub fn read(bytes: &[u8]) -> Result<Tensor> {
    read_inner(bytes).at("npy")
}

/// The bytes of a `.npy` file, version 1.0, little-endian, row-major, with the elements aligned to 64 bytes.
pub fn write(tensor: &Tensor) -> Vec<u8> {
    let descr = match tensor.data() {
        Data::F32(_) => "<f4",
        Data::F64(_) => "<f8",
        Data::I32(_) => "<i4",
        Data::U8(_) => "|u1",
    };
    let mut out = head(descr, tensor.shape());
    out.reserve(tensor.len() * tensor.dtype().size());
    match tensor.data() {
        Data::F32(v) => v.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Data::F64(v) => v.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Data::I32(v) => v.iter().for_each(|x| out.extend_from_slice(&x.to_le_bytes())),
        Data::U8(v) => out.extend_from_slice(v),
    }
    out
}

/// What stands before the elements.
fn head(descr: &str, shape: &[usize]) -> Vec<u8> {
    let shape: Vec<String> = shape.iter().map(|d| format!("{d},")).collect();
    let shape = match shape.len() {
        1 => shape.concat(),
        _ => shape.join(" ").trim_end_matches(',').to_string(),
    };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Ten bytes stand before the header: magic, version and length.
    let pad = 64 - (10 + header.len() + 1) % 64;
    header.extend(std::iter::repeat_n(' ', pad % 64));
    header.push('\n');
    let mut out = Vec::with_capacity(10 + header.len());
    out.extend_from_slice(MAGIC);
    // A shape long enough to overflow version 1's length would need thousands of axes; version 2 has four bytes for it.
    match u16::try_from(header.len()) {
        Ok(len) => {
            out.extend_from_slice(&[1, 0]);
            out.extend_from_slice(&len.to_le_bytes());
        }
        Err(_) => {
            out.extend_from_slice(&[2, 0]);
            out.extend_from_slice(&(header.len() as u32).to_le_bytes());
        }
    }
    out.extend_from_slice(header.as_bytes());
    out
}

/// The array in the bytes of a `.npy` file, with the element type that it has there and whole numbers of 64 bits. Doubles
/// are rounded to `f32`.
///
/// # Errors
/// As [`read`]; a double beyond the range of `f32`.
pub fn read_array(bytes: &[u8]) -> Result<Array> {
    read_wide(bytes).at("npy")
}

fn read_wide(bytes: &[u8]) -> Result<Array, Rule> {
    let (header, big, kind, data) = split(bytes)?;
    let elements = match kind.decode_whole(data, big)? {
        Some(v) => Elements::Int(reordered(v, &header)),
        None => match kind.decode(data, big)? {
            Data::F32(v) => Elements::Float(reordered(v, &header)),
            Data::F64(v) => {
                if let Some((i, x)) = v.iter().enumerate().find(|(_, x)| x.is_finite() && !(**x as f32).is_finite()) {
                    return Err(Rule::new(format!("element {i} is {x:e}, which does not fit a 32-bit float")));
                }
                Elements::Float(reordered(v, &header).into_iter().map(|x| x as f32).collect())
            }
            _ => return Err(Rule::new(format!("element type `{}`", header.descr))),
        },
    };
    Ok(Array { shape: header.shape, kind: kind.element(), elements })
}

/// Elements in row-major order.
fn reordered<T: Copy>(v: Vec<T>, header: &Header) -> Vec<T> {
    if header.fortran && header.shape.len() > 1 { from_fortran(&v, &header.shape) } else { v }
}

/// The bytes of a `.npy` file with a graph's result in another element type. NumPy knows no bfloat16: such become float32.
///
/// # Errors
/// A number that the type does not hold.
pub fn write_as(tensor: &Tensor, kind: ElementType) -> Result<Vec<u8>, Rule> {
    let (kind, descr) = match kind {
        ElementType::F16 => (kind, "<f2"),
        ElementType::BF16 | ElementType::F32 => (ElementType::F32, "<f4"),
        ElementType::F64 => (kind, "<f8"),
        ElementType::I8 => (kind, "|i1"),
        ElementType::I16 => (kind, "<i2"),
        ElementType::I32 => (kind, "<i4"),
        ElementType::I64 => (kind, "<i8"),
        ElementType::U8 => (kind, "|u1"),
        ElementType::U16 => (kind, "<u2"),
        ElementType::U32 => (kind, "<u4"),
        ElementType::U64 => (kind, "<u8"),
        ElementType::Bool => (kind, "|b1"),
    };
    let mut out = head(descr, tensor.shape());
    out.extend_from_slice(&encode(tensor, kind)?);
    Ok(out)
}

/// The header, the order and type of the elements, and their bytes, of which there are as many as the header says.
fn split(bytes: &[u8]) -> Result<(Header, bool, Kind, &[u8]), Rule> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| Rule::new("no .npy file: it does not begin with \\x93NUMPY").right("a file of numpy.save"))?;
    let (len_bytes, rest) = match rest {
        [1, 0, rest @ ..] => (2, rest),
        [2 | 3, 0, rest @ ..] => (4, rest),
        [major, minor, ..] => {
            return Err(Rule::new(format!("format version {major}.{minor}")).right("1.0, 2.0 or 3.0"));
        }
        _ => return Err(Rule::new(format!("the file ends after {} bytes, inside the header", bytes.len()))),
    };
    let short = || Rule::new(format!("the file ends after {} bytes, inside the header", bytes.len()));
    let (length, rest) = rest.split_at_checked(len_bytes).ok_or_else(short)?;
    let length = length.iter().rev().fold(0usize, |a, &b| a << 8 | usize::from(b));
    if length > MAX_HEADER {
        return Err(Rule::new(format!("a header of {length} bytes")).right(format!("at most {MAX_HEADER}")));
    }
    let (header, data) = rest.split_at_checked(length).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| Rule::new("the header is not text"))?;
    let header = parse_header(header)?;
    let (big, kind) = Kind::of(&header.descr)?;
    let count = element_count(&header.shape, kind.size())?;
    let want = count * kind.size();
    if data.len() != want {
        return Err(Rule::new(format!("{} bytes of data for {} {:?}", data.len(), header.descr, header.shape))
            .right(format!("{want} bytes: {count} elements of {}", kind.size())));
    }
    Ok((header, big, kind, data))
}

fn read_inner(bytes: &[u8]) -> Result<Tensor, Rule> {
    let (header, big, kind, data) = split(bytes)?;
    let elements = match kind.decode(data, big)? {
        Data::F32(v) => Data::F32(reordered(v, &header)),
        Data::F64(v) => Data::F64(reordered(v, &header)),
        Data::I32(v) => Data::I32(reordered(v, &header)),
        Data::U8(v) => Data::U8(reordered(v, &header)),
    };
    Tensor::new(&header.shape, elements)
}

/// Column-major elements in row-major order.
fn from_fortran<T: Copy>(v: &[T], shape: &[usize]) -> Vec<T> {
    let mut out = Vec::with_capacity(v.len());
    let mut index = vec![0usize; shape.len()];
    for _ in 0..v.len() {
        let at = index.iter().zip(shape).rev().fold(0, |a, (&i, &d)| a * d + i);
        out.push(v[at]);
        for (i, &d) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    out
}

/// An element type of the file.
#[derive(Clone, Copy)]
enum Kind {
    F2,
    F4,
    F8,
    I1,
    I2,
    I4,
    I8,
    U1,
    U2,
    U4,
    U8,
    B1,
}

impl Kind {
    /// Whether the bytes are big-endian, and the type, of a text like `<f4`.
    fn of(descr: &str) -> Result<(bool, Kind), Rule> {
        let wrong = || {
            Rule::new(format!("element type `{descr}`"))
                .right("one of f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1, as in `<f4`")
        };
        let (order, name) = descr.split_at_checked(1).ok_or_else(wrong)?;
        let kind = match name {
            "f2" => Kind::F2,
            "f4" => Kind::F4,
            "f8" => Kind::F8,
            "i1" => Kind::I1,
            "i2" => Kind::I2,
            "i4" => Kind::I4,
            "i8" => Kind::I8,
            "u1" => Kind::U1,
            "u2" => Kind::U2,
            "u4" => Kind::U4,
            "u8" => Kind::U8,
            "b1" => Kind::B1,
            _ => return Err(wrong()),
        };
        match order {
            "<" => Ok((false, kind)),
            ">" => Ok((true, kind)),
            "|" if kind.size() == 1 => Ok((false, kind)),
            _ => Err(wrong()),
        }
    }
    fn size(self) -> usize {
        match self {
            Kind::I1 | Kind::U1 | Kind::B1 => 1,
            Kind::F2 | Kind::I2 | Kind::U2 => 2,
            Kind::F4 | Kind::I4 | Kind::U4 => 4,
            Kind::F8 | Kind::I8 | Kind::U8 => 8,
        }
    }
    fn element(self) -> ElementType {
        match self {
            Kind::F2 => ElementType::F16,
            Kind::F4 => ElementType::F32,
            Kind::F8 => ElementType::F64,
            Kind::I1 => ElementType::I8,
            Kind::I2 => ElementType::I16,
            Kind::I4 => ElementType::I32,
            Kind::I8 => ElementType::I64,
            Kind::U1 => ElementType::U8,
            Kind::U2 => ElementType::U16,
            Kind::U4 => ElementType::U32,
            Kind::U8 => ElementType::U64,
            Kind::B1 => ElementType::Bool,
        }
    }
    /// Whole numbers and truths in 64 bits; `None` for floats.
    fn decode_whole(self, data: &[u8], big: bool) -> Result<Option<Vec<i64>>, Rule> {
        Ok(Some(match self {
            Kind::F2 | Kind::F4 | Kind::F8 => return Ok(None),
            Kind::I8 => each(data, big, i64::from_le_bytes),
            Kind::U8 => {
                let v = each(data, big, u64::from_le_bytes);
                let fit = |x| i64::try_from(x).map_err(|_| Rule::new(format!("the number {x} does not fit 63 bits")));
                v.into_iter().map(fit).collect::<Result<_, _>>()?
            }
            Kind::U4 => each(data, big, |b| i64::from(u32::from_le_bytes(b))),
            _ => match self.decode(data, big)? {
                Data::I32(v) => v.into_iter().map(i64::from).collect(),
                Data::U8(v) => v.into_iter().map(i64::from).collect(),
                Data::F32(_) | Data::F64(_) => return Ok(None),
            },
        }))
    }
    fn decode(self, data: &[u8], big: bool) -> Result<Data, Rule> {
        fn whole(v: impl Iterator<Item = i128>) -> Result<Data, Rule> {
            let fit = |(i, x)| {
                i32::try_from(x).map_err(|_| {
                    Rule::new(format!("element {i} is {x}, which does not fit a 32-bit integer"))
                        .right("whole numbers between -2147483648 and 2147483647")
                })
            };
            v.enumerate().map(fit).collect::<Result<_, _>>().map(Data::I32)
        }
        Ok(match self {
            Kind::F2 => Data::F32(each(data, big, |b| f16_to_f32(u16::from_le_bytes(b)))),
            Kind::F4 => Data::F32(each(data, big, f32::from_le_bytes)),
            Kind::F8 => Data::F64(each(data, big, f64::from_le_bytes)),
            Kind::U1 => Data::U8(data.to_vec()),
            Kind::B1 => match data.iter().position(|&b| b > 1) {
                Some(i) => return Err(Rule::new(format!("boolean {i} is {}", data[i])).right("0 or 1")),
                None => Data::U8(data.to_vec()),
            },
            Kind::I4 => Data::I32(each(data, big, i32::from_le_bytes)),
            Kind::I1 => Data::I32(each(data, big, |b: [u8; 1]| i32::from(b[0] as i8))),
            Kind::I2 => Data::I32(each(data, big, |b| i32::from(i16::from_le_bytes(b)))),
            Kind::U2 => Data::I32(each(data, big, |b| i32::from(u16::from_le_bytes(b)))),
            Kind::U4 => whole(each(data, big, |b| i128::from(u32::from_le_bytes(b))).into_iter())?,
            Kind::I8 => whole(each(data, big, |b| i128::from(i64::from_le_bytes(b))).into_iter())?,
            Kind::U8 => whole(each(data, big, |b| i128::from(u64::from_le_bytes(b))).into_iter())?,
        })
    }
}

/// Elements of N bytes, turned to little-endian.
fn each<const N: usize, T>(data: &[u8], big: bool, f: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, _) = data.as_chunks::<N>();
    chunks
        .iter()
        .map(|&c| {
            let mut c = c;
            if big {
                c.reverse();
            }
            f(c)
        })
        .collect()
}

struct Header {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

/// Reads the header, a Python dictionary with exactly three entries.
fn parse_header(text: &str) -> Result<Header, Rule> {
    let mut p = Parser { rest: text };
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    p.want('{')?;
    while !p.take('}') {
        let key = p.string()?;
        p.want(':')?;
        let again = match key {
            "descr" => descr.replace(p.string()?.to_string()).is_some(),
            "fortran_order" => fortran.replace(p.boolean()?).is_some(),
            "shape" => shape.replace(p.tuple()?).is_some(),
            _ => return Err(Rule::new(format!("the header has an entry `{key}`")).right("descr, fortran_order, shape")),
        };
        if again {
            return Err(Rule::new(format!("the header has the entry `{key}` twice")));
        }
        if !p.take(',') {
            p.want('}')?;
            break;
        }
    }
    if !p.rest.trim().is_empty() {
        return Err(Rule::new("the header goes on after its closing brace"));
    }
    let missing = |what| Rule::new(format!("the header has no entry `{what}`"));
    Ok(Header {
        descr: descr.ok_or_else(|| missing("descr"))?,
        fortran: fortran.ok_or_else(|| missing("fortran_order"))?,
        shape: shape.ok_or_else(|| missing("shape"))?,
    })
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn take(&mut self, c: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
    fn want(&mut self, c: char) -> Result<(), Rule> {
        if self.take(c) {
            return Ok(());
        }
        Err(self.wrong(&format!("`{c}`")))
    }
    fn wrong(&self, right: &str) -> Rule {
        let seen: String = self.rest.chars().take(16).collect();
        Rule::new(format!("the header cannot be read at `{}`", seen.escape_debug())).right(right)
    }
    fn string(&mut self) -> Result<&'a str, Rule> {
        self.rest = self.rest.trim_start();
        let quote = self.rest.chars().next().filter(|c| *c == '\'' || *c == '"');
        let quote = quote.ok_or_else(|| self.wrong("text in quotes; records are not read"))?;
        let (text, rest) = self.rest[1..].split_once(quote).ok_or_else(|| self.wrong("a closing quote"))?;
        self.rest = rest;
        Ok(text)
    }
    fn boolean(&mut self) -> Result<bool, Rule> {
        self.rest = self.rest.trim_start();
        for (word, value) in [("False", false), ("True", true)] {
            if let Some(rest) = self.rest.strip_prefix(word) {
                self.rest = rest;
                return Ok(value);
            }
        }
        Err(self.wrong("True or False"))
    }
    fn tuple(&mut self) -> Result<Vec<usize>, Rule> {
        let mut v = Vec::new();
        self.want('(')?;
        while !self.take(')') {
            self.rest = self.rest.trim_start();
            let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = self.rest.split_at(digits);
            v.push(number.parse().map_err(|_| self.wrong("a whole number of at most 64 bits"))?);
            if v.len() > MAX_RANK {
                return Err(Rule::new("a shape of many axes").right(format!("at most {MAX_RANK}")));
            }
            // Python 2 wrote `3L`.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if !self.take(',') {
                self.want(')')?;
                break;
            }
        }
        Ok(v)
    }
}

impl From<Error> for Rule {
    /// The error as one sentence, to be nested in another error.
    fn from(e: Error) -> Rule {
        Rule::new(e.to_string())
    }
}
