//! A split written down: which sample is in which part, by name, so that it stays when files come and go.

use super::split::NO_TEST;
use super::store::local;
use super::{Dataset, Mixed, Part, Splits, Subset};
use crate::{Error, Limits};
use gabor_tensor::Rule;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The first line of the file.
const HEAD: &str = "# gabor split 1: sample, class, part";
/// Names of changed samples that a message lists.
const LISTED: usize = 5;

/// Which sample is in which part, as a file of lines `sample TAB class TAB part`. Samples are called as the data set calls
/// them, below the directory of the data, so that the directory may move. Samples of one name are told apart by their
/// order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenSplit {
    rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    id: String,
    class: String,
    part: Part,
}

/// What is otherwise in the data than a split says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Samples that the split does not name.
    pub added: Vec<String>,
    /// Samples that it names and that are not there.
    pub removed: Vec<String>,
    /// Samples that have another class now.
    pub relabelled: Vec<String>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn none(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.relabelled.is_empty()
    }
    /// What changed, in words, with the first names of each.
    pub fn text(&self) -> String {
        let list = |names: &[String], what: &str| {
            let shown = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(LISTED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            (!names.is_empty()).then(|| format!("{} {what} ({shown}{more})", names.len()))
        };
        let all =
            [list(&self.removed, "removed"), list(&self.relabelled, "with another class"), list(&self.added, "added")];
        all.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// What becomes of samples that a written split does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newcomers {
    /// They are left out.
    LeftOut,
    /// They are trained on, so that what is measured on the other parts stays comparable.
    Train,
}

impl WrittenSplit {
    /// The split of data as they are; `data` is what they were opened by.
    pub fn of(splits: &Splits, data: &str) -> Self {
        let mut names = Names::new(data);
        let mut rows = Vec::new();
        for (part, set) in parts(splits) {
            for (i, &label) in set.labels().iter().enumerate() {
                let class = set.classes().get(label as usize).cloned().unwrap_or_default();
                rows.push(Row { id: names.of(set.id(i)), class, part });
            }
        }
        WrittenSplit { rows }
    }
    /// The file's text.
    ///
    /// ```
    /// use gabor_data::{WrittenSplit, digits};
    /// let split = WrittenSplit::of(&digits(), "digits");
    /// assert_eq!(WrittenSplit::parse(&split.to_text(), "split.tsv").unwrap(), split);
    /// ```
    pub fn to_text(&self) -> String {
        let mut out = format!("{HEAD}\n");
        for r in &self.rows {
            out += &format!("{}\t{}\t{}\n", escaped(&r.id), escaped(&r.class), r.part.name());
        }
        out
    }
    /// Reads the file's text; `place` names it in errors.
    ///
    /// # Errors
    /// Text that is no such file; the line is named.
    pub fn parse(text: &str, place: &str) -> Result<Self, Error> {
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, first)| first != HEAD) {
            let rule = Rule::new("the file is no split").right(format!("a first line `{HEAD}`"));
            return Err(Error::new(place, rule));
        }
        let row = |(i, line): (usize, &str)| {
            let mut cells = line.split('\t');
            let (id, class, part) = (cells.next(), cells.next(), cells.next().and_then(Part::of));
            match (id, class, part, cells.next()) {
                (Some(id), Some(class), Some(part), None) => Ok(Row { id: plain(id), class: plain(class), part }),
                _ => {
                    let rule =
                        Rule::new("the line is no sample of a split").given(line.chars().take(80).collect::<String>());
                    let right = "sample TAB class TAB train, val or test";
                    Err(Error::new(format!("{place}, line {}", i + 1), rule.right(right)))
                }
            }
        };
        Ok(WrittenSplit { rows: lines.map(row).collect::<Result<_, _>>()? })
    }
    /// Reads the file at `path`, or `split.tsv` in the directory `path`.
    ///
    /// # Errors
    /// A file that cannot be read or is no split.
    pub fn read(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let file = if path.is_dir() { path.join(WrittenSplit::FILE) } else { path.to_path_buf() };
        let bytes = crate::decode::read_file(&file, limits)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| Error::at(&file, Rule::new("the file is no text").right("a split in UTF-8")))?;
        Self::parse(&text, &file.display().to_string())
    }
    /// The name of the file in a run directory.
    pub const FILE: &str = "split.tsv";
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether it names no sample.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// Divides the samples of all parts of `splits` anew, as this split says, in its order; with what changed since. Samples
    /// that are gone are left out; those with another class keep their part, and the class of the data.
    ///
    /// # Errors
    /// A part that loses all its samples.
    pub fn apply(&self, splits: &Splits, data: &str, newcomers: Newcomers) -> Result<(Splits, Changes), Error> {
        let sets: Vec<Arc<dyn Dataset>> = parts(splits).map(|p| p.1.clone()).collect();
        let mut names = Names::new(data);
        let mut there: HashMap<String, (usize, usize)> = HashMap::new();
        let mut order = Vec::new();
        for (s, set) in sets.iter().enumerate() {
            for i in 0..set.len() {
                let id = names.of(set.id(i));
                order.push(id.clone());
                there.insert(id, (s, i));
            }
        }
        let mut changes = Changes::default();
        let mut chosen: BTreeMap<Part, Vec<(usize, usize)>> = BTreeMap::new();
        for row in &self.rows {
            chosen.entry(row.part).or_default();
            let Some(at @ (s, i)) = there.remove(&row.id) else {
                changes.removed.push(row.id.clone());
                continue;
            };
            let label = sets[s].labels().get(i).copied().unwrap_or(u32::MAX);
            if sets[s].classes().get(label as usize) != Some(&row.class) {
                changes.relabelled.push(row.id.clone());
            }
            chosen.entry(row.part).or_default().push(at);
        }
        changes.added = order.into_iter().filter(|id| there.contains_key(id)).collect();
        if newcomers == Newcomers::Train {
            let added = changes.added.iter().filter_map(|id| there.get(id).copied());
            chosen.entry(Part::Train).or_default().extend(added);
        }
        changes.added.sort_unstable();
        // What was drawn when the data were opened does not count any more.
        let notes = splits.notes.iter().filter(|n| !n.starts_with(NO_TEST)).cloned().collect();
        let mut out = Splits { kind: splits.kind, train: None, validation: None, test: None, notes };
        for (part, items) in chosen {
            if items.is_empty() {
                let rule = Rule::new(format!("no sample of the {} part is there any more", part.name()));
                return Err(Error::new(data, rule.given(changes.text()).right("the data that the split was made of")));
            }
            let slot = match part {
                Part::Train => &mut out.train,
                Part::Validation => &mut out.validation,
                Part::Test => &mut out.test,
            };
            *slot = Some(gathered(&sets, items)?);
        }
        Ok((out, changes))
    }
    /// What is otherwise in `other`: parts that samples moved between count as changes of `relabelled`.
    pub fn changes(&self, other: &WrittenSplit) -> Changes {
        let mut before: HashMap<&str, &Row> = self.rows.iter().map(|r| (r.id.as_str(), r)).collect();
        let mut out = Changes::default();
        for r in &other.rows {
            match before.remove(r.id.as_str()) {
                None => out.added.push(r.id.clone()),
                Some(was) if was != r => out.relabelled.push(r.id.clone()),
                Some(_) => {}
            }
        }
        out.removed = self.rows.iter().filter(|r| before.contains_key(r.id.as_str())).map(|r| r.id.clone()).collect();
        out
    }
}

/// The parts that there are, in order.
fn parts(splits: &Splits) -> impl Iterator<Item = (Part, &Arc<dyn Dataset>)> {
    let all = [(Part::Train, &splits.train), (Part::Validation, &splits.validation), (Part::Test, &splits.test)];
    all.into_iter().filter_map(|(part, set)| Some((part, set.as_ref()?)))
}

/// One set where all samples are of one, in which case it knows of blocks and extents, else a mixed one.
fn gathered(sets: &[Arc<dyn Dataset>], items: Vec<(usize, usize)>) -> Result<Arc<dyn Dataset>, Error> {
    let first = items.first().map_or(0, |i| i.0);
    if items.iter().all(|i| i.0 == first) {
        let indices: Vec<usize> = items.into_iter().map(|i| i.1).collect();
        if indices.len() == sets[first].len() && indices.iter().enumerate().all(|(k, &i)| k == i) {
            return Ok(sets[first].clone());
        }
        return Ok(Arc::new(Subset::new(sets[first].clone(), indices)?));
    }
    Ok(Arc::new(Mixed::new(sets.to_vec(), items)?))
}

/// Names of samples below the directory of the data, each once.
struct Names {
    data: String,
    seen: HashMap<String, usize>,
}

impl Names {
    fn new(data: &str) -> Self {
        let data = local(Path::new(data)).map_or(data.into(), |d| d.to_string_lossy().into_owned());
        Names { data: data.trim_end_matches('/').into(), seen: HashMap::new() }
    }
    fn of(&mut self, id: String) -> String {
        let below = id.strip_prefix(&self.data).and_then(|rest| rest.strip_prefix('/')).map(String::from);
        let id = below.unwrap_or(id);
        let times = self.seen.entry(id.clone()).or_insert(0);
        *times += 1;
        if *times > 1 { format!("{id}#{times}") } else { id }
    }
}

/// Tabs and line feeds end cells and lines.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some(other) => other,
                None => '\\',
            },
            c => c,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Color, Image};

    /// Samples with names, of no pixels to speak of.
    struct Named(Vec<String>, Vec<u32>, Vec<String>);

    impl Dataset for Named {
        fn labels(&self) -> &[u32] {
            &self.1
        }
        fn classes(&self) -> &[String] {
            &self.2
        }
        fn id(&self, i: usize) -> String {
            self.0[i].clone()
        }
        fn image(&self, i: usize) -> Result<Image<'_>, Error> {
            Ok(Image::new(1, 1, Color::Grey, vec![self.0[i].len() as u8]).unwrap())
        }
    }

    fn splits(train: &[&str], test: &[&str]) -> Splits {
        let set = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|n| format!("data/{n}")).collect();
            let labels = names.iter().map(|n| u32::from(n.contains("bee"))).collect();
            Some(Arc::new(Named(names, labels, vec!["ant".into(), "bee\tx".into()])) as Arc<dyn Dataset>)
        };
        Splits { kind: "test", train: set(train), validation: None, test: set(test), notes: Vec::new() }
    }

    fn ids(set: &Option<Arc<dyn Dataset>>) -> Vec<String> {
        set.as_ref().map_or(Vec::new(), |d| (0..d.len()).map(|i| d.id(i)).collect())
    }

    #[test]
    fn the_split_stays_when_files_come_and_go() {
        let split = WrittenSplit::of(&splits(&["ant/1", "bee/2", "ant/3\n"], &["bee/4", "ant/5"]), "data/");
        assert_eq!(WrittenSplit::parse(&split.to_text(), "x").unwrap(), split);
        assert!(split.to_text().contains("\nbee/2\tbee\\tx\ttrain\n"), "{}", split.to_text());
        // A fresh opening divides otherwise, has one file more and one less.
        let now = splits(&["bee/4", "ant/0", "bee/2", "ant/1"], &["ant/5"]);
        let (got, changes) = split.apply(&now, "data", Newcomers::LeftOut).unwrap();
        assert_eq!(ids(&got.train), ["data/ant/1", "data/bee/2"]);
        assert_eq!(ids(&got.test), ["data/bee/4", "data/ant/5"]);
        assert_eq!(got.test.as_ref().unwrap().labels(), [1, 0]);
        assert_eq!(got.test.as_ref().unwrap().image(1).unwrap().data(), [10]);
        assert_eq!(changes.text(), "1 removed (ant/3\n), 1 added (ant/0)");
        let (got, _) = split.apply(&now, "data", Newcomers::Train).unwrap();
        assert_eq!(ids(&got.train), ["data/ant/1", "data/bee/2", "data/ant/0"]);
        assert!(split.changes(&split).none());
        assert_eq!(split.changes(&WrittenSplit::of(&got, "data")).text(), changes.text());
        let e = split.apply(&splits(&["ant/1"], &["ant/9"]), "data", Newcomers::LeftOut).unwrap_err().to_string();
        assert!(e.starts_with("data: no sample of the test part is there any more; given: 4 removed"), "{e}");
    }

    #[test]
    fn names_that_repeat_and_lines_that_are_wrong() {
        let twice = splits(&["ant/1", "ant/1"], &["ant/1"]);
        let split = WrittenSplit::of(&twice, "data");
        let (got, changes) = split.apply(&twice, "data", Newcomers::LeftOut).unwrap();
        assert!(changes.none() && ids(&got.train).len() == 2, "{changes:?}");
        let e = |text: &str| WrittenSplit::parse(text, "s.tsv").unwrap_err().to_string();
        assert!(e("x").starts_with("s.tsv: the file is no split; right would be"));
        let bad = format!("{HEAD}\na\tb\ttrain\na\tb\twhere\n");
        assert_eq!(
            e(&bad),
            "s.tsv, line 3: the line is no sample of a split; given: a\tb\twhere; right would be: sample TAB class TAB train, val or test"
        );
    }
}
