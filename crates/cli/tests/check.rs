//! `gabor data check` as a process: what it says, what it writes, how it exits.

mod common;

use common::{Place, bmp, json, read, stdout, write};

/// Waves that differ by `seed` in direction and length.
fn waves(seed: usize, side: usize) -> Vec<u8> {
    let [a, b, c] = [1.3, 2.1, 0.7].map(|k: f64| (k * (seed as f64 + 0.5) * 2.4).sin() * 9.0);
    bmp(side, side, |x, y| {
        let (y, x) = (y as f64 / side as f64, x as f64 / side as f64);
        let v = (a * x + b * y).sin() + (c * x * y * 3.0 - a).sin() + (b * x * x + c).cos();
        [v * 40.0 + 128.0, v * 30.0 + 128.0, 128.0 - v * 20.0].map(|v| v as u8)
    })
}

/// A folder of two classes of `n` pictures, without parts; names with spaces and beyond ASCII.
fn photos(p: &Place, name: &str, n: usize) {
    for (k, class) in ["grüne Äpfel", "big bees"].iter().enumerate() {
        let folder = p.path(name).join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for i in 0..n {
            write(&folder.join(format!("{i:02} ☀.bmp")), waves(i + 100 * k, 40));
        }
    }
}

#[test]
fn damage_is_told_by_path_and_by_exit_code() {
    let p = Place::new("check");
    photos(&p, "photos", 12);
    let out = p.gabor(&["data", "check", "photos"]);
    assert_eq!(out.status.code(), Some(0), "{}", stdout(&out));
    let text = stdout(&out);
    assert!(text.contains("photos: folders, 24 samples of 2 classes") && text.contains("grüne Äpfel"), "{text}");
    assert!(text.contains("nothing wrong was found"), "{text}");

    write(&p.path("photos/big bees/torn.bmp"), &waves(7, 40)[..900]);
    write(&p.path("photos/big bees/nothing.png"), b"");
    write(&p.path("photos/grüne Äpfel/copy of a bee.bmp"), waves(103, 40));
    let words = ["data", "check", "photos", "--fix-list", "bad.txt", "--report", "check.html"];
    let out = p.gabor(&words);
    assert_eq!(out.status.code(), Some(1));
    let text = stdout(&out);
    assert!(text.contains("error: 2 samples cannot be read"), "{text}");
    assert!(text.contains("photos/big bees/torn.bmp: ") && text.contains("nothing.png: "), "{text}");
    assert!(text.contains("warning: 1 picture has several labels"), "{text}");
    assert!(text.contains("copy of a bee.bmp (grüne Äpfel)"), "{text}");
    let list = String::from_utf8(read(&p.path("bad.txt"))).unwrap();
    let mut list: Vec<&str> = list.lines().collect();
    list.sort_unstable();
    assert_eq!(list, ["photos/big bees/nothing.png", "photos/big bees/torn.bmp"]);
    let page = String::from_utf8(read(&p.path("check.html"))).unwrap();
    assert!(page.contains("2 samples cannot be read") && page.contains("data:image/png;base64,"));

    // The files are removed as the list says, and what is left is warnings.
    list.iter().for_each(|f| std::fs::remove_file(p.path(f)).unwrap());
    let text = p.done(&["data", "check", "photos", "--json"]);
    let v = json(&text);
    assert_eq!((&v["kind"], &v["depth"]), (&"folders".into(), &"full".into()));
    assert_eq!(v["classes"][1], "grüne Äpfel");
    assert!(v["seconds"].is_number());
    let kinds: Vec<&str> = v["findings"].as_array().unwrap().iter().map(|f| f["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"same_conflict"), "{kinds:?}");
    let e = p.fails(1, &["data", "check", "photos", "--strict"]);
    assert!(e.contains("error: photos: ") && e.contains("of warning"), "{e}");
    // Threads change nothing but the time.
    let one = |threads| {
        let mut v = json(&p.done(&["data", "check", "photos", "--json", "--threads", threads]));
        v["seconds"] = 0.into();
        v
    };
    assert_eq!(one("1"), one("4"));
}

#[test]
fn lists_are_cut_and_shown_whole() {
    let p = Place::new("check-lists");
    photos(&p, "photos", 12);
    for i in 0..9 {
        write(&p.path(&format!("photos/big bees/torn{i}.bmp")), b"BM");
    }
    let lines = |words: &[&str]| stdout(&p.gabor(words)).matches("/torn").count();
    assert_eq!(lines(&["data", "check", "photos"]), 5);
    assert_eq!(lines(&["data", "check", "photos", "--examples", "2"]), 2);
    assert_eq!(lines(&["data", "check", "photos", "--all"]), 9);
    assert_eq!(lines(&["data", "check", "photos", "--headers"]), 5);
    let e = p.fails(2, &["data", "check", "photos", "--near", "40"]);
    assert!(e.contains("0 to 15"), "{e}");
    let e = p.fails(1, &["data", "check", "nowhere"]);
    assert!(e.starts_with("error: nowhere: cannot be read"), "{e}");
    let e = p.fails(2, &["data"]);
    assert!(e.contains("check"), "{e}");
}

#[test]
fn odd_folders_get_clear_answers() {
    let p = Place::new("check-odd");
    photos(&p, "photos", 8);
    // Hidden files and folders are none of the data.
    std::fs::create_dir(p.path("photos/.cache")).unwrap();
    write(&p.path("photos/.cache/x.bmp"), b"BM");
    write(&p.path("photos/big bees/.DS_Store"), b"x");
    write(&p.path("photos/big bees/.hidden.bmp"), b"BM");
    write(&p.path("photos/big bees/notes.txt"), b"x");
    let text = p.done(&["data", "check", "photos"]);
    assert!(text.contains("16 samples of 2 classes") && text.contains("1 files passed over"), "{text}");
    // A class of one picture.
    std::fs::create_dir(p.path("photos/lonely")).unwrap();
    write(&p.path("photos/lonely/only.bmp"), waves(500, 40));
    let text = p.done(&["data", "check", "photos"]);
    assert!(text.contains("1 class has very few training samples") && text.contains("lonely: 1"), "{text}");
    assert!(text.contains("1 class has no sample in the test part"), "{text}");
    std::fs::remove_file(p.path("photos/lonely/only.bmp")).unwrap();
    let e = p.fails(1, &["data", "check", "photos"]);
    assert!(e.contains("photos/lonely: a class folder without images"), "{e}");
    std::fs::remove_dir(p.path("photos/lonely")).unwrap();
    std::fs::create_dir(p.path("empty")).unwrap();
    let e = p.fails(1, &["data", "check", "empty"]);
    assert!(e.contains("empty: no data set is recognised here"), "{e}");
}

#[cfg(unix)]
#[test]
fn links_and_locked_folders() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let p = Place::new("check-links");
    photos(&p, "photos", 8);
    // A linked class counts; a link to nowhere, or in a circle, is told.
    photos(&p, "elsewhere", 6);
    std::fs::rename(p.path("elsewhere/big bees"), p.path("elsewhere/wasps")).unwrap();
    symlink(p.path("elsewhere/wasps"), p.path("photos/wasps")).unwrap();
    let v = json(&stdout(&p.gabor(&["data", "check", "photos", "--json", "--near", "off"])));
    assert_eq!(v["classes"].as_array().unwrap().len(), 3);
    symlink(p.path("photos/wasps/gone.bmp"), p.path("photos/wasps/dangling.bmp")).unwrap();
    let out = p.gabor(&["data", "check", "photos"]);
    let text = format!("{}{}", stdout(&out), common::stderr(&out));
    assert!(out.status.code() == Some(1) && text.contains("dangling.bmp"), "{text}");
    std::fs::remove_file(p.path("photos/wasps/dangling.bmp")).unwrap();
    symlink(p.path("photos"), p.path("photos/big bees/circle")).unwrap();
    let e = p.fails(1, &["data", "check", "photos"]);
    assert!(e.contains("nested deeper") || e.contains("cannot be read"), "{e}");
    std::fs::remove_file(p.path("photos/big bees/circle")).unwrap();
    let locked = p.path("photos/wasps");
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::read_dir(&locked).is_err() {
        let e = p.fails(1, &["data", "check", "photos"]);
        assert!(e.contains("photos/wasps: cannot be read") && e.contains("denied"), "{e}");
    }
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o755)).unwrap();
}
