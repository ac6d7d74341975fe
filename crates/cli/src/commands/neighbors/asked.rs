//! What is asked of an index, and which options have a part in it.

use super::Arguments;
use crate::failure::Result;
use crate::looking::{no_part, numbers};

/// Most pictures of the index that ask at once.
const MOST: usize = 4096;

impl Arguments {
    pub(super) fn k(&self) -> u16 {
        self.k.unwrap_or(10)
    }
    pub(super) fn batch(&self) -> u32 {
        self.batch.unwrap_or(64)
    }
    /// The pictures of the index that ask.
    pub(super) fn numbers(&self) -> Result<Vec<usize>> {
        self.query_index.as_deref().map_or(Ok(Vec::new()), |n| numbers("--query-index", n, MOST))
    }
    /// That every option that was given has a part in what is asked.
    pub(super) fn fits(&self) -> Result<()> {
        let scores = self.score || !self.wants();
        if !self.asks() {
            let right = "--query IMAGE or --query-index N beside it";
            no_part(&[("--top", self.top.is_some())], "what is asked", right)?;
        }
        if !scores {
            no_part(&[("--most", self.most.is_some())], "what is asked", "--score beside it")?;
        }
        if !scores && self.test.is_none() {
            no_part(&[("--k", self.k.is_some())], "what is asked", "--score or --test DATA beside it")?;
        }
        if !self.asks() && !self.map.is_drawing() {
            let why = "what is asked, which draws no picture";
            no_part(&[("--look", self.look.is_some())], why, "queries, or --map with a name in .svg or .png")?;
        }
        Ok(())
    }
    /// The same of an index that is there.
    pub(super) fn fits_an_index(&self) -> Result<()> {
        if self.test.is_none() {
            let options = [("--batch", self.batch.is_some())];
            no_part(&options, "what an index is asked", "--test DATA beside it, or gabor neighbors MODEL DATA")?;
        }
        if self.query.is_empty() && self.test.is_none() && self.data.is_none() {
            let options = [
                ("--model", self.model.is_some()),
                ("--net", self.given.net.is_some()),
                ("--offline", self.given.network.offline),
            ];
            no_part(&options, "what is asked: the index has its features", "--query IMAGE or --test DATA beside it")?;
        }
        Ok(())
    }
    /// What was asked beyond the pictures that there are, in words.
    pub(super) fn beyond(&self, pictures: usize) -> Vec<String> {
        let scores = self.score || !self.wants();
        // A picture is no neighbour of itself; one from elsewhere has all as neighbours.
        let others = pictures - usize::from(self.query.is_empty() && self.test.is_none()).min(pictures);
        let asked = [
            ("--map-points", self.map.map_points, pictures, "the map shows them all"),
            ("--most", self.most, pictures, "all of them ask"),
            ("--top", self.top.map(u32::from), others, "all of them are shown"),
            ("--k", self.k.map(u32::from).filter(|_| scores || self.test.is_some()), others, "all of them count"),
        ];
        let beyond = asked.into_iter().filter_map(|(flag, given, most, then)| {
            let n = given.filter(|&n| n as usize > most)?;
            let what = if most == pictures { "pictures" } else { "neighbours of a picture" };
            Some(format!("{flag} {n}: the index has {most} {what}, and {then}"))
        });
        beyond.collect()
    }
}
