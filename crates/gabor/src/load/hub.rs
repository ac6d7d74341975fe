//! Names of the Hugging Face hub as sources of weights, and what timm's repositories say beside them.

use super::{Loaded, read};
use crate::{Error, Result, files};
use gabor_data::{Color, Filter, Preprocessing, Resize};
use gabor_hub::{Hub, Kind, Name, Options, Progress};
use gabor_nets::zoo;
use gabor_tensor::Rule;
use serde_json::Value;
use std::path::Path;

/// Files that hold a repository's weights, the first that is there.
const WEIGHTS: &[&str] = &["model.safetensors", "pytorch_model.bin"];
/// Largest `config.json` that is read.
const LARGEST_CONFIG: u64 = 1 << 20;
/// timm's names of networks that the zoo has under others.
const ARCHITECTURES: &[(&str, &str)] = &[
    ("mobilenetv1_100", "mobilenet_v1"),
    ("mobilenetv2_100", "mobilenet_v2"),
    ("mobilenetv3_large_100", "mobilenet_v3_large"),
    ("mobilenetv3_small_100", "mobilenet_v3_small"),
];

/// Hears of a download: file, bytes done, bytes in all.
pub type Hear<'a> = &'a mut dyn FnMut(&str, u64, u64);

/// How the hub is asked.
#[derive(Default)]
pub struct LoadOptions<'a> {
    /// Leave the network alone, whatever the environment says.
    pub offline: bool,
    /// Of a network in two files read the description alone, unless the weights are named.
    pub network_only: bool,
    /// Hears of downloads.
    pub progress: Option<Hear<'a>>,
}

/// The name of the hub that a source is, if it is no path.
pub fn hub_name(source: &str) -> Option<Name> {
    let path = Path::new(source);
    // Where a directory of that name is, a path is meant that is misspelt.
    let begun = path.ancestors().skip(1).any(|p| !p.as_os_str().is_empty() && p.exists());
    if path.exists() || begun || source.contains('+') {
        return None;
    }
    let name: Name = source.parse().ok()?;
    // `weights/net.pth` is a path that is misspelt, not a repository called `net.pth`.
    let file = name.file().is_none() && super::formats::is_known(Path::new(name.repository()));
    (!file).then_some(name)
}

impl From<gabor_hub::Error> for Error {
    fn from(e: gabor_hub::Error) -> Self {
        Error::new(e.place, Rule::new(e.rule).right(e.right))
    }
}

/// Weights of the hub.
pub(super) fn load(source: &str, name: &Name, options: &mut LoadOptions<'_>) -> Result<Loaded> {
    let found = fetch(source, name, options);
    // Who named a file of his own should hear that it was not found.
    found.map_err(|e| {
        let rule = Rule { rule: format!("{} (and there is no such file here)", e.rule().rule), ..e.rule().clone() };
        if name.file().is_some() { Error::new(e.place(), rule) } else { e }
    })
}

fn fetch(source: &str, name: &Name, options: &mut LoadOptions<'_>) -> Result<Loaded> {
    let mut settings = Options::from_environment()?;
    settings.offline |= options.offline;
    let hub = Hub::new(settings);
    let mut heard = |p: Progress<'_>| {
        if let Some(f) = &mut options.progress {
            f(p.file, p.done, p.total);
        }
    };
    let found = match name.file() {
        Some(file) => hub.file(name, file, &mut heard)?,
        None => {
            let missing = |e: &gabor_hub::Error| matches!(e.kind, Kind::NoFile | Kind::Offline);
            match hub.file(name, WEIGHTS[0], &mut heard) {
                Err(e) if missing(&e) => hub.file(name, WEIGHTS[1], &mut heard).map_err(|second| {
                    if second.kind == Kind::NoFile {
                        let rule = Rule::new(format!("the repository has none of {}", WEIGHTS.join(", ")));
                        return Error::new(source, rule.right(format!("the file's name too: {source}/FILE")));
                    }
                    e.into()
                })?,
                other => other?,
            }
        }
    };
    let mut loaded = read(source, &found.path, None, false)?;
    loaded.origin.revision = Some(found.commit.clone());
    loaded.notes.extend(found.note);
    match hub.file(name, "config.json", &mut heard) {
        Ok(config) => {
            let bytes = files::read_limited(&config.path, LARGEST_CONFIG)?;
            let config: Value = serde_json::from_slice(&bytes)
                .map_err(|e| Error::new(config.path.display().to_string(), Rule::new(format!("no JSON: {e}"))))?;
            describe(&config, &mut loaded);
        }
        // Without it the network must be named; that is all.
        Err(e) if matches!(e.kind, Kind::NoFile | Kind::Offline) => {}
        Err(e) => return Err(e.into()),
    }
    Ok(loaded)
}

/// Takes over what `config.json` says: network, preprocessing, classes.
fn describe(config: &Value, loaded: &mut Loaded) {
    if let Some(timm) = config["architecture"].as_str() {
        let ours = ARCHITECTURES.iter().find(|a| a.0 == timm).map_or(timm, |a| a.1);
        match zoo::names().into_iter().find(|n| *n == ours) {
            Some(name) => loaded.architecture = Some(name.into()),
            None => {
                let shown: String = timm.chars().take(80).collect();
                loaded.notes.push(format!("the weights are of `{shown}`, which the zoo does not have"));
            }
        }
    }
    let classes = config["label_names"].as_array().map(|a| a.iter().filter_map(|v| v.as_str().map(String::from)));
    let classes: Vec<String> = classes.map(Iterator::collect).unwrap_or_default();
    if config["num_classes"].as_u64() == Some(classes.len() as u64) {
        loaded.metadata.classes = classes;
    }
    match preprocessing(&config["pretrained_cfg"]) {
        Some(Ok(p)) => loaded.preprocessing = Some(p),
        Some(Err(what)) => loaded.notes.push(format!("config.json: {what}; preprocessing is the network's card's")),
        None => {}
    }
}

/// timm's description of how a picture becomes the input; `None` where there is none.
fn preprocessing(cfg: &Value) -> Option<Result<Preprocessing, String>> {
    let input = cfg["input_size"].as_array()?;
    let numbers = |v: &Value| -> Option<Vec<f32>> { v.as_array()?.iter().map(|x| Some(x.as_f64()? as f32)).collect() };
    let extents: Option<Vec<usize>> = input.iter().map(|v| usize::try_from(v.as_u64()?).ok()).collect();
    let (Some(&[c, h, w]), Some(mean), Some(std)) = (extents.as_deref(), numbers(&cfg["mean"]), numbers(&cfg["std"]))
    else {
        return Some(Err("no usable input_size, mean and std".into()));
    };
    let filter = match cfg["interpolation"].as_str() {
        Some("bilinear") => Filter::Bilinear,
        // timm's default.
        Some("bicubic") | None => Filter::Bicubic,
        Some("lanczos") => Filter::Lanczos,
        Some(other) => return Some(Err(format!("interpolation `{other:.40}` is not known"))),
    };
    let part = cfg["crop_pct"].as_f64().filter(|&p| p > 0.05 && p <= 1.0).unwrap_or(0.875);
    let scaled = |side: usize| (side as f64 / part).floor() as usize;
    let (resize, crop) = match cfg["crop_mode"].as_str() {
        Some("squash") => (Resize::Exact { height: scaled(h), width: scaled(w) }, Some([h, w])),
        Some("center") | None => (Resize::ShortSide { to: scaled(h.max(w)) }, Some([h, w])),
        Some(other) => return Some(Err(format!("crop_mode `{other:.40}` is not known"))),
    };
    let color = if c == 1 { Color::Grey } else { Color::Rgb };
    let p = Preprocessing { color, resize, filter, crop, divisor: 255.0, mean, std };
    Some(p.validate().map(|()| p).map_err(|e| e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_timm_says_of_pictures() {
        let text = r#"{"input_size":[3,224,224],"interpolation":"bicubic","crop_pct":0.95,"crop_mode":"center",
            "mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}"#;
        let p = preprocessing(&serde_json::from_str(text).unwrap()).unwrap().unwrap();
        assert_eq!((p.resize, p.crop, p.filter), (Resize::ShortSide { to: 235 }, Some([224, 224]), Filter::Bicubic));
        let of = |text: &str| preprocessing(&serde_json::from_str(text).unwrap());
        assert!(of("{}").is_none());
        assert!(of(r#"{"input_size":[3,0,224],"mean":[0,0,0],"std":[1,1,1]}"#).unwrap().is_err());
        assert!(of(r#"{"input_size":[3,9,9],"mean":[0,0,0],"std":[1,1]}"#).unwrap().is_err());
        assert!(of(r#"{"input_size":[3,9,9],"mean":[0,0,0],"std":[1,1,1],"crop_mode":"border"}"#).unwrap().is_err());
    }

    #[test]
    fn names_and_paths() {
        let is = |s: &str| hub_name(s).is_some();
        assert!(is("timm/resnet18.a1_in1k") && is("a/b@v1") && is("a/b/model.safetensors"));
        assert!(!is("resnet18") && !is("weights/net.pth") && !is("./a/b") && !is("/a/b") && !is("a.cfg+a.weights"));
        // A directory that is there makes it a path.
        assert!(!is("src/nothing"));
    }
}
