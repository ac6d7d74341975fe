//! From facts to findings.

use super::collect::{Facts, Parts};
use super::duplicates::{self, Found};
use super::header::Stored;
use super::likeness::Likeness;
use super::{CheckOptions, CheckReport, Depth, Example, Finding, FindingKind, Near, PartReport, Place, Severity};
use crate::Splits;
use FindingKind as Kind;
use Severity::{Error, Note, Warning};
use std::collections::BTreeMap;

/// Classes with fewer training samples than this are named.
const FEW: usize = 5;
/// The largest class may have this many times the samples of the smallest before it is noted, and before it is warned of.
const UNEVEN: (f64, f64) = (3.0, 10.0);
/// Pictures longer than this many times their other side are named: a square crop shows a small part of them.
const ELONGATED: f64 = 3.0;

/// All samples of all parts, one after the other.
struct All<'a> {
    parts: &'a Parts,
    facts: Vec<Facts>,
    /// The part of every sample, as a number.
    part: Vec<u8>,
    classes: &'a [String],
}

impl All<'_> {
    fn label(&self, i: usize) -> u32 {
        let (part, inner) = self.inner(i);
        self.parts[part].1.labels().get(inner).copied().unwrap_or(u32::MAX)
    }
    /// The part of a sample and its index there.
    fn inner(&self, i: usize) -> (usize, usize) {
        let part = usize::from(self.part[i]);
        (part, i - self.parts[..part].iter().map(|p| p.1.len()).sum::<usize>())
    }
    fn place(&self, i: usize) -> Place {
        let (part, index) = self.inner(i);
        let (name, set) = &self.parts[part];
        let label = self.label(i);
        let class = self.classes.get(label as usize).cloned().unwrap_or_else(|| label.to_string());
        Place { part: name.to_string(), index, id: set.id(index), class }
    }
    fn places(&self, of: &[u32]) -> Vec<Place> {
        of.iter().map(|&i| self.place(i as usize)).collect()
    }
    /// One example for every sample whose facts give a text.
    fn each(&self, text: impl Fn(&Facts) -> Option<String>) -> Vec<Example> {
        let one = |(i, f)| Some(Example { text: text(f)?, samples: vec![self.place(i)] });
        self.facts.iter().enumerate().filter_map(one).collect()
    }
}

/// Findings as they are made.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    /// Adds a finding, if there are examples.
    fn add(&mut self, severity: Severity, kind: Kind, text: String, right: &str, examples: Vec<Example>) {
        if !examples.is_empty() {
            self.0.push(Finding { severity, kind, text, right: right.into(), examples });
        }
    }
    /// Adds a finding whose sentence begins with the number of its examples.
    fn count(
        &mut self,
        severity: Severity,
        kind: Kind,
        (one, many): (&str, &str),
        right: &str,
        examples: Vec<Example>,
    ) {
        let text = match examples.len() {
            1 => format!("1 {one}"),
            n => format!("{n} {many}"),
        };
        self.add(severity, kind, text, right, examples);
    }
}

pub(super) fn judge(splits: &Splits, parts: &Parts, facts: Vec<Facts>, options: &CheckOptions) -> CheckReport {
    let part = parts.iter().enumerate().flat_map(|(p, (_, set))| std::iter::repeat_n(p as u8, set.len())).collect();
    let mut all = All { parts, facts, part, classes: splits.classes() };
    let mut found = Findings::default();
    unusable(&all, &mut found);
    classes(&all, &mut found);
    let likes: Vec<Option<Likeness>> = all.facts.iter_mut().map(|f| f.likeness.take()).collect();
    let copies = duplicates::find(&likes, &all.part, options.near.bits());
    drop(likes);
    let groups = groups(&copies);
    let full = options.depth == Depth::Full;
    if full {
        across(&all, &copies, &mut found);
        within(&all, &copies, &groups, &mut found);
    }
    pictures(&all, options, &mut found);
    let sources = splits.notes.iter().map(|n| Example { samples: Vec::new(), text: n.clone() }).collect();
    found.count(
        Note,
        Kind::Source,
        ("remark on how the data were read", "remarks on how the data were read"),
        "",
        sources,
    );
    found.0.sort_by_key(|f| (f.severity, f.kind));
    CheckReport {
        kind: splits.kind.to_string(),
        classes: splits.classes().to_vec(),
        depth: options.depth,
        parts: (0..parts.len()).map(|p| numbers(&all, p)).collect(),
        findings: found.0,
        groups: groups.iter().map(|g| all.places(g)).collect(),
    }
}

fn unusable(all: &All<'_>, found: &mut Findings) {
    found.count(
        Error,
        Kind::Unreadable,
        ("sample cannot be read", "samples cannot be read"),
        "intact files; remove or replace these",
        all.each(|f| f.failure.clone()),
    );
    let labels = (0..all.facts.len()).filter(|&i| all.label(i) as usize >= all.classes.len());
    let text = |i| format!("label {}", all.label(i));
    let examples = labels.map(|i| Example { samples: vec![all.place(i)], text: text(i) }).collect();
    let words = ("label is out of range", "labels are out of range");
    found.count(Error, Kind::LabelOutOfRange, words, &format!("labels below {}", all.classes.len()), examples);
}

/// Classes that are missing, rare, or of very different sizes.
fn classes(all: &All<'_>, found: &mut Findings) {
    let example = |text: String| Example { samples: Vec::new(), text };
    if let [only] = all.classes {
        let text = "there is a single class, so there is nothing to tell apart".into();
        let right = "two classes or more: a folder for each, side by side in the directory that is given";
        found.add(Warning, Kind::ClassMissing, text, right, vec![example(only.clone())]);
    }
    for (name, set) in all.parts {
        let counts = set.histogram();
        let missing: Vec<&str> = counts.iter().zip(all.classes).filter(|c| *c.0 == 0).map(|c| c.1.as_str()).collect();
        let severity = if *name == "train" { Error } else { Warning };
        let text = match missing.len() {
            1 => format!("1 class has no sample in the {name} part"),
            n => format!("{n} classes have no sample in the {name} part"),
        };
        let examples = missing.iter().map(|c| example(c.to_string())).collect();
        found.add(severity, Kind::ClassMissing, text, "samples of every class in every part", examples);
        if *name != "train" {
            continue;
        }
        let few = counts.iter().zip(all.classes).filter(|c| (1..FEW).contains(c.0));
        let examples = few.map(|(n, c)| example(format!("{c}: {n}"))).collect();
        let words = ("class has very few training samples", "classes have very few training samples");
        found.count(Warning, Kind::FewSamples, words, &format!("{FEW} at the least, better 50 and more"), examples);
        let most = counts.iter().enumerate().max_by_key(|c| (*c.1, usize::MAX - c.0));
        let least = counts.iter().enumerate().filter(|c| *c.1 > 0).min_by_key(|c| (*c.1, c.0));
        if let (Some((a, &most)), Some((b, &least))) = (most, least)
            && most as f64 > UNEVEN.0 * least as f64
        {
            let ratio = most as f64 / least as f64;
            let severity = if ratio > UNEVEN.1 { Warning } else { Note };
            let text = format!("the largest class has {ratio:.1} times the training samples of the smallest");
            let names = format!("{}: {most}, {}: {least}", all.classes[a], all.classes[b]);
            found.add(
                severity,
                Kind::Imbalance,
                text,
                "classes of similar size; look at recall by class",
                vec![example(names)],
            );
        }
    }
}

/// Groups of two and more samples that are the same or near duplicates, by their first.
pub(super) fn groups(copies: &Found) -> Vec<Vec<u32>> {
    let mut out: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (i, &first) in copies.group.iter().enumerate() {
        if first != i as u32 {
            out.entry(first).or_insert_with(|| vec![first]).push(i as u32);
        }
    }
    out.into_values().collect()
}

fn differing(bits: u32) -> String {
    match bits {
        0 => "alike: the same shapes".into(),
        1 => "alike: 1 of 63 bits differs".into(),
        n => format!("alike: {n} of 63 bits differ"),
    }
}

/// Samples of which another part has a copy: what is reported on them is too good.
fn across(all: &All<'_>, copies: &Found, found: &mut Findings) {
    let same = |i: u32, j: u32| copies.same[i as usize] == copies.same[j as usize];
    for later in (1..all.parts.len() as u8).rev() {
        for earlier in 0..later {
            let pairs = || {
                let of = |i: &u32| all.part[*i as usize];
                copies.across.iter().filter(move |(i, j, _)| of(i) == later && of(j) == earlier)
            };
            let (a, b) = (all.parts[usize::from(later)].0, all.parts[usize::from(earlier)].0);
            let right = if b == "train" {
                "no picture in two parts: what is measured on them is better than on new pictures"
            } else {
                "no picture in two parts"
            };
            let count = all.parts[usize::from(later)].1.len();
            for (kind, exact, word) in
                [(Kind::SameAcross, true, "in the same pixels"), (Kind::NearAcross, false, "as near duplicates")]
            {
                let examples: Vec<Example> = pairs()
                    .filter(|(i, j, _)| same(*i, *j) == exact)
                    .map(|&(i, j, bits)| Example {
                        samples: all.places(&[i, j]),
                        text: if exact { "the same pixels".into() } else { differing(bits) },
                    })
                    .collect();
                let are = if examples.len() == 1 { "is" } else { "are" };
                let text = format!("{} of {count} {a} samples {are} in the {b} part, too, {word}", examples.len());
                found.add(Warning, kind, text, right, examples);
            }
        }
    }
}

/// Groups inside one part, and groups under several labels.
fn within(all: &All<'_>, copies: &Found, groups: &[Vec<u32>], found: &mut Findings) {
    let mut lists: [Vec<Example>; 4] = Default::default();
    let [same, near, same_conflict, near_conflict] = &mut lists;
    let example = |members: &[u32], text: &str| Example { samples: all.places(members), text: text.to_string() };
    let mixed = |members: &[u32]| members.iter().any(|&i| all.label(i as usize) != all.label(members[0] as usize));
    for group in groups {
        let mut exact: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        group.iter().for_each(|&i| exact.entry(copies.same[i as usize]).or_default().push(i));
        for members in exact.values().filter(|m| m.len() > 1) {
            if mixed(members) {
                same_conflict.push(example(members, "the same pixels"));
            }
            for inside in members.chunk_by(|&a, &b| all.part[a as usize] == all.part[b as usize]) {
                if inside.len() > 1 {
                    same.push(example(inside, "the same pixels"));
                }
            }
        }
        // One of each set of same pixels stands for near duplicates.
        let firsts: Vec<u32> = exact.values().map(|m| m[0]).collect();
        if firsts.len() > 1 {
            if mixed(&firsts) {
                near_conflict.push(example(&firsts, "alike"));
            }
            for inside in firsts.chunk_by(|&a, &b| all.part[a as usize] == all.part[b as usize]) {
                if inside.len() > 1 {
                    near.push(example(inside, "alike"));
                }
            }
        }
    }
    let [same, near, same_conflict, near_conflict] = lists;
    let words = ("picture has several labels", "pictures have several labels");
    found.count(Warning, Kind::SameConflict, words, "one label for a picture", same_conflict);
    let words = ("group of near duplicates has several labels", "groups of near duplicates have several labels");
    found.count(Warning, Kind::NearConflict, words, "a look at them: alike pictures with one label", near_conflict);
    let words = ("picture is there several times within a part", "pictures are there several times within a part");
    found.count(Note, Kind::Same, words, "one of each, or the weight is meant", same);
    let words = ("group of near duplicates within a part", "groups of near duplicates within a part");
    found.count(Note, Kind::Near, words, "fewer of these, if they are not meant", near);
}

/// What is odd about single pictures.
fn pictures(all: &All<'_>, options: &CheckOptions, found: &mut Findings) {
    let size = |f: &Facts| f.size.filter(|_| f.failure.is_none()).map(|(w, h)| format!("{w} × {h}"));
    found.count(
        Warning,
        Kind::Constant,
        ("picture is of a single colour", "pictures are of a single colour"),
        "pictures that show something",
        all.each(|f| f.constant.then(|| size(f)).flatten()),
    );
    if let Some([h, w]) = options.input {
        let small = |f: &Facts| f.size.is_some_and(|(fw, fh)| 2 * (fw.min(fh) as usize) < h.min(w));
        let words =
            ("picture is much smaller than the network's input", "pictures are much smaller than the network's input");
        let right = format!("{} pixels and more on the short side, or a smaller input", h.min(w));
        found.count(Warning, Kind::Small, words, &right, all.each(|f| small(f).then(|| size(f)).flatten()));
    }
    let long = |f: &Facts| f.size.is_some_and(|(w, h)| f64::from(w.max(h)) > ELONGATED * f64::from(w.min(h)));
    let words = ("picture is more than 3 times as long as wide", "pictures are more than 3 times as long as wide");
    let right = "a crop, else the edges are never seen";
    found.count(Note, Kind::Elongated, words, right, all.each(|f| long(f).then(|| size(f)).flatten()));
    let words = ("file has another format than its ending says", "files have another format than their endings say");
    let ending = |f: &Facts| Some(format!("{} with the ending .{}", f.header?.format, f.wrong_ending.as_ref()?));
    found.count(Note, Kind::WrongEnding, words, "read all the same; other programs may refuse them", all.each(ending));
    // From here on what the header says, of files that can be read.
    let header = |text: &dyn Fn(&super::Header) -> Option<String>| {
        all.each(|f| f.header.filter(|_| f.failure.is_none()).and_then(|h| text(&h)))
    };
    let words =
        ("picture lies turned in its file (EXIF orientation)", "pictures lie turned in their files (EXIF orientation)");
    let turned = header(&|h| (h.orientation != 1).then(|| format!("orientation {}", h.orientation)));
    found.count(Note, Kind::Orientation, words, "turned upright here; other programs may not", turned);
    let cmyk = header(&|h| (h.stored == Stored::Cmyk).then(|| format!("{}, {} × {}", h.format, h.width, h.height)));
    let words = ("picture is stored in four inks (CMYK)", "pictures are stored in four inks (CMYK)");
    found.count(Note, Kind::Cmyk, words, "converted without a colour profile: colours may be off", cmyk);
    let deep = header(&|h| (h.bits > 8).then(|| format!("{}, {} bits", h.format, h.bits)));
    let words = ("picture has more than 8 bits a channel", "pictures have more than 8 bits a channel");
    found.count(Note, Kind::Deep, words, "the high 8 bits are used", deep);
    let clear = header(&|h| {
        matches!(h.stored, Stored::GreyAlpha | Stored::RgbAlpha).then(|| format!("{}, {}", h.format, h.stored.name()))
    });
    let words = ("picture has transparency", "pictures have transparency");
    found.count(Note, Kind::Transparent, words, "laid over white", clear);
    let moving = header(&|h| h.animated.then(|| h.format.to_string()));
    let words = ("file holds several pictures", "files hold several pictures");
    found.count(Note, Kind::Animated, words, "the first is used", moving);
    grey_among_colours(all, found);
    let left = all.facts.iter().filter(|f| f.grey.is_some() && !f.compared).count();
    if left > 0 && options.near != Near::Off {
        let text = format!("{left} small grey pictures were not compared for near duplicates");
        let why = "written digits and letters are alike by nature; --near 8 compares them".to_string();
        let example = Example { samples: Vec::new(), text: why };
        found.add(Note, Kind::NotCompared, text, "", vec![example]);
    }
}

/// Whichever of grey and coloured pictures are fewer.
fn grey_among_colours(all: &All<'_>, found: &mut Findings) {
    let known = || all.facts.iter().filter_map(|f| f.grey);
    let (grey, all_known) = (known().filter(|g| *g).count(), known().count());
    if grey == 0 || grey == all_known {
        return;
    }
    let fewer = 2 * grey <= all_known;
    let word = if fewer { "grey" } else { "coloured" };
    let examples = all.each(|f| (f.grey? == fewer).then(|| word.to_string()));
    let text = format!("{} of {all_known} pictures are {word}, the others are not", examples.len());
    let right = "nothing, unless colour tells the classes apart";
    found.add(Note, Kind::GreyMixed, text, right, examples);
}

/// The numbers of a part.
fn numbers(all: &All<'_>, p: usize) -> PartReport {
    let (name, set) = &all.parts[p];
    let facts = || all.facts.iter().zip(&all.part).filter(|f| usize::from(*f.1) == p).map(|f| f.0);
    let three = |of: fn((u32, u32)) -> u32| {
        let mut v: Vec<u32> = facts().filter(|f| f.failure.is_none()).filter_map(|f| f.size.map(of)).collect();
        v.sort_unstable();
        Some([*v.first()?, v[v.len() / 2], *v.last()?])
    };
    let mut out = PartReport {
        name: name.to_string(),
        samples: set.len(),
        per_class: set.histogram(),
        unreadable: facts().filter(|f| f.failure.is_some()).count(),
        bytes: facts().map(|f| f.bytes).sum(),
        width: three(|s| s.0),
        height: three(|s| s.1),
        ..PartReport::default()
    };
    for f in facts().filter(|f| f.failure.is_none()) {
        if let Some(h) = f.header {
            *out.formats.entry(h.format.to_string()).or_default() += 1;
            *out.modes.entry(h.stored.name().to_string()).or_default() += 1;
        } else if let Some(grey) = f.grey {
            *out.modes.entry(if grey { "grey" } else { "RGB" }.to_string()).or_default() += 1;
        }
    }
    out
}
