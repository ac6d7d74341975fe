//! The seam of an operation: what one file under `ops/` has to say.

use crate::{Error, Gradient, GradientOf, Graph, ValueId, ValueType};
use gabor_tensor::{DType, Rule, Shape};
use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

/// What the [`operation!`](crate::operation) macro writes for an operation: its name, page and attributes.
pub trait Described {
    /// The registry name, in lower case: `conv`, `max_pool`.
    fn name(&self) -> &'static str;
    /// The operation's page: formula, shapes, where others differ, source.
    fn doc(&self) -> &'static str;
    /// Names of the inputs, in order. The last may end in `…`: any number of them.
    fn input_names(&self) -> &'static [&'static str];
    /// Attributes in order, as text.
    fn attributes(&self) -> Vec<(&'static str, String)>;
}

/// An operation of the graph. Attributes describe mathematics: no device option, thread count or training trick.
///
/// Implement it to add your own: [`infer`](Operation::infer) and [`decompose`](Operation::decompose) into existing
/// operations suffice (forward and gradient follow from the decomposition). A primitive also needs
/// [`gradient`](Operation::gradient) and a kernel registered with the backend.
pub trait Operation: Described + Any + Debug + Send + Sync {
    /// The types of the outputs for inputs of these types.
    ///
    /// # Errors
    /// The rule that the inputs break, with its numbers; the graph adds the place.
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule>;

    /// What is legal but surprising, as a dropped last row.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    /// The gradients of the inputs, given those of the outputs, as new nodes of the graph.
    /// By default the decomposition is differentiated instead.
    ///
    /// # Errors
    /// Errors of the nodes that are added.
    fn gradient(&self, _cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        Ok(GradientOf::Decomposition)
    }

    /// The same computation in simpler operations; `None` for a primitive. Returns the outputs.
    ///
    /// # Errors
    /// Errors of the nodes that are added.
    fn decompose(&self, _graph: &mut Graph, _inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        None
    }

    /// Work at batch size `n`; by default one floating-point operation per output element.
    fn cost(&self, _inputs: &[ValueType], outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: outputs.iter().map(|o| o.shape.len_at(n) as u64).sum() }
    }

    /// Problems that every backend and every candidate is tested on, gradients included.
    fn samples() -> Vec<Problem>
    where
        Self: Sized;
}

/// Work of an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Floating-point operations; a multiply-add counts as two.
    pub flops: u64,
}

/// Attributes as text, read one by one; what is left over is an error.
#[derive(Clone, Debug, Default)]
pub struct AttributeText {
    entries: Vec<(String, String)>,
}

impl AttributeText {
    /// From names and values.
    pub fn new(entries: Vec<(String, String)>) -> Self {
        AttributeText { entries }
    }
    /// Takes the attribute of that name.
    ///
    /// # Errors
    /// If it is missing or its text is no such value.
    pub fn take<T: crate::Text>(&mut self, name: &str) -> Result<T, Rule> {
        let at = (self.entries.iter().position(|(k, _)| k == name))
            .ok_or_else(|| Rule::new(format!("the attribute `{name}` is missing")))?;
        let (_, text) = self.entries.remove(at);
        T::from_text(&text).map_err(|r| Rule { rule: format!("attribute `{name}`: {}", r.rule), ..r })
    }
    /// An error if an attribute was not taken.
    ///
    /// # Errors
    /// The names that no attribute has.
    pub fn finish(self) -> Result<(), Rule> {
        match self.entries.first() {
            None => Ok(()),
            Some((k, v)) => Err(Rule::new(format!("there is no attribute `{k}` (given: {v})"))),
        }
    }
}

/// An operation that can be read from its attributes' text; written by the [`operation!`](crate::operation) macro.
pub trait FromText: Operation + Sized {
    /// The registry name.
    const NAME: &'static str;
    /// The operation's page.
    const DOC: &'static str;
    /// Reads the attributes.
    ///
    /// # Errors
    /// A missing, unknown or unreadable attribute.
    fn from_attributes(text: AttributeText) -> Result<Self, Rule>;
}

/// A row of the registry.
#[derive(Clone, Copy)]
pub struct OperationSpec {
    /// The registry name.
    pub name: &'static str,
    /// The operation's page.
    pub doc: &'static str,
    /// Reads an operation from its attributes.
    pub read: fn(AttributeText) -> Result<Arc<dyn Operation>, Rule>,
    /// Problems to test it on.
    pub samples: fn() -> Vec<Problem>,
}

impl OperationSpec {
    /// The row of an operation.
    pub const fn of<O: FromText>() -> Self {
        OperationSpec {
            name: O::NAME,
            doc: O::DOC,
            read: |t| O::from_attributes(t).map(|o| Arc::new(o) as Arc<dyn Operation>),
            samples: O::samples,
        }
    }
}

/// How an input of a sample problem is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Standard normal numbers.
    Normal,
    /// Numbers between 0.2 and 2, away from every kink and pole at zero.
    Positive,
    /// A shuffled grid of distinct numbers, at least 0.1 apart and away from zero: no ties, no kinks.
    Distinct,
    /// Class indices below the number.
    Labels(usize),
    /// Bytes.
    Bytes,
    /// A random key: seed and step of a random operation.
    Key,
    /// The switches of the max pooling of the first input over this operation's window (indices in a plane below the
    /// number, distinct within a plane).
    Indices(usize),
}

/// One problem for an operation: the operation and its inputs' types at a batch size.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The operation.
    pub operation: Arc<dyn Operation>,
    /// Per input its shape, element type and filling.
    pub inputs: Vec<(Shape, DType, Fill)>,
    /// The batch size.
    pub n: usize,
}

impl Problem {
    /// A problem at batch size 2; inputs are added by [`f32`](Problem::f32) and [`input`](Problem::input).
    pub fn new(operation: impl Operation) -> Self {
        Problem { operation: Arc::new(operation), inputs: Vec::new(), n: 2 }
    }
    /// Adds an input of floats: `"nx3x8x8"`, filled with normal numbers.
    pub fn f32(self, shape: &str) -> Self {
        self.input(shape, DType::F32, Fill::Normal)
    }
    /// Adds an input.
    ///
    /// # Panics
    /// If the text is no shape; problems are written by hand in the source.
    pub fn input(mut self, shape: &str, dtype: DType, fill: Fill) -> Self {
        let shape = <Shape as crate::Text>::from_text(shape).expect("a shape like nx3x8x8");
        self.inputs.push((shape, dtype, fill));
        self
    }
    /// The problem as one line of text.
    pub fn to_text(&self) -> String {
        let mut s = self.operation.name().to_string();
        for (k, v) in self.operation.attributes() {
            s += &format!(" {k}={v}");
        }
        for (i, (shape, dtype, _)) in self.inputs.iter().enumerate() {
            let names = self.operation.input_names();
            let name = names.get(i).or(names.last()).copied().unwrap_or("x");
            s += &format!(" {}:{dtype}[{}]", name.trim_end_matches('…'), crate::Text::to_text(shape));
        }
        s + &format!(" n={}", self.n)
    }
}

/// Declares an operation: its struct, registry name, input names and documented attributes.
///
/// ```text
/// operation! {
///     /// y = a·x: every element times a constant.
///     pub struct Scale("scale", ["x"]) {
///         /// The factor.
///         a: f64,
///     }
/// }
/// ```
#[macro_export]
macro_rules! operation {
    ($(#[doc = $doc:literal])* pub struct $name:ident($text:literal, [$($input:literal),* $(,)?]) {
        $($(#[doc = $fdoc:literal])* $field:ident: $ty:ty),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name { $($(#[doc = $fdoc])* pub $field: $ty),* }
        impl $crate::Described for $name {
            fn name(&self) -> &'static str { $text }
            fn doc(&self) -> &'static str { <$name as $crate::FromText>::DOC }
            fn input_names(&self) -> &'static [&'static str] { &[$($input),*] }
            fn attributes(&self) -> ::std::vec::Vec<(&'static str, ::std::string::String)> {
                ::std::vec![$((stringify!($field), $crate::Text::to_text(&self.$field))),*]
            }
        }
        impl $crate::FromText for $name {
            const NAME: &'static str = $text;
            const DOC: &'static str = concat!($($doc, "\n"),*);
            #[allow(unused_mut)]
            fn from_attributes(mut text: $crate::AttributeText) -> ::std::result::Result<Self, $crate::__Rule> {
                let op = $name { $($field: text.take(stringify!($field))?),* };
                text.finish()?;
                ::std::result::Result::Ok(op)
            }
        }
    };
}
