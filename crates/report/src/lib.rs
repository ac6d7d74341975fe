//! The report of a training run: one self-contained HTML page, and the same tables as text.
//!
//! Everything here is plain data: [`Report`] says what is known of a run, [`Report::to_html`] writes the page with inline
//! styles, curves as SVG and pictures as PNG, so that it opens from a disk years later without a network. [`Confusion`]
//! counts and judges predictions and prints itself for a terminal. This crate does no I/O and never hears of graphs.
#![forbid(unsafe_code)]

mod arithmetic;
mod atlas;
mod bars;
mod chart;
mod comparison;
mod confusion;
mod contour;
mod data;
mod descent;
mod diagram;
mod filter_grid;
mod filter_matrix;
mod filter_sheet;
mod gallery;
pub mod heat;
mod icicle;
mod inside;
mod lines;
mod near;
mod page;
mod patches;
mod picture;
mod poster;
mod range;
mod reliability;
mod sections;
mod sheet;
mod strips;
pub mod style;
mod text;
mod words;

pub use arithmetic::{ConvAnimation, ConvCell, ConvCellKind, ConvGrid, ConvStep};
pub use atlas::{Atlas, AtlasPoint};
pub use bars::{Bar, Bars};
pub use chart::{rounded, short};
pub use comparison::{Comparison, CurvePanel, PanelScale, TitledTable};
pub use confusion::{ClassScore, Confusion};
pub use contour::{Contour, ContourPath};
pub use data::{Curve, Figure, LayerRow, Mistake, Report, Seen, Table};
pub use descent::{DescentCurve, DescentStep};
pub use diagram::{Block, BlockKind, Diagram};
pub use filter_grid::{FilterGrid, FilterTile};
pub use filter_matrix::WeightMatrix;
pub use filter_sheet::FilterSheet;
pub use gallery::{Gallery, Row, Section, Shown};
pub use icicle::{Icicle, Leaf};
pub use inside::{FeatureStrip, Inside, Reason};
pub use lines::{LineAxis, LinePanel, LinePanels};
pub use near::{NearRow, NearSheet};
pub use patches::{Patch, PatchSheet, UnitPatches};
pub use picture::Picture;
pub use poster::{Map, MapRow, Poster};
pub use range::RangePicture;
pub use reliability::{Reliability, ReliabilityBin};
pub use sheet::{Panel, Sheet};
pub use strips::{Cell, Strip, Strips};
pub use style::{Look, dressed};
pub use text::{bytes, count, duration, percent, table};
pub use words::{class_name, class_name_among, class_names};
