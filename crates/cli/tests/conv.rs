//! `gabor conv` as a process.

mod common;

use common::{Place, json, read, stderr};

#[test]
fn the_lectures_example_with_every_number() {
    let p = Place::new("conv");
    let text = p.done(&["conv", "--values", "1,0,2,2,3,1", "--filter", "3,2,2", "--pad", "0:1"]);
    assert!(
        text.contains(
            "Convolution: 6 with 3, padding 0:1 → 5\no = (n + p₁ + p₂ − k)/s + 1 = (6 + 0 + 1 − 3)/1 + 1 = 5\n"
        )
    );
    assert!(text.contains("   7  8 16 14 11\nconv.svg: 5 steps of 1.4 s, 7.0 s a round\n"), "{text}");
    let svg = String::from_utf8(read(&p.path("conv.svg"))).unwrap();
    assert!(svg.contains("y[4] = 3·3 + 1·2 + 0·2 = 11") && svg.contains("@keyframes"));
    let x = "[[3,3,2,1,0],[0,0,1,3,1],[3,1,2,2,3],[2,0,0,2,2],[2,0,0,0,1]]";
    let two = ["conv", "--values", x, "--filter", "0,1,2; 2,2,0; 0,1,2", "-o", "two.svg", "--json"];
    let found = json(&p.done(&two));
    assert_eq!(found["result"], serde_json::json!([12., 12., 17., 10., 17., 19., 9., 6., 14.]));
    assert_eq!(found["steps"][1]["text"], "3·0 + 2·1 + 1·2 + 0·2 + 1·2 + 3·0 + 1·0 + 2·1 + 2·2 = 12");
    assert_eq!((&found["output"], &found["picture"]), (&serde_json::json!([3, 3]), &"two.svg".into()));
    assert_eq!(found["steps"][0]["terms"][1], serde_json::json!({"tap": [0, 1], "at": [0, 1], "x": 3.0, "w": 1.0}));
    // Numbers that nobody gave are the same every time, and others with another seed.
    let seeded = |seed: &str| json(&p.done(&["conv", "--seed", seed, "--json"]))["values"].clone();
    assert!(seeded("1") == seeded("1") && seeded("1") != seeded("2"));
}

#[test]
fn pixels_for_those_who_cannot_show_svg() {
    let p = Place::new("conv-pixels");
    p.done(&["conv", "--input", "3", "--kernel", "2", "-o", "a.gif", "--look", "dark"]);
    p.done(&["conv", "--input", "3", "--kernel", "2", "-o", "a.png"]);
    let (gif, png) = (read(&p.path("a.gif")), read(&p.path("a.png")));
    assert!(gif.starts_with(b"GIF89a") && png.starts_with(b"\x89PNG"));
    // Two pixels for each unit of the drawing, as the PNG has.
    let wide = u16::from_le_bytes([gif[6], gif[7]]);
    assert_eq!(u32::from(wide), u32::from_be_bytes([png[16], png[17], png[18], png[19]]));
    // It repeats for ever, and has a frame per step.
    assert!(gif.windows(11).any(|w| w == b"NETSCAPE2.0"));
    assert_eq!(gif.windows(4).filter(|w| w[..3] == [0x21, 0xf9, 4]).count(), 4);
}

/// A round takes at most half a minute, however many steps there are, and the command says how fast it goes.
#[test]
fn long_animations_go_faster() {
    let p = Place::new("conv-pace");
    let found = json(&p.done(&["conv", "--input", "8", "--kernel", "3", "-o", "many.gif", "--json"]));
    let (step, round) = (found["seconds_per_step"].as_f64().unwrap(), found["seconds"].as_f64().unwrap());
    assert!(found["steps"].as_array().unwrap().len() == 36 && step > 0.8 && round <= 30.0, "{step} {round}");
    let gif = read(&p.path("many.gif"));
    // The delays are what was said, in hundredths of a second.
    let control: Vec<&[u8]> = gif.windows(8).filter(|w| w[..3] == [0x21, 0xf9, 4] && w[7] == 0).collect();
    let delays: Vec<u16> = control.iter().map(|w| u16::from_le_bytes([w[4], w[5]])).collect();
    assert_eq!((delays.len(), f64::from(delays[0]) / 100.0), (36, step));
    // What stays from one step to the next takes no room.
    assert!(gif.len() < 1 << 20, "{} bytes", gif.len());
    let text = p.done(&["conv", "--input", "3", "--kernel", "2", "-o", "few.svg"]);
    assert!(text.ends_with("few.svg: 4 steps of 1.4 s, 5.6 s a round\n"), "{text}");
    let text = p.done(&["conv", "--input", "3", "--kernel", "2", "-o", "few.png"]);
    assert!(text.ends_with("\nfew.png\n"), "{text}");
}

#[test]
fn what_does_not_fit_is_noted_or_refused() {
    let p = Place::new("conv-fits");
    let out = p.gabor(&["conv", "--input", "7", "--kernel", "3", "--stride", "3"]);
    assert!(common::stderr(&out).contains("note: 7×7 with 3×3, stride 3: the last row and column are dropped"));
    let e = |code, more: &[&str]| p.fails(code, &[&["conv"], more].concat());
    let given = ["--values", "1,2,3", "--filter", "1,-1", "--seed", "3"];
    assert!(e(2, &given).contains("--seed has no part in numbers that are all given"));
    assert!(
        e(1, &["--input", "4", "--kernel", "7"]).contains("--kernel 7 is larger than the padded input 4 + 0 + 0 = 4")
    );
    assert!(
        e(1, &["--input", "4", "--transposed", "--output-padding", "1"]).contains("--output-padding 1 must be smaller")
    );
    assert!(e(2, &["--input", "4", "--output-padding", "1"]).contains("--transposed"));
    assert!(e(2, &["--input", "0"]).contains("at least 1"));
    assert!(e(2, &["--pad", "much"]).contains("BEGIN:END"));
    assert!(e(2, &["--values", "1,two"]).contains("`two` is no number"));
    assert!(e(1, &["--input", "40"]).contains("1444 steps, too many to be shown"));
    assert!(e(2, &["-o", "conv.jpg"]).contains("right would be: a name in .svg, .gif or .png"));
}

#[test]
fn long_numbers_fit_their_cells_and_sums_are_exact() {
    let p = Place::new("conv-long");
    let text = p.done(&["conv", "--values", "0.1,0.2,1234567890,-0.33333333", "--filter", "3,0.5"]);
    // 0.1 · 3 + 0.2 · 0.5 is 0.4, and not 0.4000000000000001.
    assert!(text.contains(" 0.4 "), "{text}");
    assert!(text.contains("617283945.6") && text.contains("3703703669.833333335"), "{text}");
    let svg = String::from_utf8(read(&p.path("conv.svg"))).unwrap();
    assert!(
        svg.contains(">1.2346e9<") && svg.contains("1234567890·3 + −0.33333333·0.5 = 3703703669.833333335")
            || svg.contains("(−0.33333333)·0.5 = 3703703669.833333335"),
        "{svg}"
    );
    assert!(!svg.contains(">1234567890<"), "a number wider than its cell");
}

#[test]
fn what_is_not_read_and_what_does_not_fit_is_said_in_the_commands_words() {
    let p = Place::new("conv-words");
    let note = |words: &[&str]| {
        let out = p.gabor(&[&["conv"], words].concat());
        assert!(out.status.success(), "{}", stderr(&out));
        stderr(&out)
    };
    let e = note(&["--input", "7", "--kernel", "2", "--stride", "3"]);
    assert!(e.contains("between windows are read by none: stride 3 is larger than the window of 2"), "{e}");
    let e = note(&["--input", "3", "--kernel", "2", "--stride", "3", "--transposed"]);
    assert!(e.contains("stride 3 is larger than the window of 2: outputs between get nothing and are 0"), "{e}");
    let e = p.fails(1, &["conv", "--input", "3", "--kernel", "7"]);
    assert!(e.contains("--kernel 7 is larger than the padded input") && !e.contains("kernel_size"), "{e}");
    let e = p.fails(1, &["conv", "--input", "5", "--transposed", "--stride", "2", "--output-padding", "3"]);
    assert!(e.contains("--output-padding 3 must be smaller") && !e.contains("output_padding"), "{e}");
    let e = p.fails(1, &["conv", "--input", "4", "--values", "1,2,3"]);
    assert!(e.contains("--values: 3 numbers"), "{e}");
}
