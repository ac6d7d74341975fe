//! A manifest: a table of paths and labels as CSV or TSV, with a column of parts where wanted.

use super::folder::{ending, is_image};
use super::labels::{Labels, Meaning};
use super::read::{Contents, Entry, class_names, class_names_in};
use super::split::{Part, Parts};
use super::{FileDataset, OpenOptions, Splits, store};
use crate::Error;
use gabor_tensor::Rule;
use std::io::BufRead;
use std::path::{Path, PathBuf};

/// Names of manifests in a directory, without their endings, beside the names of parts.
const NAMES: [&str; 5] = ["manifest", "labels", "metadata", "data", "index"];
/// Images that are looked for before a manifest is taken for one of another place.
const LOOK: usize = 20;
/// Names that a header may give to its columns, in lower case.
const PATH: [&str; 10] =
    ["path", "file", "filename", "file_name", "file_path", "filepath", "image", "image_path", "img", "img_path"];
const LABEL: [&str; 7] = ["label", "labels", "class", "class_name", "category", "target", "label_name"];
const SPLIT: [&str; 5] = ["split", "subset", "part", "partition", "set"];

/// Name without ending, and the separator that the ending says.
fn table(name: &str) -> Option<(&str, u8)> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let (stem, ending) = name.rsplit_once('.')?;
    match ending.to_ascii_lowercase().as_str() {
        "csv" => Some((stem, b',')),
        "tsv" => Some((stem, b'\t')),
        _ => None,
    }
}

/// Whether a file's name is a manifest's.
pub(super) fn is_table(path: &Path) -> bool {
    path.file_name().is_some_and(|n| table(&n.to_string_lossy()).is_some())
}

fn is_manifest(e: &Entry) -> bool {
    let known = |stem: &str| Part::of(stem).is_some() || NAMES.contains(&stem.to_ascii_lowercase().as_str());
    !e.is_dir && table(&e.name).is_some_and(|(stem, _)| known(stem))
}

/// Whether the directory holds manifests.
pub(super) fn is(entries: &[Entry]) -> bool {
    entries.iter().any(is_manifest)
}

/// Opens the manifests of a directory: one that holds everything, or one for each part.
pub(super) fn open(dir: &Path, entries: &[Entry], options: &OpenOptions) -> Result<Splits, Error> {
    let found: Vec<&Entry> = entries.iter().filter(|e| is_manifest(e)).collect();
    let part = |e: &Entry| table(&e.name).and_then(|(stem, _)| Part::of(stem));
    let whole: Vec<&&Entry> = found.iter().filter(|e| part(e).is_none()).collect();
    let twice = Part::ALL.iter().any(|p| found.iter().filter(|e| part(e) == Some(*p)).count() > 1);
    if whole.len() > 1 || twice || (!whole.is_empty() && whole.len() < found.len()) {
        let names: Vec<&str> = found.iter().map(|e| e.name.as_str()).collect();
        return Err(Error::at(
            dir,
            Rule::new("more than one manifest").given(names.join(", ")).right(
                "one with a column `split`, or train.csv, val.csv and test.csv; or the path of the one that is meant",
            ),
        ));
    }
    let files: Vec<(&Path, Option<Part>)> = found.iter().map(|e| (e.path.as_path(), part(e))).collect();
    read(&files, class_names(entries, &options.limits)?, options)
}

/// Opens one manifest by its path.
pub(super) fn open_file(path: &Path, options: &OpenOptions) -> Result<Splits, Error> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    read(&[(path, None)], class_names_in(dir, &options.limits)?, options)
}

/// A row: file, label as it is written, part.
struct Row {
    file: PathBuf,
    /// Index into the labels' texts.
    label: u32,
    part: Part,
}

fn read(files: &[(&Path, Option<Part>)], names: Option<Vec<String>>, options: &OpenOptions) -> Result<Splits, Error> {
    let (mut rows, mut texts) = (Vec::new(), Labels::default());
    for (path, part) in files {
        let contents = Contents::open(path, &options.limits)?.into_reader();
        rows_of(path, contents, part.unwrap_or(Part::Train), &mut rows, &mut texts)?;
    }
    let (classes, of_text) = texts.classes(names, Meaning::Name)?;
    let mut parts = Parts::new("manifest");
    for part in Part::ALL {
        let mut set = FileDataset { files: vec![], labels: vec![], classes: classes.clone(), limits: options.limits };
        for row in rows.iter_mut().filter(|r| r.part == part) {
            set.files.push(std::mem::take(&mut row.file));
            set.labels.push(of_text[row.label as usize]);
        }
        if !set.files.is_empty() {
            // One look, so that paths relative to another folder are not found out a sample at a time. One file that is
            // missing is another matter, of whoever reads it.
            let mut missing = set.files.iter().take(LOOK).map(|f| store::File::open(f).err());
            if let Some(Some(e)) = missing.next().filter(|first| first.is_some() && missing.all(|m| m.is_some())) {
                let rule = e.rule().clone().right("paths relative to the manifest's folder, or absolute ones");
                return Err(Error::new(format!("{} (the first image of the manifest)", e.place()), rule));
            }
            parts.put(part, set);
        }
    }
    parts.finish(options)
}

/// Which columns hold what.
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
}

/// The columns that a header names; `None` where the first row is no header.
fn header(row: &csv::StringRecord, place: &dyn Fn() -> String) -> Result<Option<Columns>, Error> {
    let find = |names: &[&str]| row.iter().position(|f| names.contains(&f.trim().to_ascii_lowercase().as_str()));
    match (find(&PATH), find(&LABEL), find(&SPLIT)) {
        (Some(path), Some(label), split) => Ok(Some(Columns { path, label, split })),
        (None, None, _) => Ok(None),
        (path, _, _) => {
            let (missing, names) = if path.is_some() { ("labels", &LABEL[..]) } else { ("paths", &PATH[..]) };
            let given: Vec<&str> = row.iter().collect();
            Err(Error::new(
                place(),
                Rule::new(format!("a header without a column of {missing}"))
                    .given(given.join(", "))
                    .right(format!("a column called {}", names.join(", "))),
            ))
        }
    }
}

/// Appends the rows of one table.
fn rows_of(
    path: &Path,
    mut reader: Box<dyn BufRead + '_>,
    default: Part,
    rows: &mut Vec<Row>,
    texts: &mut Labels,
) -> Result<(), Error> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut separator = table(&name).map_or(b',', |(_, s)| s);
    let start = reader.fill_buf().map_err(|e| Error::io(path, &e))?;
    let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
    // Spreadsheets write semicolons where the comma is the decimal point.
    if separator == b',' && !line.contains(&b',') && line.contains(&b';') {
        separator = b';';
    }
    let dir = path.parent().unwrap_or(Path::new(""));
    let mut table =
        csv::ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(reader);
    let mut row = csv::StringRecord::new();
    let mut columns: Option<Columns> = None;
    let before = rows.len();
    loop {
        let line = table.position().line();
        let place = || format!("{} line {line}", path.display());
        let more = table.read_record(&mut row).map_err(|e| {
            Error::new(
                place(),
                Rule::new("no row of a table").given(e.to_string()).right("UTF-8 text, quoted fields closed"),
            )
        })?;
        if !more {
            break;
        }
        let columns = match &columns {
            Some(c) => c,
            None => {
                let found = header(&row, &place)?;
                let is_header = found.is_some();
                let c =
                    columns.insert(found.unwrap_or(Columns { path: 0, label: 1, split: (row.len() > 2).then_some(2) }));
                if is_header {
                    continue;
                }
                if !is_image(Path::new(row.get(0).unwrap_or_default().trim())) {
                    let given: Vec<&str> = row.iter().collect();
                    return Err(Error::new(
                        place(),
                        Rule::new("neither a header nor the path of an image")
                            .given(given.join(", "))
                            .right("a header such as path,label or path,label,split; or rows of these"),
                    ));
                }
                c
            }
        };
        let field = |i: usize, what: &str| {
            let text = row.get(i).map(str::trim).filter(|t| !t.is_empty());
            text.ok_or_else(|| {
                let given: Vec<&str> = row.iter().collect();
                Error::new(
                    place(),
                    Rule::new(format!("a row without a {what}"))
                        .given(given.join(", "))
                        .right(format!("a {what} in column {}", i + 1)),
                )
            })
        };
        let file = field(columns.path, "path")?;
        let label = field(columns.label, "label")?;
        let part = match columns.split {
            None => default,
            Some(i) => {
                let text = field(i, "part")?;
                Part::of(text).ok_or_else(|| {
                    Error::new(place(), Rule::new("a part of an unknown name").given(text).right("train, val or test"))
                })?
            }
        };
        if !is_image(Path::new(file)) {
            return Err(Error::new(
                place(),
                Rule::new(format!("a file of type `{}` is no image", ending(Path::new(file))))
                    .given(file)
                    .right("the path of an image file"),
            ));
        }
        let file = store::beside(dir, file).map_err(|r| Error::new(place(), r))?;
        if rows.len() == u32::MAX as usize {
            return Err(Error::new(place(), Rule::new(format!("more than {} rows", u32::MAX)).right("fewer")));
        }
        let label = texts.add(label, place);
        rows.push(Row { file, label, part });
    }
    if rows.len() == before {
        return Err(Error::at(path, Rule::new("a manifest without rows").right("a row for every image")));
    }
    Ok(())
}

/// For the tests of damaged files: a manifest's rows without a look at the images.
#[cfg(test)]
type Parsed = (Vec<Row>, Vec<String>, Vec<u32>);
#[cfg(test)]
fn parse(name: &str, bytes: &[u8], names: Option<Vec<String>>) -> Result<Parsed, Error> {
    let (mut rows, mut texts) = (Vec::new(), Labels::default());
    let contents = Contents::new(Path::new(name), bytes)?.into_reader();
    rows_of(Path::new(name), contents, Part::Train, &mut rows, &mut texts)?;
    let (classes, of_text) = texts.classes(names, Meaning::Name)?;
    Ok((rows, classes, of_text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn err(bytes: &[u8]) -> String {
        parse("d/m.csv", bytes, None).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn headers_quotes_and_separators() {
        let text = "\u{feff}split,label,path\nval,\"red, \"\"big\"\"\",\"a, b.png\"\r\ntrain,blue,/abs/c.jpg\n\ntest,blue,d.jpg";
        let (rows, classes, of) = parse("dir/m.csv", text.as_bytes(), None).unwrap();
        assert_eq!(classes, ["blue", "red, \"big\""]);
        assert_eq!(rows[0].file, Path::new("dir/a, b.png"));
        assert_eq!(rows[1].file, Path::new("/abs/c.jpg"));
        assert_eq!(rows.iter().map(|r| r.part).collect::<Vec<_>>(), [Part::Validation, Part::Train, Part::Test]);
        assert_eq!(of[rows[0].label as usize], 1);
        for (name, text) in
            [("m.tsv", "a.png\tx y\nb.png\tz"), ("m.csv", "a.png;x y\nb.png;z"), ("m.csv", "a.png,x y\nb.png,z")]
        {
            let (rows, classes, _) = parse(name, text.as_bytes(), None).unwrap();
            assert_eq!((rows.len(), classes), (2, vec!["x y".to_string(), "z".into()]), "{text}");
        }
    }

    #[test]
    fn labels_are_names_or_numbers() {
        let (_, classes, of) = parse("m.csv", b"a.png,2\nb.png,0", None).unwrap();
        assert_eq!((classes.len(), of), (3, vec![2, 0]));
        let names = Some(vec!["ant".to_string(), "bee".into()]);
        let (_, classes, of) = parse("m.csv", b"a.png,bee\nb.png,0", names.clone()).unwrap();
        assert_eq!((classes.len(), of), (2, vec![1, 0]));
        assert_eq!(
            parse("m.csv", b"a.png,bee\nb.png,2", names).map(|_| ()).unwrap_err().to_string(),
            "m.csv line 2: label 2 is not among the 2 classes of classes.txt; right would be: one of ant, bee, or a number below 2"
        );
        // A number with a leading zero is a name.
        assert_eq!(parse("m.csv", b"a.png,01\nb.png,10", None).unwrap().1, ["01", "10"]);
    }

    #[test]
    fn messages() {
        assert_eq!(
            err(b"a.png,0\nb.png,7"),
            "d/m.csv line 2: label 7 is out of range; given: 2 different labels; \
             right would be: labels below 4, twice the number of different ones; or a classes.txt"
        );
        assert_eq!(
            err(b"path,label\na.png"),
            "d/m.csv line 2: a row without a label; given: a.png; right would be: a label in column 2"
        );
        assert_eq!(
            err(b"path,label,split\na.png,x,both"),
            "d/m.csv line 2: a part of an unknown name; given: both; right would be: train, val or test"
        );
        assert!(
            err(b"path,colour\na.png,x")
                .starts_with("d/m.csv line 1: a header without a column of labels; given: path, colour")
        );
        assert!(err(b"hello,world\n").contains("neither a header nor the path of an image"));
        assert!(err(b"path,label\n").contains("a manifest without rows"));
        assert!(err(b"").contains("a manifest without rows"));
        assert!(err(b"path,label\nnotes.docx,x").contains("a file of type `docx` is no image"));
        assert!(err(b"path,label\na.png,\xff\xfe").contains("no row of a table"));
    }
}
