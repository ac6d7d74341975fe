//! Files of the Hugging Face hub, by name: `timm/resnet18.a1_in1k`.
//!
//! A [`Name`] says repository, revision and file; a [`Hub`] finds the file in the cache or downloads it there. The cache has
//! the layout of Python's `huggingface_hub`, so both share it. What is downloaded is compared with its checksum before it gets
//! its name. Nothing is printed: whoever calls hears of progress. Begin reading at [`Hub::file`].
//!
//! ```no_run
//! let hub = gabor_hub::Hub::from_environment().unwrap();
//! let name: gabor_hub::Name = "timm/resnet18.a1_in1k@main".parse().unwrap();
//! let found = hub.file(&name, "model.safetensors", &mut |_| {}).unwrap();
//! println!("{}", found.path.display());
//! ```
#![forbid(unsafe_code)]

mod cache;
mod checksum;
mod download;
mod error;
mod hub;
mod name;
mod remote;
mod tls;

pub use checksum::git_checksum;
pub use error::{Error, Kind, Result};
pub use hub::{Found, Hub, Options, Progress};
pub use name::Name;
