//! A folder per class.

use super::{Item, Place, Writer, of_sample, unwritten, write_file};
use crate::{Dataset, Error, Part};
use gabor_tensor::Rule;

pub(super) struct Folder {
    place: Place,
    part: Part,
    /// Samples of each class written in this part.
    counts: Vec<u64>,
}

impl Folder {
    /// Checks that every class can be a folder.
    pub fn new(place: Place, parts: &[(Part, &dyn Dataset)], notes: &mut Vec<String>) -> Result<Self, Error> {
        let fail = |rule: Rule| Err(Error::new("data set", rule));
        for (i, name) in place.classes.iter().enumerate() {
            let wrong = name.is_empty()
                || name.starts_with('.')
                || name.ends_with(['.', ' '])
                || name.len() > 200
                || name.chars().any(|c| c.is_control() || "/\\:*?\"<>|".contains(c));
            if wrong {
                return fail(
                    Rule::new(format!("the class {name:?} cannot be a folder"))
                        .right("names that every file system takes, or --to tar or parquet"),
                );
            }
            if let Some(other) = place.classes[..i].iter().find(|o| o.to_lowercase() == name.to_lowercase()) {
                return fail(
                    Rule::new(format!("the classes {other} and {name} would be one folder on some systems"))
                        .right("names that differ in more than case, or --to tar or parquet"),
                );
            }
        }
        if let Some((_, first)) = parts.first()
            && let Some(class) = first.histogram().iter().position(|&n| n == 0)
        {
            return fail(
                Rule::new(format!("the class {} has no samples in the first part", place.classes[class]))
                    .given("a folder without images is no class")
                    .right("--to tar or parquet, which write the names down"),
            );
        }
        if !place.classes.is_sorted() {
            notes.push(
                "folders are read in the order of their names, so classes get other numbers than they had".into(),
            );
        }
        let counts = vec![0; place.classes.len()];
        Ok(Folder { place, part: Part::Train, counts })
    }
}

impl Writer for Folder {
    fn takes_files(&self) -> bool {
        true
    }
    fn begin(&mut self, part: Part, _count: u64) -> Result<(), Error> {
        self.part = part;
        self.counts.fill(0);
        Ok(())
    }
    fn add(&mut self, item: Item<'_>, label: u32) -> Result<(), Error> {
        let (bytes, ending) = item.into_file().map_err(of_sample)?;
        let folder = self.place.directory.join(self.part.name()).join(&self.place.classes[label as usize]);
        let count = &mut self.counts[label as usize];
        if *count == 0 {
            std::fs::create_dir_all(&folder).map_err(|e| unwritten(&folder, &e))?;
        }
        // Eight digits keep the order of names that of samples.
        write_file(&folder.join(format!("{count:08}.{ending}")), &bytes)?;
        *count += 1;
        Ok(())
    }
    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }
    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
