//! Weights that a training begins with.

use super::Loaded;
use crate::{Error, Result};
use gabor_nets::{MatchOptions, Matched, Network, network, zoo};
use gabor_tensor::Rule;
use gabor_train::Config;

impl Loaded {
    /// Fills in what these weights decide of a configuration: their checksum, which must be the one that is given, and how
    /// inputs are normalised, unless the user says it. Comes before [`Setup::new`](gabor_train::Setup::new).
    ///
    /// # Errors
    /// Another checksum than the configuration's.
    pub fn prepare(&self, config: &mut Config) -> Result<()> {
        let found = &self.origin.sha256;
        match &config.weights_sha256 {
            Some(given) if !given.eq_ignore_ascii_case(found) => {
                let rule =
                    Rule::new(format!("the SHA-256 is {found}")).right(format!("{given}, as weights_sha256 says"));
                return Err(Error::new(self.origin.path.display().to_string(), rule));
            }
            _ => config.weights_sha256 = Some(found.clone()),
        }
        if config.normalize.0.is_none() {
            let published = network(&config.net, &zoo::Options::default()).ok();
            let of_network = || self.preprocessing_for(published.as_ref()?);
            if let Some(p) = self.preprocessing.clone().or_else(of_network) {
                // The configuration speaks of values in [0, 1].
                let list = |v: &[f32]| {
                    let scaled = v.iter().map(|&v| (f64::from(v) * f64::from(p.divisor) / 255.0) as f32);
                    scaled.map(|v| v.to_string()).collect::<Vec<_>>().join(",")
                };
                config.normalize.0 = Some(format!("{}/{}", list(&p.mean), list(&p.std)));
            }
        }
        Ok(())
    }
    /// The weights for a training of `network`: those of a head for another number of classes are left out, to be made anew,
    /// and those of heads for training are there too.
    ///
    /// # Errors
    /// Weights of another network, with the differences side by side.
    pub fn begin(&self, network: &Network) -> Result<Matched> {
        let mut matched = self.weights_for(network, MatchOptions { replace_head: true })?;
        if let Some(h) = &matched.head {
            let (names, file, own) = (h.parameters.join(", "), h.file, h.network);
            matched
                .notes
                .push(format!("the head ({names}) is made anew: the weights have {file} classes, the data {own}"));
        }
        let auxiliary = std::mem::take(&mut matched.auxiliary);
        matched.weights.0.extend(auxiliary.0);
        Ok(matched)
    }
}
