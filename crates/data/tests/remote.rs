//! Data sets of web servers and of an S3-compatible store, all in this process.
#![cfg(feature = "object-store")]

mod server;

use gabor_data::{
    ConvertOptions, Loader, LoaderOptions, OpenOptions, Preprocessing, Splits, Target, convert, digits, open,
};
use server::{Kind, Server};
use std::path::{Path, PathBuf};

fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("remote").join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn write(from: &Splits, to: &Path, target: Target) {
    let options = ConvertOptions { shard_bytes: 400_000, ..ConvertOptions::new(target) };
    convert(from, to, &options, &mut |_, _| {}).unwrap();
}

/// A fifth of the digits, so that folders of single files stay quick.
fn few() -> Splits {
    let all = digits();
    let set = all.train().unwrap().clone();
    let kept = gabor_data::source::Subset::new(set.clone(), (0..set.len()).step_by(5).collect()).unwrap();
    Splits { train: Some(std::sync::Arc::new(kept)), test: None, ..all }
}

fn read(url: &str) -> Result<Splits, String> {
    open(url, &OpenOptions { test_fraction: 0.0, ..Default::default() }).map_err(|e| e.to_string())
}

fn contents(s: &Splits) -> Vec<(u32, Vec<u8>)> {
    let set = s.train().unwrap();
    (0..set.len()).map(|i| (set.labels()[i], set.image(i).unwrap().into_data())).collect()
}

/// The same samples in any order.
fn sorted(s: &Splits) -> Vec<(u32, Vec<u8>)> {
    let mut out = contents(s);
    out.sort();
    out
}

#[test]
fn shards_of_a_web_server_are_found_by_their_index_and_read_by_ranges() {
    let d = dir("http");
    write(&digits(), &d.join("digits"), Target::Tar);
    write(&digits(), &d.join("columns"), Target::Parquet);
    let server = Server::start(&d, Kind::Plain, 0);
    // The server lists nothing: the index says what there is, without a look into the shards.
    let s = read(&server.url("digits")).unwrap();
    assert_eq!((s.kind, s.classes().len(), s.test.as_ref().unwrap().len()), ("tar shards", 10, 360));
    let before = server.requests().len();
    assert!(before < 40, "{before} requests to open");
    assert!(!server.requests().iter().any(|r| r.starts_with("GET") && r.contains(".tar")), "{:?}", server.requests());
    assert_eq!(contents(&s), contents(&digits()));
    let chunks = server.requests().len() - before;
    assert!(chunks < 20, "{chunks} requests for 1437 images: chunks are kept");
    // Some shards by a pattern, and a lone file, without an index.
    let s = read(&server.url("digits/train-{000000..000001}.tar")).unwrap();
    assert!(s.train().unwrap().len() > 100);
    let s = read(&server.url("columns/train-00000-of-00001.parquet")).unwrap();
    assert_eq!(contents(&s), contents(&digits()));
    assert!(s.train().unwrap().is_remote() && s.train().unwrap().stored_bytes().is_none());
    let drawn = open(server.url("columns/train-00000-of-00001.parquet"), &OpenOptions::default()).unwrap();
    let neither = "; neither equal pictures nor near duplicates were looked for (the files are not on this machine)";
    assert!(drawn.notes[0].ends_with(neither), "{:?}", drawn.notes);
    let e = read(&server.url("absent.tar")).unwrap_err();
    assert!(e.contains("/absent.tar: cannot be read; given: ") && e.contains("404"), "{e}");
    let e = read(&server.url("columns")).unwrap_err();
    assert!(e.contains("the server does not say what is there") && e.contains("a pattern such as"), "{e}");
    // The loader's batches are those of the local files, for any number of workers.
    let batches = |s: &Splits, workers| {
        let set = s.train().unwrap().clone();
        let options = LoaderOptions { workers, mix_bytes: 1, ..Default::default() };
        let l = Loader::new(set, Preprocessing::exact([1, 8, 8]).unwrap(), options).unwrap();
        l.epoch(0, 0).collect::<Result<Vec<_>, _>>().unwrap()
    };
    let remote = read(&server.url("digits")).unwrap();
    let local = open(d.join("digits"), &OpenOptions::default()).unwrap();
    assert!(batches(&remote, 3) == batches(&local, 0));
}

#[test]
fn folders_and_manifests_of_a_web_server_that_shows_its_folders() {
    let d = dir("page");
    write(&few(), &d.join("photos"), Target::Folder);
    // A class with signs that mean something in addresses.
    std::fs::rename(d.join("photos/train/3"), d.join("photos/train/50% #3 é")).unwrap();
    let mut rows = String::from("path,label\n");
    let local = open(d.join("photos"), &OpenOptions { test_fraction: 0.0, ..Default::default() }).unwrap();
    let set = local.train().unwrap();
    let files = (0..set.len()).filter(|&i| set.labels()[i] < 3).map(|i| (set.id(i), set.labels()[i]));
    files.for_each(|(f, l)| rows += &format!("photos{},{l}\n", f.split("photos").last().unwrap()));
    std::fs::write(d.join("list.csv"), rows).unwrap();
    // Every fifth answer is that the server is overloaded: it is asked again.
    let server = Server::start(&d, Kind::Pages, 5);
    let remote = read(&server.url("photos")).unwrap();
    assert_eq!(remote.kind, "folders");
    assert_eq!(remote.classes(), local.classes());
    assert!(remote.classes().contains(&"50% #3 é".to_string()));
    assert_eq!(contents(&remote), contents(&local));
    let table = read(&server.url("list.csv")).unwrap();
    assert_eq!((table.kind, table.classes().len()), ("manifest", 3));
    let want: Vec<_> = contents(&local).into_iter().filter(|c| c.0 < 3).collect();
    assert_eq!(contents(&table), want);
    // An image that is gone is an error of its own, by its address.
    let one = set.id(0).split("photos").last().unwrap().to_string();
    std::fs::remove_file(d.join("photos").join(one.trim_start_matches('/'))).unwrap();
    let e = remote.train().unwrap().image(0).unwrap_err().to_string();
    assert!(e.starts_with(&server.url("photos/train/")) && e.contains("404"), "{e}");
}

#[test]
fn a_server_without_ranges_gives_what_is_small_and_says_so_of_the_rest() {
    let d = dir("whole");
    write(&digits(), &d.join("shards"), Target::Tar);
    write(&digits(), &d.join("columns"), Target::Parquet);
    write(&few(), &d.join("photos"), Target::Folder);
    let one = first(&d.join("photos/train/3"));
    std::fs::write(d.join("list.csv"), format!("path,label\nphotos/train/3/{one},three\n")).unwrap();
    let server = Server::start(&d, Kind::Whole, 0);
    assert_eq!(contents(&read(&server.url("shards")).unwrap()), contents(&digits()));
    assert_eq!(contents(&read(&server.url("columns")).unwrap()), contents(&digits()));
    assert_eq!(read(&server.url("list.csv")).unwrap().classes(), ["three"]);
    std::fs::write(d.join("large.tar"), vec![0; 5 << 20]).unwrap();
    let e = read(&server.url("large.tar")).unwrap_err();
    let rule = "/large.tar: the server hands out whole files only, as Python's http.server does; given: 5242880 bytes; right would be: a server that answers requests for ranges";
    assert!(e.contains(rule), "{e}");
}

#[test]
fn an_s3_store_is_listed_and_asked_again_when_it_fails() {
    // The process's environment cannot be changed safely, so a child of this test reads it.
    if std::env::var_os("AWS_ENDPOINT").is_none() {
        let d = dir("s3");
        write(&digits(), &d.join("set/digits"), Target::Tar);
        std::fs::remove_file(d.join("set/digits/shards.idx")).unwrap();
        write(&few(), &d.join("set/photos"), Target::Folder);
        let server = Server::start(&d, Kind::S3, 7);
        let out = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "an_s3_store_is_listed_and_asked_again_when_it_fails", "--nocapture"])
            .env("AWS_ENDPOINT", server.url(""))
            .envs([("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_REGION", "us-east-1")])
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        assert!(server.requests().iter().any(|r| r.contains("list-type=2")));
        return;
    }
    let s = read("s3://bucket/set/digits").unwrap();
    assert_eq!(s.kind, "tar shards");
    assert_eq!(contents(&s), contents(&digits()));
    let s = read("s3://bucket/set/photos").unwrap();
    assert_eq!((s.kind, s.classes().len()), ("folders", 10));
    assert_eq!(sorted(&s), sorted(&few()));
    let e = read("s3://bucket/set/nothing").unwrap_err();
    assert!(e.contains("s3://bucket/set/nothing: nothing is there"), "{e}");
}

#[test]
fn what_no_store_answers_is_said() {
    let e = read("ftp://host/set").unwrap_err();
    assert!(e.contains("an address of an unknown kind; given: ftp; right would be: s3://"), "{e}");
    assert!(read("http://[::1/set").unwrap_err().contains("cannot be read; given: invalid IPv6"));
}

#[test]
fn what_a_server_cannot_do_is_asked_once() {
    let d = dir("once");
    write(&few(), &d.join("photos"), Target::Folder);
    let server = Server::start(&d, Kind::Pages, 0);
    let s = read(&server.url("photos")).unwrap();
    assert_eq!(sorted(&s), sorted(&few()));
    let mut asked: Vec<String> = server.requests().into_iter().filter(|r| r.starts_with("PROPFIND")).collect();
    let all = asked.len();
    asked.sort();
    asked.dedup();
    // The folder, its part and ten classes; the part is looked into for tar shards and for Parquet files, too.
    assert_eq!((asked.len(), all), (12, 14), "{asked:?}");
}

#[test]
fn names_of_classes_beside_a_manifest_elsewhere() {
    let d = dir("names");
    write(&few(), &d.join("photos"), Target::Folder);
    let rows: String =
        (0..3).map(|c| format!("photos/train/{c}/{}\n", first(&d.join(format!("photos/train/{c}"))))).collect();
    let rows = rows.lines().enumerate().map(|(c, path)| format!("{path},{c}\n")).collect::<String>();
    std::fs::write(d.join("list.csv"), format!("path,label\n{rows}")).unwrap();
    // A server that lists nothing: no names, then names.
    let server = Server::start(&d, Kind::Plain, 0);
    assert_eq!(read(&server.url("list.csv")).unwrap().classes(), ["0", "1", "2"]);
    std::fs::write(d.join("classes.txt"), "zero\none\ntwo\n").unwrap();
    assert_eq!(read(&server.url("list.csv")).unwrap().classes(), ["zero", "one", "two"]);
    assert!(!server.requests().iter().any(|r| r.starts_with("PROPFIND")), "{:?}", server.requests());
    // What the server refuses for another reason is an error, and no missing file.
    std::fs::create_dir_all(d.join("refused")).unwrap();
    std::fs::write(
        d.join("refused/list.csv"),
        format!("path,label\n{}", rows.replace("photos", &server.url("photos"))),
    )
    .unwrap();
    let e = read(&server.url("refused/list.csv")).unwrap_err();
    assert!(e.starts_with(&server.url("refused/classes.txt: cannot be read")) && e.contains("400"), "{e}");
    // A table elsewhere names nothing on this machine.
    std::fs::write(d.join("evil.csv"), "path,label\nfile:///etc/x.png,a\n").unwrap();
    let e = read(&server.url("evil.csv")).unwrap_err();
    assert!(e.contains("line 2: a table elsewhere that names a file of this machine; given: file:///etc/x.png"), "{e}");
}

/// The first file of a folder.
fn first(dir: &Path) -> String {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.remove(0)
}

#[test]
fn few_headers_are_asked_for_to_see_that_pictures_are_of_one_size() {
    let d = dir("alike");
    let s = digits();
    let bmp = |i: usize| {
        let image = s.train().unwrap().image(i).unwrap();
        let mut bytes = b"BM".to_vec();
        for v in [54 + 192u32, 0, 54, 40, 8, 8, 1 | 24 << 16, 0, 0, 0, 0, 0, 0] {
            bytes.extend(v.to_le_bytes());
        }
        bytes.extend(image.data().iter().flat_map(|&v| [v; 3]));
        bytes
    };
    for i in 0..600 {
        let class = d.join("set").join(["a", "b"][i % 2]);
        std::fs::create_dir_all(&class).unwrap();
        std::fs::write(class.join(format!("{i}.bmp")), bmp(i)).unwrap();
    }
    let server = Server::start(&d, Kind::Pages, 0);
    let s = read(&server.url("set")).unwrap();
    let before = server.requests().len();
    assert_eq!(gabor_data::common_shape(&**s.train().unwrap()), Some([3, 8, 8]));
    assert_eq!(server.requests().len() - before, 256);
}
